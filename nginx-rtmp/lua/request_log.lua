--- A line for each request that somebody may ask about: of the API, of chat, of a video's playlist, and whatever fails.
-- Media that is served is not among them: it is thousands a second.
--
-- Lines are as those of our other services, on standard error with nginx's own. Nobody waits for whoever reads them:
-- what does not fit into the pipe, and what is more than MOST, is left out and counted.

local bit = require "bit"
local ffi = require "ffi"

local C = ffi.C
local concat, floor, gsub = table.concat, math.floor, string.gsub

ffi.cdef [[
int isatty(int fd);
int fcntl(int fd, int cmd, ...);
ssize_t write(int fd, const void *buffer, size_t count);
]]

local STDERR = 2
local F_GETFL, F_SETFL, O_NONBLOCK = 3, 4, 2048
-- Lines of a worker in a second: a flood says who floods, and fills no disk.
local MOST = 100
local KINDS = { api = true, chat = true, vod_playlist = true }
-- The client left, which players do all the time.
local LEFT = 499
-- Values that are secrets wherever they stand, as core/logs.py knows them.
local SECRETS = [[live_\d+_\w{8,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|fl(?:r|p|at)_[\w-]{16,}]]

local request_log = {}

--- Makes standard error one that no worker waits for. To be called before workers start.
function request_log.begin()
    -- A terminal is its shell's as well.
    if C.isatty(STDERR) == 0 then
        local flags = C.fcntl(STDERR, F_GETFL)
        C.fcntl(STDERR, F_SETFL, ffi.new("int", bit.bor(flags, O_NONBLOCK)))
    end
end

-- Of this second, in this worker.
local second, written, left_out = 0, 0, 0

-- `fields` are the rest of a JSON object. A line is shorter than a pipe takes at once, so it is never torn.
local function put(level, event, fields)
    local now = ngx.now()
    local line = concat {
        '{"time":"', os.date("!%Y-%m-%dT%H:%M:%S", floor(now)), string.format(".%03dZ", floor(now % 1 * 1000)),
        '","level":"', level, '","service":"edge","event":"', event, '"', fields, "}\n",
    }
    return C.write(STDERR, line, #line) == #line
end

local function has_room()
    local now = ngx.time()
    if now ~= second then
        second, written = now, 0
        if left_out > 0 and put("warning", "requests_not_logged", ',"count":' .. left_out) then
            left_out = 0
        end
    end
    written = written + 1
    return written <= MOST
end

-- In quotes, as JSON.
local function quoted(text)
    return '"' .. gsub(gsub(text, "[^\32-\126]", "?"), '["\\]', "\\%0") .. '"'
end

-- Without the query, where tokens of players and links are; without those that the paths of videos hold (media_paths.lua).
local function path_of(request_uri)
    local path = request_uri:match("^[^?]*"):sub(1, 1000)
    path = gsub(gsub(gsub(path, "~[^/]*", "~"), "%%[25]*7[eE][^/]*", "~"), "/o/[^/]*", "/o/~")
    return (ngx.re.gsub(path, SECRETS, "***", "jo"))
end

local function is_told(kind, status)
    return KINDS[kind] or status >= 400 and status ~= LEFT or status == 101
end

--- Log handler of a public request of `kind` (traffic.lua), answered with `status`.
function request_log.served(kind, status)
    if not is_told(kind, status) then
        return
    end
    local var = ngx.var
    local fields = {
        ',"request_id":"', var.request_id, '","address":', quoted(var.remote_addr or ""),
        ',"method":', quoted(var.request_method or ""), ',"path":', quoted(path_of(var.request_uri or "")),
        ',"status":', status, ',"bytes":', var.bytes_sent or 0,
        ',"ms":', floor((tonumber(var.request_time) or 0) * 1000),
    }
    if var.upstream_status then
        fields[#fields + 1] = ',"upstream_status":' .. quoted(var.upstream_status)
    end
    if not (has_room() and put(status >= 500 and "warning" or "info", "request", concat(fields))) then
        left_out = left_out + 1
    end
end

return request_log
