--- Part and segment files. nginx sends those that exist; this answers for the others.

local answers = require "answers"
local playlists = require "playlists"
local rules = require "rules"

local media = {}

local function arrived(playlist, number)
    return playlist.ended or playlist.part_number >= number
end

--- Content handler for a media file that is not there: the hinted part is held until it is, anything else is unknown.
function media.missing()
    local var = ngx.var
    local key = var.stream
    local number = tonumber(var.file:match("^part%-(%d+)%.m4s$"))
    local playlist = number and playlists.settled(key)
    if not playlist or not rules.hinted(playlist, number) then
        return answers.fail(404, "not_found", "There is no such file.")
    end
    local reason
    playlist, reason = playlists.wait(key, playlist, arrived, number)
    if not playlist then
        return playlists.refuse(reason)
    end
    -- The part's file is written before its playlist. Were it missing, it is no longer hinted and comes back as a 404.
    return ngx.exec(var.uri)
end

return media
