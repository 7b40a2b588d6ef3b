-- One message into one room: every check that has to hold over all processes, then the stream and
-- the fan-out, in one step. chat/store.py calls it and says what the keys and arguments are.
--
-- KEYS 1 room  2 barred  3 warned  4 the sender's last message  5 the sender's times  6 unique texts
--      7 log
-- ARGV 1 revision  2 sender  3 rate  4 rate window, ms  5 slow mode, ms  6 unique ms (0: off)
--      7 duplicate ms (0: off)  8 barrable (1)  9 digest of the text  10 publish (1), or only charge
--      11 rest of the frame  12 channel to publish on  13 id of the message  14 run of the server
-- Answer: {code, milliseconds to wait or the offset, the time in ms}

local room = redis.call('HMGET', KEYS[1], 'epoch', 'rev', 'run')
-- Redis was emptied or restarted, this room has never been loaded, or what was loaded is in doubt: nobody is
-- let in before the bans are. A restarted Redis may also have forgotten offsets that were given out.
if not room[1] or room[3] ~= ARGV[14] then return {'absent', 0, 0} end
if room[2] ~= ARGV[1] then return {'stale', 0, 0} end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local user = ARGV[2]

if ARGV[8] == '1' then
  local ends = redis.call('HGET', KEYS[2], user)
  if ends == '0' then return {'banned', 0, now} end
  if ends and tonumber(ends) > now then return {'timedout', tonumber(ends) - now, now} end
  if redis.call('HEXISTS', KEYS[3], user) == 1 then return {'warned', 0, now} end
end

local last = redis.call('HMGET', KEYS[4], 'text', 'at', 'id', 'offset')
-- The same message once more: its answer was lost and it was asked again. (One that was held is at
-- offset 0, and goes on when a moderator has allowed it.)
if last[3] == ARGV[13] and (last[4] ~= '0' or ARGV[10] ~= '1') then
  return {'ok', tonumber(last[4]), tonumber(last[2])}
end

local rate, window = tonumber(ARGV[3]), tonumber(ARGV[4])
local oldest = redis.call('LINDEX', KEYS[5], rate - 1)
if oldest and tonumber(oldest) + window > now then
  return {'rate', tonumber(oldest) + window - now, now}
end

local duplicate, slow, unique = tonumber(ARGV[7]), tonumber(ARGV[5]), tonumber(ARGV[6])
if duplicate > 0 and last[1] == ARGV[9] and now < tonumber(last[2]) + duplicate then
  return {'duplicate', 0, now}
end
if unique > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', now - unique)
  if redis.call('ZSCORE', KEYS[6], ARGV[9]) then return {'unique', 0, now} end
end
if slow > 0 and last[2] and now < tonumber(last[2]) + slow then
  return {'slow', tonumber(last[2]) + slow - now, now}
end

redis.call('LPUSH', KEYS[5], now)
redis.call('LTRIM', KEYS[5], 0, rate - 1)
redis.call('PEXPIRE', KEYS[5], window)
redis.call('HSET', KEYS[4], 'text', ARGV[9], 'at', now, 'id', ARGV[13], 'offset', 0)
redis.call('PEXPIRE', KEYS[4], math.max(duplicate, 120000))
if unique > 0 then
  redis.call('ZADD', KEYS[6], now, ARGV[9])
  redis.call('PEXPIRE', KEYS[6], unique)
end
if ARGV[10] ~= '1' then return {'ok', 0, now} end

-- RFC 3339 from the days since 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date
-- algorithms", civil_from_days).
local function stamp(ms)
  local s = math.floor(ms / 1000)
  local z = math.floor(s / 86400) + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524)
    - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
    math.floor(s / 3600) % 24, math.floor(s / 60) % 60, s % 60, ms % 1000)
end

local offset = redis.call('HINCRBY', KEYS[1], 'seq', 1)
local frame = string.format('{"type":"message","offset":%.0f,"ts":"%s",%s', offset, stamp(now), ARGV[11])
redis.call('XADD', KEYS[7], string.format('%.0f-0', offset), 'f', frame)
redis.call('HSET', KEYS[4], 'offset', string.format('%.0f', offset))
redis.call('PUBLISH', ARGV[12], 'a' .. frame)
return {'ok', offset, now}
