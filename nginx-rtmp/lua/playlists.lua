--- Media playlists: kept for all workers in the shared dict, decoded once per worker and version, held when asked to.

local answers = require "answers"
local boot = require "boot"
local gzip = require "gzip"
local rules = require "rules"
local viewers = require "viewers"
local waiters = require "waiters"

local store = ngx.shared.playlists
local ages = ngx.shared.ages
local byte, concat, match, sub = string.byte, table.concat, string.match, string.sub
local exiting, now = ngx.worker.exiting, ngx.now

local AMPERSAND = byte("&")
local MAX_DECODED = 500
-- Players ask in a handful of ways; what is longer or more is somebody's experiment.
local MAX_REMEMBERED, MAX_DIRECTIVES = 64, 80

-- A plain reload must never be older than half a target duration, which is 4 s or more.
local CACHE_PLAIN = "public, max-age=1"

local playlists = {}

-- key → what playlists.current() returns, of this worker. Emptied when it is full: every version is decoded anew anyway.
local decoded, decoded_count = {}, 0

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
    if at.ended then
        ages:delete(key)
    else
        ages:set(key, now())
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
        ages:delete(key)
        waiters.retire(key)
        rendition = store:lpop("renditions:" .. session)
    end
end

local function decode(key, packed, version)
    local msn, part, complete_msn, part_number, target_duration, part_target, ended, delta_length, start =
        match(packed, "^(%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%S+) (%S+) ([01]) (%d+)\n()")
    local whole_end = #packed - tonumber(delta_length)
    return {
        version = version,
        session = match(key, "^[^/]+"),
        msn = tonumber(msn),
        part = tonumber(part),
        complete_msn = tonumber(complete_msn),
        part_number = tonumber(part_number),
        target_duration = tonumber(target_duration),
        part_target = tonumber(part_target),
        ended = ended == "1",
        whole = { text = sub(packed, start, whole_end) },
        delta = whole_end < #packed and { text = sub(packed, whole_end + 1) } or nil,
        cache_blocking = "public, max-age=" .. 6 * math.ceil(tonumber(target_duration)) .. ", immutable",
        answers = {},
        answers_count = 0,
    }
end

--- The newest playlist under `key` ("<session>/<rendition>"): a position with `whole`, `delta` and `version`; or nil.
function playlists.current(key)
    local version = waiters.version(key)
    if not version then
        return nil
    end
    local known = decoded[key]
    if known and known.version == version then
        return known
    end
    local packed = store:get("p:" .. key)
    if not packed then
        return nil
    end
    if not known then
        if decoded_count >= MAX_DECODED then
            decoded, decoded_count = {}, 0
        end
        decoded_count = decoded_count + 1
    end
    local playlist = decode(key, packed, version)
    decoded[key] = playlist
    return playlist
end

--- As `current`, but right after a start only once `ingest` has had its say.
function playlists.settled(key)
    local playlist = playlists.current(key)
    if not playlist then
        boot.settle()
        playlist = playlists.current(key)
    end
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

--- How long ago the playlist was renewed that is the oldest of all whose channel is live, seconds; 0 without any.
function playlists.staleness()
    ngx.update_time()
    local oldest, time = 0, now()
    for _, key in ipairs(ages:get_keys(0)) do
        local session = match(key, "^([^/]+)/")
        local at = session and ages:get("live:" .. session) and ages:get(key)
        oldest = at and math.max(oldest, time - at) or oldest
    end
    return oldest
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

-- Compressed once a version, by whoever asks first. From then on an answer costs less than without: there is less to send.
local function zipped(text)
    if text.zipped == nil then
        text.zipped = gzip.compress(text.text) or false
    end
    return text.zipped
end

local function send(answer)
    local header = ngx.header
    local body = answer.text.text
    if gzip.accepted(ngx.var.http_accept_encoding) and zipped(answer.text) then
        body = answer.text.zipped
        header["Content-Encoding"] = "gzip"
    end
    if exiting() then
        header["Connection"] = "close"
    end
    header["Cache-Control"] = answer.cache_control
    header["Content-Length"] = #body
    ngx.print(body)
end

-- The playback id and the directives of a query. Ours stands first, so that the rest is the same for all viewers.
local function split_query(query)
    if byte(query, 1) == 112 and byte(query, 2) == 61 and (#query == 22 or byte(query, 23) == AMPERSAND) then
        return sub(query, 3, 22), sub(query, 24)
    end
    return ngx.decode_args(query, 16).p, query
end

-- What `playlist` answers to a query, for all who ask the same of this version.
local function remember(playlist, directives, text, cache_control)
    local answer = { text = text, cache_control = cache_control }
    if playlist.answers_count < MAX_REMEMBERED and #directives <= MAX_DIRECTIVES then
        playlist.answers_count = playlist.answers_count + 1
        playlist.answers[directives] = answer
    end
    return answer
end

-- The answer to `directives`, perhaps after a wait. Nil when the request has been ended with an error.
local function resolve(key, playlist, directives)
    if playlist.ended then
        return remember(playlist, directives, playlist.whole, CACHE_PLAIN)
    end
    local problem, msn, part, skip = rules.directives(ngx.decode_args(directives, 16))
    if problem then
        return answers.fail(400, "invalid", problem .. ".")
    end
    if rules.decide(playlist, msn, part) == "ahead" then
        return answers.fail(400, "invalid", "The stream is not that far yet.")
    end
    local reason
    playlist, reason = playlists.wait(key, playlist, published, msn, part)
    if not playlist then
        return playlists.refuse(reason)
    end
    -- After the end the directives have no meaning, not even for the one who waited.
    local blocking = msn and not playlist.ended
    local text = skip and not playlist.ended and playlist.delta or playlist.whole
    return remember(playlist, directives, text, blocking and playlist.cache_blocking or CACHE_PLAIN)
end

--- Content handler of /live/<login>/<session>/<rendition>/index.m3u8.
function playlists.serve()
    if not answers.may_read() then
        return
    end
    local var = ngx.var
    local key = var.stream
    local playlist = playlists.settled(key)
    if not playlist then
        return playlists.refuse("gone")
    end
    local playback, directives = split_query(var.args or "")
    if not viewers.seen(playlist.session, playback) then
        return answers.fail(429, "rate_limited", "Too many requests from this address.", 1)
    end
    local answer = playlist.answers[directives] or resolve(key, playlist, directives)
    if answer then
        send(answer)
    end
end

return playlists
