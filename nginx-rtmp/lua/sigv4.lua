--- Signature Version 4 of AWS for reading an object of S3, without nginx.
--
-- https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
-- The secret key stays with `recorder`. What signs here is a key for one day, one region and S3 alone, made of it.

local crypto = require "crypto"

local concat = table.concat

local ALGORITHM = "AWS4-HMAC-SHA256"
-- A request without a body.
local EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
local SIGNED = "host;x-amz-content-sha256;x-amz-date"

local sigv4 = { EMPTY = EMPTY }

--- The Authorization header of `method` on `path`.
-- `host` as the Host header has it; `path` of characters that need no escaping (A-Z a-z 0-9 - . _ ~ /); `time` as
-- 20130524T000000Z, of the day that `day_key` (32 bytes) is for. The request must carry X-Amz-Date: `time` and
-- X-Amz-Content-Sha256: sigv4.EMPTY.
function sigv4.authorization(method, host, path, time, access_key, region, day_key)
    local scope = concat({ time:sub(1, 8), region, "s3", "aws4_request" }, "/")
    local canonical = concat({
        method, path, "", "host:" .. host, "x-amz-content-sha256:" .. EMPTY, "x-amz-date:" .. time, "", SIGNED, EMPTY,
    }, "\n")
    local to_sign = concat({ ALGORITHM, time, scope, crypto.hex(crypto.sha256(canonical)) }, "\n")
    return ALGORITHM .. " Credential=" .. access_key .. "/" .. scope .. ",SignedHeaders=" .. SIGNED .. ",Signature="
        .. crypto.hex(crypto.hmac(day_key, to_sign))
end

return sigv4
