--- The life of the shared dict: it survives workers and reloads, and ends with the master process.

local waiters = require "waiters"

local store = ngx.shared.versions

local TOLD = ":told"
-- Without `ingest` nobody tells anything: what is not known this long after the start does not exist, seconds.
local STARTING_S = 5

local boot = {}

--- Called once per configuration, in the master. A reload keeps the id, since it keeps the dict.
function boot.begin()
    local source = assert(io.open("/dev/urandom", "rb"))
    local id = source:read(8):gsub(".", function(byte) return string.format("%02x", byte:byte()) end)
    source:close()
    store:add(":boot", id)
    store:add(":booted_at", ngx.time())
end

--- 16 hexadecimal digits; another value means that everything published before is lost.
function boot.id()
    return store:get(":boot")
end

--- Unix time of the boot in whole seconds.
function boot.time()
    return store:get(":booted_at")
end

--- `ingest` has told everything there is: from now on what is not known does not exist.
function boot.told()
    waiters.publish(TOLD)
end

--- Holds a request until `key` has a version, or until what is not known a moment after the start does not exist.
-- Returns at once later on.
function boot.wait_for(key)
    while not waiters.version(key) do
        local left = boot.time() + STARTING_S - ngx.now()
        if left <= 0 or waiters.wait(key, nil, left) ~= "changed" then
            return
        end
    end
end

--- Holds a request for what is not known until `ingest` has told everything, a moment after the start. A stream that
-- runs must not look gone to its viewers because this edge has just lost its memory. Returns at once later on.
function boot.settle()
    boot.wait_for(TOLD)
end

return boot
