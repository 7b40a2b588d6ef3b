--- Answers that are the same for every route.

local answers = {}

local CACHE_NEVER = "no-store"

--- Ends the request with the JSON error of the public API. `code` and `message` are constants of this program.
-- `retry_after`: whole seconds, optional.
function answers.fail(status, code, message, retry_after)
    local header = ngx.header
    ngx.status = status
    header["Content-Type"] = "application/json"
    header["Cache-Control"] = CACHE_NEVER
    local hint = ""
    if retry_after then
        header["Retry-After"] = retry_after
        hint = ',"retry_after":' .. retry_after
    end
    local body = '{"error":{"code":"' .. code .. '","message":"' .. message .. '"' .. hint .. "}}\n"
    header["Content-Length"] = #body
    ngx.print(body)
    ngx.exit(ngx.OK)
end

--- Sends `body` as a whole. `cache_control` is a header value.
function answers.send(body, content_type, cache_control)
    local header = ngx.header
    header["Content-Type"] = content_type
    header["Cache-Control"] = cache_control or CACHE_NEVER
    header["Content-Length"] = #body
    ngx.print(body)
end

--- Asks the client to send the same request again on a new connection, which another worker will take.
function answers.again()
    local header = ngx.header
    header["Cache-Control"] = CACHE_NEVER
    header["Connection"] = "close"
    header["Location"] = ngx.var.request_uri
    ngx.exit(307)
end

--- Answers a browser that asks what another origin's page may do here.
function answers.preflight()
    local header = ngx.header
    ngx.status = 204
    header["Access-Control-Allow-Methods"] = "GET, HEAD, OPTIONS"
    header["Access-Control-Allow-Headers"] = "Range, If-None-Match, If-Modified-Since"
    header["Access-Control-Max-Age"] = 86400
    ngx.exit(ngx.OK)
end

--- Answers preflights and refuses what is neither GET nor HEAD; true when the request goes on.
function answers.may_read()
    local method = ngx.req.get_method()
    if method == "GET" or method == "HEAD" then
        return true
    end
    if method == "OPTIONS" then
        answers.preflight()
        return false
    end
    ngx.header["Allow"] = "GET, HEAD, OPTIONS"
    answers.fail(405, "method_not_allowed", "This resource is read with GET.")
    return false
end

return answers
