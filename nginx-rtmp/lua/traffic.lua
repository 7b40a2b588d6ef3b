--- What this edge has served: requests, their time and bytes, by kind and class of status; and requests that are held.
--
-- Counted in each worker's own memory, since an addition in the shared dict is a lock for each request, and added up
-- there every second.

local request_log = require "request_log"
local waiters = require "waiters"

local store = ngx.shared.traffic
local pairs, concat = pairs, table.concat

local FLUSH_S = 1
-- A worker that died holds nothing.
local HELD_TTL_S = 3 * FLUSH_S

-- First path segment → kind. A login is a page of the web UI, and so is everything unknown.
local KINDS = {
    api = "api", assets = "web", chat = "chat", emotes = "emotes", live = "live", oauth2 = "chat", readyz = "health",
    healthz = "health", vod = "vod",
}

local traffic = {}

-- "<kind> <status class>" → { requests, seconds, bytes } since the last flush.
local served = {}

local function kind_of(uri)
    local first, rest = uri:match("^/([^/?]*)([^?]*)")
    local kind = KINDS[first] or "web"
    if kind == "live" or kind == "vod" then
        return kind .. (rest:sub(-5) == ".m3u8" and "_playlist" or rest:sub(-6) == "/state" and "_state" or "_media")
    end
    return kind
end

--- Log handler of every public request.
function traffic.served()
    local var = ngx.var
    local kind = kind_of(var.request_uri or "")
    request_log.served(kind, ngx.status)
    local key = kind .. " " .. math.floor(ngx.status / 100) .. "xx"
    local sums = served[key]
    if not sums then
        sums = { 0, 0, 0 }
        served[key] = sums
    end
    sums[1] = sums[1] + 1
    sums[2] = sums[2] + (tonumber(var.request_time) or 0)
    sums[3] = sums[3] + (tonumber(var.bytes_sent) or 0)
end

local NAMES = { "requests", "seconds", "bytes" }

local function flush()
    for key, sums in pairs(served) do
        served[key] = nil
        for index, name in ipairs(NAMES) do
            store:incr(name .. " " .. key, sums[index], 0)
        end
    end
    store:set("held " .. ngx.worker.id(), waiters.count(), HELD_TTL_S)
end

--- Begins adding up. To be called when a worker starts.
function traffic.watch()
    assert(ngx.timer.every(FLUSH_S, flush))
end

--- Requests that all workers held a moment ago.
function traffic.held()
    local total = 0
    for worker = 0, ngx.worker.count() - 1 do
        total = total + (store:get("held " .. worker) or 0)
    end
    return total
end

local HELP = {
    requests = { "requests_total", "Requests that were answered, by kind and class of status." },
    seconds = { "request_seconds_total", "Time from a request's first byte to the last of its answer; held ones wait." },
    bytes = { "sent_bytes_total", "Bytes of answers." },
}

--- The counters in the Prometheus text format.
function traffic.exposition()
    local series = { requests = {}, seconds = {}, bytes = {} }
    for _, key in ipairs(store:get_keys(0)) do
        local name, kind, status = key:match("^(%S+) (%S+) (%S+)$")
        if name then
            local full = "footlight_edge_" .. HELP[name][1]
            local value = string.format(name == "seconds" and "%.3f" or "%.0f", store:get(key) or 0)
            local lines = series[name]
            lines[#lines + 1] = full .. '{kind="' .. kind .. '",status="' .. status .. '"} ' .. value .. "\n"
        end
    end
    local text = {}
    for _, name in ipairs(NAMES) do
        local full = "footlight_edge_" .. HELP[name][1]
        text[#text + 1] = "# HELP " .. full .. " " .. HELP[name][2] .. "\n# TYPE " .. full .. " counter\n"
            .. concat(series[name])
    end
    return concat(text)
end

return traffic
