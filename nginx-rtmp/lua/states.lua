--- Who may watch a video or clip: asked of `recorder`, and remembered for a few seconds.

local store = ngx.shared.videos

local match = string.match

-- What is known is believed so long, and while `recorder` does not answer so much longer: whoever watches goes on.
local FRESH_S, LAST_RESORT_S = 5, 300
-- One request asks; the others go by what was known a moment ago.
local ASKING_S = 1

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

--- "open", "token" or "gone" and the folder of the objects of `id`, of `kind` "vod" or "clip-media". Nil when nobody
-- knows.
function states.look_up(kind, id)
    local key = kind .. "/" .. id
    local state, prefix, age = remembered(key)
    if state and (age < FRESH_S or age < FRESH_S + ASKING_S and not store:add("asking:" .. key, true, ASKING_S)) then
        return state, prefix
    end
    local now_state, now_prefix = ask(kind, id)
    if not now_state then
        return state, prefix
    end
    store:set(key, ngx.now() .. " " .. now_state .. " " .. now_prefix, LAST_RESORT_S)
    return now_state, now_prefix
end

return states
