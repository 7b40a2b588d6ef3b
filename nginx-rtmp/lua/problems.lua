--- What goes wrong where nothing may be logged, since nginx adds the request to every line: told without it.

local store = ngx.shared.storage

local LIST = "problems"
local MOST = 100
local LOOK_S = 1

local problems = {}

--- Has `text` logged in a moment, by itself. It must hold nothing of a request.
function problems.note(text)
    if (store:llen(LIST) or 0) < MOST then
        store:rpush(LIST, text)
    end
end

local function tell()
    local text = store:lpop(LIST)
    while text do
        ngx.log(ngx.WARN, text)
        text = store:lpop(LIST)
    end
end

--- Begins telling. A timer logs as the configuration where it was made says: this is to be called outside of any
-- location, when a worker starts.
function problems.watch()
    if ngx.worker.id() == 0 then
        assert(ngx.timer.every(LOOK_S, tell))
    end
end

return problems
