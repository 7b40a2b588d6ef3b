--- Versions of keys, in the shared dict, and requests that wait for them to change.
--
-- nginx workers cannot signal each other. Each worker keeps its own waiters in groups, a semaphore per key, and while
-- it has any looks at one counter in the shared dict every 5 ms. A change that this worker stores itself wakes at once.

local semaphore = require "ngx.semaphore"

local store = ngx.shared.versions
local exiting = ngx.worker.exiting
local sleep, now = ngx.sleep, ngx.now
local pairs, next = pairs, next

local POLL_S = 0.005
-- The timer is renewed this often, since what one timer allocates is only freed at its end.
local ROUNDS = 2000
-- A worker told to exit goes on waking for this long, a part's length: most waiters still get what they wait for.
local DRAIN_S = 0.15

local waiters = {}

-- key → { semaphore, count, version it was formed at, deadline of its last waiter, released }
local groups = {}
local watching = false
local ticks_seen
local drained_at

local function post(key, group)
    groups[key] = nil
    group.semaphore:post(group.count)
end

local function release_all()
    for key, group in pairs(groups) do
        group.released = true
        post(key, group)
    end
end

local function wake_changed()
    for key, group in pairs(groups) do
        if store:get(key) ~= group.version then
            post(key, group)
        end
    end
end

-- Clients that went away leave their group behind; it goes with the deadline of the last of them.
local function forget_abandoned()
    local time = now()
    for key, group in pairs(groups) do
        if group.deadline < time then
            post(key, group)
        end
    end
end

local function look()
    local ticks = store:get(":ticks")
    if ticks ~= ticks_seen then
        ticks_seen = ticks
        wake_changed()
    end
    if exiting() then
        drained_at = drained_at or now() + DRAIN_S
        if now() >= drained_at then
            release_all()
        end
    end
end

local watch

local function start_watching()
    watching = true
    if not ngx.timer.at(0, watch) then
        -- An exiting worker takes no new timer: nobody would wake its waiters.
        watching = false
        release_all()
    end
end

watch = function(premature)
    local round = 0
    while next(groups) and not premature do
        sleep(POLL_S)
        look()
        round = round + 1
        if round % 200 == 0 then
            forget_abandoned()
        end
        if round >= ROUNDS and not exiting() then
            return start_watching()
        end
    end
    watching = false
    if premature then
        release_all()
    end
end

--- Waits until `key` has another version than `version`, which the caller has just read, or `seconds` are over.
-- Returns "changed" (perhaps for nothing: look again), "timeout" or "exiting" (this worker will not wake anyone again).
function waiters.wait(key, version, seconds)
    local group = groups[key]
    if not group then
        group = { semaphore = semaphore.new(0), count = 0, version = version, deadline = 0, released = false }
        groups[key] = group
    end
    group.count = group.count + 1
    local deadline = now() + seconds
    if deadline > group.deadline then
        group.deadline = deadline
    end
    if not watching then
        start_watching()
    end
    local woken = group.semaphore:wait(seconds)
    if group.released then
        return "exiting"
    end
    if woken then
        return "changed"
    end
    group.count = group.count - 1
    if group.count == 0 and groups[key] == group then
        groups[key] = nil
    end
    return "timeout"
end

-- The counter is raised last: who sees its new value also sees what it stands for.
local function announce(key)
    store:incr(":ticks", 1, 0)
    local group = groups[key]
    if group then
        post(key, group)
    end
end

--- Gives `key` its next version and wakes everybody who waits for it, in this worker now and in the others soon.
-- Call it when the new value is stored. Versions are unique for the life of the shared dict.
function waiters.publish(key)
    local version = store:incr(":versions", 1, 0)
    store:set(key, version)
    announce(key)
end

--- The version of `key`, nil when it was never published or has been forgotten.
function waiters.version(key)
    return store:get(key)
end

--- Wakes who waits for `key` and forgets its version.
function waiters.retire(key)
    store:delete(key)
    announce(key)
end

--- How many requests this worker holds.
function waiters.count()
    local total = 0
    for _, group in pairs(groups) do
        total = total + group.count
    end
    return total
end

return waiters
