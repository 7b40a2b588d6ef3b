--- Requests below /vod/ and /clip-media/: who may have what, and where it is.

local answers = require "answers"
local media_paths = require "media_paths"
local problems = require "problems"
local states = require "states"
local storage = require "storage"
local tokens = require "tokens"

-- A video that is taken back, or edited to be private, is out of caches on the way after this.
local CACHE_MEDIA, CACHE_PICTURE, CACHE_EXPORT = "max-age=3600, immutable", "max-age=60", "max-age=0"
-- A picture that names no version may be another one after so long.
local PICTURE_AGE_S = 60

-- What the storage says of an object that clients are told, too. Some storages add rules of their own for other
-- origins, and browsers accept no such header twice.
local KEPT = {
    ["accept-ranges"] = true, connection = true, ["content-length"] = true, ["content-range"] = true, date = true,
    etag = true, ["keep-alive"] = true, server = true, ["transfer-encoding"] = true,
}

local videos = {}

local public_url = ""

--- `url`: where the objects of open videos are as well, "" for nowhere else.
function videos.configure(url)
    public_url = url
end

local REFUSED = {
    missing = { "playback_token_missing", "This video is private." },
    wrong = { "playback_token_invalid", "This address is not valid." },
    expired = { "playback_token_expired", "This address is no longer valid." },
}

local function not_found()
    return answers.fail(404, "not_found", "There is no such video.")
end

local function unavailable()
    return answers.fail(503, "unavailable", "Videos cannot be played right now. Try again in a moment.", 2)
end

-- What the token of this request is worth for what it asks for.
local function admitted(var, target, state)
    local subject = var.media_id
    if target.class == "export" then
        subject = subject .. "-" .. target.job
    elseif state == "open" then
        return "valid"
    end
    return tokens.check(var.media_token, var.media_kind, subject, ngx.time())
end

local function key_of(var, target, prefix)
    if target.class ~= "borrowed" then
        return prefix .. "/" .. target.object
    elseif tokens.names(var.media_kind .. "/" .. var.media_id, target.object, target.signature) then
        return target.object
    end
end

-- A picture may be replaced: the version that an address names, or else the time, is part of what it is cached by.
local function cache_key(var, target, key)
    if target.class ~= "picture" then
        return key
    end
    local version = (var.arg_v or ""):match("^%w+$")
    return key .. "?" .. (version or math.floor(ngx.time() / PICTURE_AGE_S)), version ~= nil
end

local function cache_control(target, private, versioned)
    local scope = private and "private, " or "public, "
    if target.class == "export" then
        return "private, " .. CACHE_EXPORT
    elseif target.class == "picture" and not versioned then
        return scope .. CACHE_PICTURE
    end
    return scope .. CACHE_MEDIA
end

local function serve_playlist(var, private)
    var.media_upstream = "/" .. var.media_kind .. "/" .. var.media_id .. "/" .. var.media_path
    var.media_private = private and "1" or ""
    return ngx.exec("@video_playlist")
end

local function serve_object(var, target, prefix, private)
    local key = key_of(var, target, prefix)
    if not key then
        return not_found()
    end
    local cached_as, versioned = cache_key(var, target, key)
    local control = cache_control(target, private, versioned)
    local whole = target.class == "download" or target.class == "export"
    if public_url ~= "" and not private and target.class ~= "export" then
        ngx.header["Cache-Control"] = "public, " .. CACHE_PICTURE
        return ngx.redirect(public_url .. "/" .. key, 302)
    end
    -- Of what goes through the cache nginx fetches the whole, also for HEAD.
    if not storage.ready() or not storage.sign(whole and var.request_method or "GET", key) then
        storage.failed("no key")
        return unavailable()
    end
    var.media_cache_key = cached_as
    var.media_cache_control = control
    var.media_type = target.type
    return ngx.exec(whole and "@video_download" or "@video_object")
end

local function serve()
    if not answers.may_read() then
        return
    end
    local var = ngx.var
    local kind, token, id, path = media_paths.split(var.uri)
    local target = kind and media_paths.read(path)
    if not target then
        return not_found()
    end
    var.media_kind, var.media_token, var.media_id, var.media_path = kind, token, id, path
    local state, prefix = states.look_up(var.media_kind, var.media_id)
    if not state then
        return unavailable()
    elseif state == "gone" then
        return not_found()
    end
    local worth = admitted(var, target, state)
    if worth ~= "valid" then
        local code, message = unpack(REFUSED[worth])
        return answers.fail(403, code, message)
    end
    local private = state ~= "open"
    if target.class == "playlist" then
        return serve_playlist(var, private)
    end
    return serve_object(var, target, prefix, private)
end

--- Content handler of /live/<login>/dvr.m3u8.
function videos.serve_rewind()
    if answers.may_read() then
        return ngx.exec("@video_playlist")
    end
end

--- Content handler of all of them. Logs of these locations are off, since there are tokens in the requests: what dies
-- in here is logged without its request.
function videos.serve()
    local whole, problem = xpcall(serve, debug.traceback)
    if not whole then
        problems.note("a request for a video was aborted: " .. tostring(problem))
        return answers.fail(500, "internal", "Something went wrong on our side.")
    end
end

--- Header filter of playlists.
function videos.playlist_headers()
    local header, var = ngx.header, ngx.var
    if ngx.status ~= 200 and ngx.status ~= 304 then
        return
    end
    local control = header["Cache-Control"]
    if var.media_private ~= "" and type(control) == "string" then
        header["Cache-Control"] = control:gsub("^public", "private")
    end
end

-- A range that cannot be is noticed when the headers are complete, and then the filters run a second time.
local function forget_headers(header)
    for _, name in ipairs({
        "Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Timing-Allow-Origin",
        "Cross-Origin-Resource-Policy", "X-Content-Type-Options", "Content-Disposition",
    }) do
        header[name] = nil
    end
    header["Cache-Control"] = "no-store"
end

--- Header filter of objects.
function videos.object_headers()
    local header, var = ngx.header, ngx.var
    if ngx.status >= 400 then
        return forget_headers(header)
    end
    for name in pairs(ngx.resp.get_headers(100)) do
        if not KEPT[name] then
            header[name] = nil
        end
    end
    -- rclone sends a part of a file as if it were the whole.
    if ngx.status == 200 and header["Content-Range"] then
        ngx.status = 206
    end
    header["Content-Type"] = var.media_type
    header["Cache-Control"] = var.media_cache_control
    if var.arg_download then
        header["Content-Disposition"] = 'attachment; filename="' .. var.media_id .. var.media_path:match("%.%w+$") .. '"'
    end
end

--- Log handler of objects.
function videos.served()
    local cache_status = ngx.var.upstream_cache_status
    if cache_status then
        storage.served(cache_status)
    end
end

--- Content handler for what the storage did not serve.
function videos.unserved()
    local status = ngx.var.upstream_status or ""
    if status:find("404") then
        return not_found()
    elseif status:find("416") then
        return answers.fail(416, "range_not_satisfiable", "The file is shorter than that.")
    end
    storage.failed(status)
    return answers.fail(503, "storage_unavailable", "The video cannot be fetched right now. Try again in a moment.", 2)
end

return videos
