-- change: write a schedule, if it is still what whoever changes it has read.
--
-- KEYS     rows standing due
-- ARGV     1 its name  2 its row as it was, '' for none  3 its standing as it was
--          4 the row, '' to remove it  5 the standing  6 when to look at it, ms, '' for never
-- Returns  1, or 0 where it was changed meanwhile and nothing is written

local name = ARGV[1]
if (redis.call('HGET', KEYS[1], name) or '') ~= ARGV[2] then return 0 end
if (redis.call('HGET', KEYS[2], name) or '') ~= ARGV[3] then return 0 end

if ARGV[4] == '' then
  redis.call('HDEL', KEYS[1], name)
  redis.call('HDEL', KEYS[2], name)
  redis.call('ZREM', KEYS[3], name)
  return 1
end
-- The row is last: what has none is not there, and whatever was written before it is written over.
if ARGV[6] == '' then redis.call('ZREM', KEYS[3], name) else redis.call('ZADD', KEYS[3], ARGV[6], name) end
redis.call('HSET', KEYS[2], name, ARGV[5])
redis.call('HSET', KEYS[1], name, ARGV[4])
return 1
