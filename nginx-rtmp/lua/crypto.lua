--- HMAC-SHA256 and what goes with it, through the libcrypto that nginx itself is linked with.

local bit = require "bit"
local ffi = require "ffi"

ffi.cdef [[
const void *EVP_sha256(void);
unsigned char *HMAC(const void *evp_md, const void *key, int key_len, const unsigned char *d, size_t n,
                    unsigned char *md, unsigned int *md_len);
unsigned char *SHA256(const unsigned char *d, size_t n, unsigned char *md);
int RAND_bytes(unsigned char *buf, int num);
]]

local byte, char, format, gsub = string.byte, string.char, string.format, string.gsub

local DIGEST_BYTES = 32

local crypto = {}

local digest = ffi.new("unsigned char[?]", DIGEST_BYTES)

--- HMAC-SHA256 of `text`: its first `length` bytes, all 32 when not given.
function crypto.hmac(key, text, length)
    ffi.C.HMAC(ffi.C.EVP_sha256(), key, #key, text, #text, digest, nil)
    return ffi.string(digest, length or DIGEST_BYTES)
end

--- SHA-256 of `text`, 32 bytes.
function crypto.sha256(text)
    ffi.C.SHA256(text, #text, digest)
    return ffi.string(digest, DIGEST_BYTES)
end

--- `length` random bytes.
function crypto.random(length)
    local bytes = ffi.new("unsigned char[?]", length)
    assert(ffi.C.RAND_bytes(bytes, length) == 1, "no randomness")
    return ffi.string(bytes, length)
end

--- Whether two strings are equal; how long it takes does not tell where they differ.
function crypto.same(a, b)
    if #a ~= #b then
        return false
    end
    local difference = 0
    for i = 1, #a do
        difference = bit.bor(difference, bit.bxor(byte(a, i), byte(b, i)))
    end
    return difference == 0
end

--- Bytes as lower-case hexadecimal digits.
function crypto.hex(bytes)
    return (gsub(bytes, ".", function(one) return format("%02x", byte(one)) end))
end

--- The bytes that hexadecimal digits stand for.
function crypto.unhex(digits)
    return (gsub(digits, "%x%x", function(pair) return char(tonumber(pair, 16)) end))
end

return crypto
