--- The private side: what `ingest` publishes, viewer counts, health and metrics. Served on a unix socket only.

local boot = require "boot"
local channels = require "channels"
local playlists = require "playlists"
local storage = require "storage"
local traffic = require "traffic"
local viewers = require "viewers"
local waiters = require "waiters"

local shared = ngx.shared

local internal = {}

local worker_connections

--- Sets how many connections a worker may hold.
function internal.configure(connections)
    worker_connections = connections
end

local function reply(status, body, content_type)
    ngx.status = status
    ngx.header["X-Edge-Boot"] = boot.id()
    ngx.header["Content-Type"] = content_type or "application/json"
    ngx.header["Content-Length"] = #body
    ngx.print(body)
    return ngx.exit(ngx.OK)
end

local function done()
    return reply(200, "{}\n")
end

local function refuse(status, message)
    return reply(status, '{"error":{"code":"invalid","message":"' .. message .. '"}}\n')
end

local function full(problem)
    ngx.log(ngx.ERR, "the shared dict takes no more: ", problem)
    return reply(507, '{"error":{"code":"unavailable","message":"The edge has no room left."}}\n')
end

-- The whole request body. nginx keeps it in memory up to client_body_buffer_size, else in a file.
local function body()
    ngx.req.read_body()
    local data = ngx.req.get_body_data()
    if data then
        return data
    end
    local path = ngx.req.get_body_file()
    if not path then
        return ""
    end
    local file = assert(io.open(path, "rb"))
    data = file:read("*a")
    file:close()
    return data
end

-- Header → field of a position, lowest value, whether it is a whole number.
local POSITION = {
    { "X-Msn", "msn", 0, true },
    { "X-Part", "part", -1, true },
    { "X-Complete-Msn", "complete_msn", -1, true },
    { "X-Part-Number", "part_number", -1, true },
    { "X-Delta-Length", "delta_length", 0, true },
    { "X-Target-Duration", "target_duration", 1, false },
    { "X-Part-Target", "part_target", 0.01, false },
}

-- The position in the headers of a playlist, or nil and the header that is wrong.
local function position(headers)
    local at = { ended = headers["X-Ended"] == "1" }
    for _, field in ipairs(POSITION) do
        local header, name, lowest, whole = unpack(field)
        local value = tonumber(headers[header])
        if not value or value < lowest or value >= 1e14 or whole and value % 1 ~= 0 then
            return nil, header
        end
        at[name] = value
    end
    return at
end

local function put_playlist(session, rendition)
    local at, wrong = position(ngx.req.get_headers())
    if not at then
        return refuse(400, wrong .. " is missing or wrong")
    end
    local data = body()
    if at.delta_length > #data then
        return refuse(400, "X-Delta-Length is longer than the body")
    end
    local stored, problem = playlists.put(session, rendition, at, data)
    if not stored then
        return full(problem)
    end
    return done()
end

--- PUT /playlists/<session>/<rendition>
function internal.playlist()
    if ngx.req.get_method() ~= "PUT" then
        return refuse(405, "PUT only")
    end
    return put_playlist(ngx.var.session, ngx.var.rendition)
end

--- PUT and DELETE /sessions/<session>
function internal.session()
    local method, session = ngx.req.get_method(), ngx.var.session
    if method == "DELETE" then
        playlists.forget_session(session)
        channels.forget_session(session)
        return done()
    elseif method ~= "PUT" then
        return refuse(405, "PUT or DELETE")
    end
    local stored, problem = channels.put_session(session, body())
    return stored and done() or full(problem)
end

--- PUT /channels/<login>
function internal.channel()
    if ngx.req.get_method() ~= "PUT" then
        return refuse(405, "PUT only")
    end
    local session = ngx.req.get_headers()["X-Session"] or ""
    if type(session) ~= "string" or not session:find("^[%w_-]*$") then
        return refuse(400, "X-Session is wrong")
    end
    local stored, problem = channels.put(ngx.var.login, session, body())
    if problem == "the body is no JSON object" then
        return refuse(400, problem)
    end
    return stored and done() or full(problem)
end

--- PUT /told: everything has been published again after a start.
function internal.told()
    if ngx.req.get_method() ~= "PUT" then
        return refuse(405, "PUT only")
    end
    boot.told()
    return done()
end

--- PUT /storage: where the bucket is, and keys that sign reading from it for a day each (see storage.lua).
function internal.storage()
    if ngx.req.get_method() ~= "PUT" then
        return refuse(405, "PUT only")
    end
    local stored, problem = storage.put(ngx.req.get_headers(), body())
    return stored and done() or refuse(400, problem)
end

--- GET /viewers
function internal.viewers()
    local counts = {}
    for _, session in ipairs(channels.sessions()) do
        counts[#counts + 1] = '"' .. session .. '":' .. viewers.count(session)
    end
    return reply(200, '{"sessions":{' .. table.concat(counts, ",") .. "}}\n")
end

local function watching()
    local total = 0
    for _, session in ipairs(channels.sessions()) do
        total = total + viewers.count(session)
    end
    return total
end

-- Name, Prometheus type, help and value of everything there is to know about this instance.
local function figures()
    local var = ngx.var
    return {
        { "uptime_seconds", "gauge", "Seconds since the shared memory was made.", ngx.time() - boot.time() },
        { "workers", "gauge", "Worker processes.", ngx.worker.count() },
        { "connections_active", "gauge", "Open client connections.", tonumber(var.connections_active) },
        { "connections_limit", "gauge", "How many there may be, those to what is behind the edge included.",
            worker_connections * ngx.worker.count() },
        { "connections_writing", "gauge", "Connections being answered or held.", tonumber(var.connections_writing) },
        { "sessions", "gauge", "Broadcast sessions with a multivariant playlist.", #channels.sessions() },
        { "playlists_free_bytes", "gauge", "Free pages for playlists.", shared.playlists:free_space() },
        { "channels_free_bytes", "gauge", "Free pages for channel states.", shared.channels:free_space() },
        { "viewers_free_bytes", "gauge", "Free pages for playback ids.", shared.viewers:free_space() },
        { "video_cache_hits_total", "counter", "Objects of videos served from the disk.", storage.count("hits") },
        { "video_cache_misses_total", "counter", "Objects of videos fetched.", storage.count("misses") },
        { "video_failures_total", "counter", "Objects that the storage did not serve.", storage.count("failures") },
        { "viewers", "gauge", "Distinct playbacks of live streams in the last 15 s.", watching() },
        { "held_requests", "gauge", "Requests that wait for a playlist or a state to change.", traffic.held() },
        { "playlist_staleness_seconds", "gauge", "Age of the oldest playlist of a live stream.", playlists.staleness() },
        { "worker_held_requests", "gauge", "Requests held by the worker that answers.", waiters.count() },
    }
end

--- GET /status
function internal.status()
    local fields = { '"boot":"' .. boot.id() .. '"', '"worker_pid":' .. ngx.worker.pid() }
    for _, figure in ipairs(figures()) do
        fields[#fields + 1] = '"' .. figure[1] .. '":' .. figure[4]
    end
    return reply(200, "{" .. table.concat(fields, ",") .. "}\n")
end

--- GET /metrics, in the Prometheus text format
function internal.metrics()
    local lines = {}
    for _, figure in ipairs(figures()) do
        local name = "footlight_edge_" .. figure[1]
        lines[#lines + 1] = string.format("# HELP %s %s\n# TYPE %s %s\n%s %.14g\n", name, figure[3], name, figure[2], name,
            figure[4])
    end
    lines[#lines + 1] = traffic.exposition()
    return reply(200, table.concat(lines), "text/plain; version=0.0.4")
end

--- GET /healthz and /readyz
function internal.health()
    return reply(200, '{"status":"ok"}\n')
end

function internal.unknown()
    return reply(404, '{"error":{"code":"not_found","message":"There is nothing here."}}\n')
end

return internal
