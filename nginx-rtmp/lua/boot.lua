--- The life of the shared dict: it survives workers and reloads, and ends with the master process.

local store = ngx.shared.versions

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

return boot
