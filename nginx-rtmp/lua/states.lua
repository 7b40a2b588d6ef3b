--- Who may watch a video or clip: asked of `recorder`, and remembered for a few seconds.

local semaphore = require "ngx.semaphore"

local store = ngx.shared.videos

local match = string.match

-- What is known is believed so long, and while `recorder` does not answer so much longer: whoever watches goes on.
local FRESH_S, LAST_RESORT_S = 5, 300
-- One request of a worker asks, and the others wait for its answer; not for ever, since its client may have left.
local PATIENCE_S = 3

local PLACES = { vod = "/-media/state/videos/", ["clip-media"] = "/-media/state/clips/" }
local GONE = "gone"
local STATES = { open = true, token = true, [GONE] = true }

local states = {}

-- The state and the folder of objects as `recorder` has them, nil when it does not say.
local function ask(kind, id)
    local answer = ngx.location.capture(PLACES[kind] .. id)
    if answer.status == 404 then
        return GONE, ""
    elseif answer.status ~= 200 or answer.truncated then
        return nil
    end
    -- Our own service writes it: a flat object of plain strings.
    local state = match(answer.body, '"state"%s*:%s*"(%l+)"')
    local prefix = match(answer.body, '"prefix"%s*:%s*"([%w/_-]+)"')
    if not STATES[state] or state ~= GONE and not prefix then
        return nil
    end
    return state, prefix or ""
end

local function remembered(key)
    local packed = store:get(key)
    if not packed then
        return nil
    end
    local at, state, prefix = match(packed, "^(%S+) (%S+) (%S*)$")
    return state, prefix, ngx.now() - tonumber(at)
end

-- key → { semaphore, how many wait, until when }
local asking = {}

-- Asks, unless another request of this worker does already: then its answer is remembered when this returns.
local function ask_once(kind, id, key)
    local group = asking[key]
    if group and group.deadline > ngx.now() then
        group.count = group.count + 1
        group.semaphore:wait(group.deadline - ngx.now())
        return
    end
    group = { semaphore = semaphore.new(0), count = 0, deadline = ngx.now() + PATIENCE_S }
    asking[key] = group
    local state, prefix = ask(kind, id)
    if state then
        store:set(key, ngx.now() .. " " .. state .. " " .. prefix, LAST_RESORT_S)
    end
    if asking[key] == group then
        asking[key] = nil
    end
    if group.count > 0 then
        group.semaphore:post(group.count)
    end
end

--- "open", "token" or "gone" and the folder of the objects of `id`, of `kind` "vod" or "clip-media". Nil when nobody
-- knows.
function states.look_up(kind, id)
    local key = kind .. "/" .. id
    local state, prefix, age = remembered(key)
    if not state or age >= FRESH_S then
        ask_once(kind, id, key)
        state, prefix = remembered(key)
    end
    return state, prefix
end

return states
