--- What the paths below /vod/<id>/ and /clip-media/<id>/ are, without nginx.

local find, match = string.find, string.match

local media_paths = {}

-- What may be named in the bucket, and so in a path, is all ours and needs no escaping.
local RENDITION, NAME = "[a-z0-9]+", "[%w_-]+"
local OWNERS = { videos = true, clips = true }
local MEDIA = { m4s = "video/mp4", mp4 = "video/mp4" }
local EXPORTS = { mp4 = "video/mp4", mp3 = "audio/mpeg" }
local LONGEST, LONGEST_ID = 200, 20

local function borrowed(path)
    local signature, object = match(path, "^o/([%w_-]+)/(%l+/.+)$")
    local folder, rendition, extension = match(object or "", "^(%l+)/" .. NAME .. "/(" .. RENDITION .. ")/" .. NAME
        .. "%.(%w+)$")
    if MEDIA[extension] and OWNERS[folder] and rendition ~= "exports" then
        return { class = "borrowed", object = object, signature = signature, type = MEDIA[extension] }
    end
end

local function export(path)
    local job, extension = match(path, "^exports/(%d+)%.(%w+)$")
    if EXPORTS[extension] then
        return { class = "export", object = path, job = job, type = EXPORTS[extension] }
    end
end

local function own(path)
    if find(path, "^exports/") then
        return export(path)
    end
    if path == "poster.jpg" or find(path, "^storyboard/%d+%.jpg$") then
        return { class = "picture", object = path, type = "image/jpeg" }
    end
    local extension = match(path, "^" .. RENDITION .. "/" .. NAME .. "%.(%w+)$")
    if MEDIA[extension] then
        return { class = "media", object = path, type = MEDIA[extension] }
    end
    if find(path, "^%l+%.mp4$") then
        return { class = "download", object = path, type = MEDIA.mp4 }
    end
end

--- What stands in the path of a request: "vod" or "clip-media", a token or "", an id, and the rest. Nil for any other.
function media_paths.split(uri)
    local kind, rest = match(uri, "^/(vod)/(.+)$")
    if not kind then
        kind, rest = match(uri, "^/(clip%-media)/(.+)$")
    end
    local token, behind = match(rest or "", "^~([%w_.-]+)/(.+)$")
    local id, path = match(behind or rest or "", "^([%w_-]+)/(.+)$")
    if not id or #id > LONGEST_ID then
        return nil
    end
    return kind, token or "", id, path
end

--- What `path` is, nil for what there is not:
--   class    "playlist": rendered by `recorder`
--            "media", "picture", "download": an object in the owner's own folder
--            "export": an object there that needs a token of its own, for `job`
--            "borrowed": an object of somebody else's, which needs `signature`
--   object   the object's key, whole for "borrowed", else below the owner's folder
--   type     its content type
function media_paths.read(path)
    if #path > LONGEST then
        return nil
    end
    if find(path, "^" .. RENDITION .. "%.m3u8$") then
        return { class = "playlist", type = "application/vnd.apple.mpegurl" }
    end
    if find(path, "^%l+%.vtt$") then
        return { class = "playlist", type = "text/vtt" }
    end
    return borrowed(path) or own(path)
end

return media_paths
