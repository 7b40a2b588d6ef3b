--- Signatures in paths of videos: tokens of those that not everybody may watch, and borrowed objects.

local base64 = require "ngx.base64"

local crypto = require "crypto"

-- Clocks of our machines may differ by this much.
local LEEWAY_S = 60
local OBJECT_SIGNATURE_BYTES = 12

local tokens = {}

local key

--- Sets the key, hexadecimal; `api` and `recorder` sign with the same.
function tokens.configure(hex_key)
    key = crypto.unhex(hex_key)
end

local function signature(text, length)
    return base64.encode_base64url(crypto.hmac(key, text, length))
end

--- What a token (`<expiry>.<subject>.<signature>`, nil or "" for none) is worth for `subject` of `kind` at Unix time
-- `now`: "valid", "missing", "wrong" or "expired".
function tokens.check(token, kind, subject, now)
    if not token or token == "" then
        return "missing"
    end
    local expiry, of, given = token:match("^(%d+)%.([%w_-]+)%.([%w_-]+)$")
    if not expiry or #expiry > 12 or of ~= subject then
        return "wrong"
    end
    if not crypto.same(given, signature(kind .. "|" .. subject .. "|" .. expiry)) then
        return "wrong"
    end
    return now > tonumber(expiry) + LEEWAY_S and "expired" or "valid"
end

--- Whether we have named object `object` in a playlist of `owner` ("vod/<id>" or "clip-media/<id>").
function tokens.names(owner, object, given)
    return crypto.same(given, signature("object|" .. owner .. "|" .. object, OBJECT_SIGNATURE_BYTES))
end

return tokens
