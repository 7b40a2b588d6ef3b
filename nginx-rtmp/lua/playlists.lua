--- Media playlists: kept for all workers in the shared dict, decoded once per worker and version, held when asked to.

local answers = require "answers"
local gzip = require "gzip"
local rules = require "rules"
local viewers = require "viewers"
local waiters = require "waiters"

local store = ngx.shared.playlists
local playlists_cache = require("resty.lrucache").new(2000)
local concat, match, sub = table.concat, string.match, string.sub
local now = ngx.now

-- A plain reload must never be older than half a target duration, which is 4 s or more.
local CACHE_PLAIN = "public, max-age=1"

local playlists = {}

--- Stores what `ingest` published. `at` is a position (see rules.lua) with `delta_length`, `body` the whole playlist
-- followed by its delta. Returns nil and a message when the shared dict is full.
function playlists.put(session, rendition, at, body)
    local key = session .. "/" .. rendition
    local head = concat({
        at.msn, at.part, at.complete_msn, at.part_number, at.target_duration, at.part_target,
        at.ended and 1 or 0, at.delta_length,
    }, " ")
    local stored, problem = store:safe_set("p:" .. key, head .. "\n" .. body)
    if not stored then
        return nil, problem
    end
    if store:safe_add("known:" .. key, true) then
        store:rpush("renditions:" .. session, rendition)
    end
    waiters.publish(key)
    return true
end

--- Forgets the playlists of a session; who waits for one is answered 404.
function playlists.forget_session(session)
    local rendition = store:lpop("renditions:" .. session)
    while rendition do
        local key = session .. "/" .. rendition
        store:delete("known:" .. key)
        store:delete("p:" .. key)
        waiters.retire(key)
        rendition = store:lpop("renditions:" .. session)
    end
end

local function unpack_playlist(packed, version)
    local msn, part, complete_msn, part_number, target_duration, part_target, ended, delta_length, start =
        match(packed, "^(%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%S+) (%S+) ([01]) (%d+)\n()")
    local whole_end = #packed - tonumber(delta_length)
    local delta = whole_end < #packed and { text = sub(packed, whole_end + 1) } or nil
    return {
        version = version,
        msn = tonumber(msn),
        part = tonumber(part),
        complete_msn = tonumber(complete_msn),
        part_number = tonumber(part_number),
        target_duration = tonumber(target_duration),
        part_target = tonumber(part_target),
        ended = ended == "1",
        whole = { text = sub(packed, start, whole_end) },
        delta = delta,
        cache_blocking = "public, max-age=" .. 6 * math.ceil(tonumber(target_duration)) .. ", immutable",
    }
end

--- The newest playlist under `key` ("<session>/<rendition>"): a position with `whole`, `delta` and `version`; or nil.
function playlists.current(key)
    local version = waiters.version(key)
    if not version then
        return nil
    end
    local known = playlists_cache:get(key)
    if known and known.version == version then
        return known
    end
    local packed = store:get("p:" .. key)
    if not packed then
        return nil
    end
    local playlist = unpack_playlist(packed, version)
    playlists_cache:set(key, playlist)
    return playlist
end

--- Waits until `wanted(playlist)` or the playlist is gone. Returns the playlist, or nil and why not:
-- "gone", "timeout" or "exiting".
function playlists.wait(key, playlist, wanted, a, b)
    local deadline = now() + rules.patience(playlist)
    while not wanted(playlist, a, b) do
        local left = deadline - now()
        local outcome = left > 0 and waiters.wait(key, playlist.version, left) or "timeout"
        if outcome ~= "changed" then
            return nil, outcome
        end
        playlist = playlists.current(key)
        if not playlist then
            return nil, "gone"
        end
    end
    return playlist
end

local function published(playlist, msn, part)
    return rules.decide(playlist, msn, part) == "serve"
end

--- Ends a request that cannot be served for the reason `playlists.wait` gave.
function playlists.refuse(reason)
    if reason == "exiting" then
        return answers.again()
    elseif reason == "timeout" then
        return answers.fail(503, "stream_stalled", "The stream has not gone on in time.", 1)
    end
    return answers.fail(404, "not_found", "There is no such stream.")
end

local function send(text, cache_control)
    local header = ngx.header
    local body = text.text
    if gzip.accepted(ngx.var.http_accept_encoding) then
        if text.zipped == nil then
            text.zipped = gzip.compress(body) or false
        end
        if text.zipped then
            body = text.zipped
            header["Content-Encoding"] = "gzip"
        end
    end
    header["Cache-Control"] = cache_control
    header["Content-Length"] = #body
    ngx.print(body)
end

--- Content handler of /live/<login>/<session>/<rendition>/index.m3u8.
function playlists.serve()
    if not answers.may_read() then
        return
    end
    local var = ngx.var
    local session = var.session
    local key = session .. "/" .. var.rendition
    local playlist = playlists.current(key)
    if not playlist then
        return playlists.refuse("gone")
    end
    local args = ngx.req.get_uri_args(16)
    if not viewers.seen(session, args.p) then
        return answers.fail(429, "rate_limited", "Too many requests from this address.", 1)
    end
    if playlist.ended then
        return send(playlist.whole, CACHE_PLAIN)
    end
    local problem, msn, part, skip = rules.directives(args)
    if problem then
        return answers.fail(400, "invalid", problem .. ".")
    end
    if msn then
        local verdict = rules.decide(playlist, msn, part)
        if verdict == "ahead" then
            return answers.fail(400, "invalid", "The stream is not that far yet.")
        elseif verdict == "hold" then
            local reason
            playlist, reason = playlists.wait(key, playlist, published, msn, part)
            if not playlist then
                return playlists.refuse(reason)
            end
        end
    end
    local text = skip and not playlist.ended and playlist.delta or playlist.whole
    return send(text, msn and not playlist.ended and playlist.cache_blocking or CACHE_PLAIN)
end

return playlists
