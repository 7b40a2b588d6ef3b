--- Who is watching: distinct playback ids per session over the last 15 seconds.
--
-- Each multivariant playlist carries a new id for its media playlists. An id is 9 random bytes and 6 bytes of an HMAC
-- over them and the session: invented ids count for nothing. Time goes in steps of two seconds. A viewer is moved from
-- the counter of the step it was last seen in to the current one, so that a count is the sum of the last counters and
-- costs no walk over viewers.

local base64 = require "ngx.base64"
local clear = require "table.clear"

local crypto = require "crypto"

local last_seen = ngx.shared.viewers
local counters = ngx.shared.counters

local STEP_S = 2
local WINDOW_STEPS = 8
local WINDOW_S = WINDOW_STEPS * STEP_S
local RANDOM_BYTES, MAC_BYTES = 9, 6
local RANDOM_CHARS, ID_CHARS = 12, 20

local viewers = {}

local key, anonymous_rate

-- Ids that this worker has noted in the present step.
local noted, noted_step = {}, 0

local function present_step()
    return math.floor(ngx.time() / STEP_S)
end

local function mac(session, text)
    return base64.encode_base64url(crypto.hmac(key, session .. " " .. text, MAC_BYTES))
end

--- Sets the HMAC key, hexadecimal, and how many playlists a second one address may ask for without an id of ours.
-- Ids outlive a restart of nginx as long as the key stays.
function viewers.configure(hex_key, rate)
    anonymous_rate = rate
    key = crypto.unhex(hex_key)
end

--- A new playback id for a session: 20 characters of A-Z a-z 0-9 _ -.
function viewers.new_id(session)
    local text = base64.encode_base64url(crypto.random(RANDOM_BYTES))
    return text .. mac(session, text)
end

--- Whether this edge, or one with the same key, made `id` for `session`.
function viewers.genuine(session, id)
    return type(id) == "string" and #id == ID_CHARS
        and crypto.same(mac(session, id:sub(1, RANDOM_CHARS)), id:sub(RANDOM_CHARS + 1))
end

local function counter(session, step)
    return session .. ":" .. step
end

local function move(session, id, step)
    local before = last_seen:get(id)
    if before == step then
        return
    end
    last_seen:set(id, step, WINDOW_S + STEP_S)
    if before then
        counters:incr(counter(session, before), -1)
    end
    counters:incr(counter(session, step), 1, 0, WINDOW_S + 2 * STEP_S)
end

local function admit_anonymous()
    local requests = counters:incr("anonymous:" .. ngx.var.remote_addr .. ":" .. ngx.time(), 1, 0, 2)
    return not requests or requests <= anonymous_rate
end

--- Notes that a playback asks for a playlist of `session`. False when the request should be refused: it has no id of
-- ours and its address makes many such requests.
function viewers.seen(session, id)
    local step = present_step()
    if step ~= noted_step then
        clear(noted)
        noted_step = step
    elseif noted[id or ""] then
        return true
    end
    if not viewers.genuine(session, id) then
        return admit_anonymous()
    end
    noted[id] = true
    move(session, id, step)
    return true
end

--- Viewers of `session` now.
function viewers.count(session)
    local step, total = present_step(), 0
    for past = step - WINDOW_STEPS + 1, step do
        total = total + (counters:get(counter(session, past)) or 0)
    end
    return math.max(total, 0)
end

return viewers
