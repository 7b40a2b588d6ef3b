--- Channels: which session is live, its multivariant playlist, its picture and the live state that pages wait for.

local answers = require "answers"
local boot = require "boot"
local viewers = require "viewers"
local waiters = require "waiters"

local store = ngx.shared.channels
local ages = ngx.shared.ages

-- States of channels that went offline are kept this long; unknown ones are offline too.
local OFFLINE_TTL_S = 3600
local STATE_PATIENCE_S = 25
local NEVER_SEEN = "0"

local channels = {}

local function channel_key(login)
    return "channel/" .. login
end

--- Stores a channel's state: `body` a JSON object, `session` the live session or "".
function channels.put(login, session, body)
    -- Our own service writes it; the fields that the edge adds go before its last brace.
    local fields = body:match("^%s*{%s*(.-)%s*}%s*$")
    if not fields then
        return nil, "the body is no JSON object"
    end
    local lifetime = session == "" and OFFLINE_TTL_S or 0
    local stored, problem = store:safe_set("c:" .. login, session .. "\n" .. fields, lifetime)
    if not stored then
        return nil, problem
    end
    if session ~= "" then
        -- While a channel waits for its streamer its playlists stand still, as they should.
        ages:set("live:" .. session, fields:find('"state": ?"live"') ~= nil)
    end
    waiters.publish(channel_key(login))
    return true
end

--- Stores a session's multivariant playlist, "{p}" standing for the playback id.
function channels.put_session(session, template)
    return store:safe_set("s:" .. session, template)
end

function channels.forget_session(session)
    store:delete("s:" .. session)
    ages:delete("live:" .. session)
end

--- Names of all sessions with a multivariant playlist.
function channels.sessions()
    local names = {}
    for _, key in ipairs(store:get_keys(0)) do
        local session = key:match("^s:(.+)$")
        if session then
            names[#names + 1] = session
        end
    end
    return names
end

-- The session ("" when offline) and the stored JSON fields of a channel.
local function look_up(login)
    local packed = store:get("c:" .. login)
    if not packed then
        return "", nil
    end
    return packed:match("^([^\n]*)\n(.*)$")
end

local function public_version(login)
    local version = waiters.version(channel_key(login))
    return version and boot.id() .. "-" .. version or NEVER_SEEN, version
end

local function timestamp()
    ngx.update_time()
    local time = ngx.now()
    local seconds = math.floor(time)
    return os.date("!%Y-%m-%dT%H:%M:%S", seconds) .. string.format(".%03dZ", (time - seconds) * 1000)
end

local function render_state(login, version)
    local session, fields = look_up(login)
    if not fields then
        fields = '"login":"' .. login .. '","state":"offline","session":null,"stream_id":null,"started_at":null,'
            .. '"warnings":[]'
    end
    local count = session ~= "" and viewers.count(session) or 0
    return "{" .. fields .. (fields ~= "" and "," or "") .. '"version":"' .. version .. '","viewers":' .. count
        .. ',"server_time":"' .. timestamp() .. '"}\n'
end

--- Content handler of /live/<login>/state: at once when `v` is not the current version, else on a change or after 25 s.
function channels.serve_state()
    if not answers.may_read() then
        return
    end
    local login = ngx.var.login
    local known = ngx.var.arg_v
    if not waiters.version(channel_key(login)) then
        boot.settle()
    end
    local version, raw = public_version(login)
    local deadline = ngx.now() + STATE_PATIENCE_S
    while known == version do
        local left = deadline - ngx.now()
        if left <= 0 or waiters.wait(channel_key(login), raw, left) ~= "changed" then
            break
        end
        version, raw = public_version(login)
    end
    return answers.send(render_state(login, version), "application/json")
end

-- The live session of a channel and its multivariant playlist; the latter nil when there is none.
local function multivariant_of(login)
    local session = look_up(login)
    return session, session ~= "" and store:get("s:" .. session) or nil
end

--- Content handler of /live/<login>/index.m3u8: the multivariant playlist with a playback id of its own.
function channels.serve_multivariant()
    if not answers.may_read() then
        return
    end
    local session, template = multivariant_of(ngx.var.login)
    if not template then
        boot.settle()
        session, template = multivariant_of(ngx.var.login)
    end
    if not template then
        return answers.fail(404, "stream_offline", "This channel is not live.")
    end
    local playlist = template:gsub("{p}", viewers.new_id(session))
    return answers.send(playlist, "application/vnd.apple.mpegurl")
end

--- Content handler of /live/<login>/thumbnail.jpg: the newest picture of the running stream.
function channels.serve_thumbnail()
    if not answers.may_read() then
        return
    end
    if not waiters.version(channel_key(ngx.var.login)) then
        boot.settle()
    end
    local session = look_up(ngx.var.login)
    if session == "" then
        return answers.fail(404, "stream_offline", "This channel is not live.")
    end
    return ngx.exec("/live/-thumbnail/" .. session)
end

return channels
