--- Who is watching: distinct playback ids per session over the last 15 seconds.
--
-- Each multivariant playlist carries a new id for its media playlists. An id is 9 random bytes and 6 bytes of an HMAC
-- over them and the session: invented ids count for nothing. A viewer is moved from the counter of the second it was
-- last seen in to the current one, so a count is the sum of the last counters and costs no walk over viewers.

local bit = require "bit"
local ffi = require "ffi"

ffi.cdef [[
const void *EVP_sha256(void);
unsigned char *HMAC(const void *evp_md, const void *key, int key_len, const unsigned char *d, size_t n,
                    unsigned char *md, unsigned int *md_len);
int RAND_bytes(unsigned char *buf, int num);
]]

local base64 = require "ngx.base64"
local clear = require "table.clear"

local last_seen = ngx.shared.viewers
local counters = ngx.shared.counters

local WINDOW_S = 15
local RANDOM_BYTES, MAC_BYTES = 9, 6
local RANDOM_CHARS, ID_CHARS = 12, 20
-- Playlist requests a second that one address may make without an id of ours.
local ANONYMOUS_PER_SECOND = 1000

local viewers = {}

local key
local digest, random = ffi.new("unsigned char[32]"), ffi.new("unsigned char[?]", RANDOM_BYTES)

-- Ids that this worker has noted in the present second.
local noted, noted_second = {}, 0

local function mac(session, text)
    local data = session .. " " .. text
    ffi.C.HMAC(ffi.C.EVP_sha256(), key, #key, data, #data, digest, nil)
    return base64.encode_base64url(ffi.string(digest, MAC_BYTES))
end

--- Sets the HMAC key, hexadecimal. Ids outlive a restart of nginx as long as the key stays.
function viewers.configure(hex_key)
    key = hex_key:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)
end

--- A new playback id for a session: 20 characters of A-Z a-z 0-9 _ -.
function viewers.new_id(session)
    assert(ffi.C.RAND_bytes(random, RANDOM_BYTES) == 1, "no randomness")
    local text = base64.encode_base64url(ffi.string(random, RANDOM_BYTES))
    return text .. mac(session, text)
end

local function same(a, b)
    if #a ~= #b then
        return false
    end
    local difference = 0
    for i = 1, #a do
        difference = bit.bor(difference, bit.bxor(a:byte(i), b:byte(i)))
    end
    return difference == 0
end

--- Whether this edge, or one with the same key, made `id` for `session`.
function viewers.genuine(session, id)
    return type(id) == "string" and #id == ID_CHARS
        and same(mac(session, id:sub(1, RANDOM_CHARS)), id:sub(RANDOM_CHARS + 1))
end

local function counter(session, second)
    return session .. ":" .. second
end

local function move(session, id, second)
    local before = last_seen:get(id)
    if before == second then
        return
    end
    last_seen:set(id, second, WINDOW_S + 1)
    if before then
        counters:incr(counter(session, before), -1)
    end
    counters:incr(counter(session, second), 1, 0, WINDOW_S + 5)
end

local function admit_anonymous(second)
    local address = "anonymous:" .. ngx.var.remote_addr .. ":" .. second
    return counters:incr(address, 1, 0, 2) <= ANONYMOUS_PER_SECOND
end

--- Notes that a playback asks for a playlist of `session`. False when the request should be refused: it has no id of
-- ours and its address makes many such requests.
function viewers.seen(session, id)
    local second = ngx.time()
    if second ~= noted_second then
        clear(noted)
        noted_second = second
    elseif noted[id or ""] then
        return true
    end
    if not viewers.genuine(session, id) then
        return admit_anonymous(second)
    end
    noted[id] = true
    move(session, id, second)
    return true
end

--- Viewers of `session` now.
function viewers.count(session)
    local second, total = ngx.time(), 0
    for past = second - WINDOW_S + 1, second do
        total = total + (counters:get(counter(session, past)) or 0)
    end
    return math.max(total, 0)
end

return viewers
