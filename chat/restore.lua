-- A room's facts from PostgreSQL into Redis, all at once, and told to every process that has the room
-- open. Refused when a decision was made since they were read: `restoring` is then not what the reader
-- put there.
--
-- KEYS 1 room  2 barred  3 warned  4 restoring
-- ARGV 1 token  2 run of the server  3 epoch, if it needs a new one  4 last offset in PostgreSQL
--      5 last offset that anybody has seen  6 leap  7 channel to publish on  8 what is published there
--      9 how many barred follow  then user, end, …  then users who are warned
-- Answer: 1 restored, 0 try again, 2 somebody else has done it

if redis.call('GET', KEYS[4]) ~= ARGV[1] then return 0 end
local had = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'run')
local kept, seen = tonumber(ARGV[4]), tonumber(ARGV[5])
local seq = tonumber(had[2] or 0)
if had[1] and had[3] == ARGV[2] and seq >= seen then return 2 end
if not had[1] or seq < kept or seq < seen then
  -- What came after the last offset that we know of is lost. The leap is what tells clients so, and
  -- keeps an offset from being given twice.
  local newest = math.max(seq, kept, seen)
  if newest > 0 then newest = newest + tonumber(ARGV[6]) end
  seq = newest
  redis.call('HSET', KEYS[1], 'flushed', string.format('%.0f', kept))
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[3], 'run', ARGV[2], 'seq', string.format('%.0f', seq))
redis.call('HINCRBY', KEYS[1], 'rev', 1)
redis.call('DEL', KEYS[2], KEYS[3])
local count = tonumber(ARGV[9])
for i = 10, 9 + 2 * count, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
for i = 10 + 2 * count, #ARGV do redis.call('HSET', KEYS[3], ARGV[i], '1') end
redis.call('PUBLISH', ARGV[7], ARGV[8])
return 1
