--- The object storage as `recorder` tells of it, and requests to it.
--
-- The bucket is private. What is kept here signs reading for one day: see sigv4.lua.

local boot = require "boot"
local crypto = require "crypto"
local problems = require "problems"
local sigv4 = require "sigv4"
local waiters = require "waiters"

local store = ngx.shared.storage

local CHANGED = ":storage"
local ENDPOINT = "endpoint"
local DAY_KEY_BYTES = 32
-- One line of a long trouble in so many seconds.
local WARN_EVERY_S = 30

local storage = {}

-- The endpoint as decoded by this worker, and the version it was decoded from.
local known, known_version
local turn = 0

-- Header → field of the endpoint, and what it has to look like.
local FIELDS = {
    { "X-Scheme", "scheme", "^https?$" },
    { "X-Host", "host", "^[%w%.%-_:%[%]]+$" },
    { "X-Addresses", "addresses", "^[%x%.:%[%],]+$" },
    { "X-Path", "path", "^/[%w%.%-_~/]+$" },
    { "X-Region", "region", "^[%w%-]+$" },
    { "X-Access-Key", "access_key", "^[%w%+/=%-_%.]+$" },
}

local function day_keys(body)
    local lines = {}
    for day, key in body:gmatch("(%d%d%d%d%d%d%d%d) (%x+)\n") do
        if #key == 2 * DAY_KEY_BYTES then
            lines[#lines + 1] = day .. " " .. key .. "\n"
        end
    end
    return lines
end

--- Keeps what `recorder` posted: headers that say where the bucket is, and a body of lines
-- "<day as 20130524> <that day's key, hexadecimal>". Returns nil and what is wrong with it.
function storage.put(headers, body)
    local lines = day_keys(body)
    if #lines == 0 then
        return nil, "the body holds no day's key"
    end
    for _, field in ipairs(FIELDS) do
        local header, name, form = unpack(field)
        local value = headers[header]
        if type(value) ~= "string" or not value:find(form) then
            return nil, header .. " is missing or wrong"
        end
        lines[#lines + 1] = name .. "=" .. value .. "\n"
    end
    local stored, problem = store:safe_set(ENDPOINT, table.concat(lines))
    if not stored then
        return nil, problem
    end
    waiters.publish(CHANGED)
    return true
end

local function decode(text)
    local endpoint = { days = {}, addresses = {} }
    for day, key in text:gmatch("(%d+) (%x+)\n") do
        endpoint.days[day] = crypto.unhex(key)
    end
    for name, value in text:gmatch("([%l_]+)=([^\n]*)\n") do
        if name == "addresses" then
            for address in value:gmatch("[^,]+") do
                endpoint.addresses[#endpoint.addresses + 1] = address
            end
        else
            endpoint[name] = value
        end
    end
    return endpoint
end

-- The endpoint, nil when nobody has told of it yet.
local function current()
    local version = waiters.version(CHANGED)
    if version and version ~= known_version then
        local text = store:get(ENDPOINT)
        known, known_version = text and decode(text) or nil, version
    end
    return known
end

--- Whether objects can be asked for; right after a start once `recorder` has had its say.
function storage.ready()
    if not current() then
        boot.wait_for(CHANGED)
    end
    return current() ~= nil
end

--- Makes the variables of this request ask for the object `key` (of characters that need no escaping). False when
-- nobody has given us today's key.
function storage.sign(method, key)
    local endpoint = current()
    local time = os.date("!%Y%m%dT%H%M%SZ", ngx.time())
    local day_key = endpoint and endpoint.days[time:sub(1, 8)]
    if not day_key then
        return false
    end
    local var = ngx.var
    local path = endpoint.path .. "/" .. key
    var.storage_url = endpoint.scheme .. "://storage" .. path
    var.storage_host = endpoint.host
    var.storage_name = endpoint.host:match("^%[.-%]") or endpoint.host:match("^[^:]+")
    var.storage_date = time
    var.storage_authorization = sigv4.authorization(method, endpoint.host, path, time, endpoint.access_key,
        endpoint.region, day_key)
    return true
end

--- Balancer of the upstream "storage": the endpoint's addresses in turn.
function storage.balance()
    local balancer = require "ngx.balancer"
    local addresses = current().addresses
    turn = turn % #addresses + 1
    if #addresses > 1 and not balancer.get_last_failure() then
        balancer.set_more_tries(1)
    end
    local host, port = addresses[turn]:match("^(.+):(%d+)$")
    assert(balancer.set_current_peer(host, tonumber(port)))
end

--- Counts a request that the storage did not serve. The log names neither address nor request: there are tokens in
-- the paths of requests.
function storage.failed(status)
    store:incr("failures", 1, 0)
    if store:add("warned", true, WARN_EVERY_S) then
        problems.note("the object storage does not serve videos, last answer: " .. status)
    end
end

--- Counts a request by how the cache served it, as nginx has it in $upstream_cache_status.
function storage.served(cache_status)
    local hit = cache_status == "HIT" or cache_status == "STALE" or cache_status == "UPDATING"
    store:incr(hit and "hits" or "misses", 1, 0)
end

--- How many requests there were: "hits", "misses" or "failures".
function storage.count(what)
    return store:get(what) or 0
end

return storage
