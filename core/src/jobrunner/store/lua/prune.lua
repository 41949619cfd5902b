-- prune: forget ids that were remembered long enough, and buckets that are full, a step a call.
--
-- KEYS     seen rates
-- ARGV     1 limit (of each, 1-1000)
-- Returns  the larger number forgotten; as many as `limit`: call again
-- uses: time
local SEEN = KEYS[1]
local old = call('ZRANGEBYSCORE', SEEN, '-inf', stamp, 'LIMIT', 0, ARGV[1])
if #old > 0 then call('ZREM', SEEN, unpack(old)) end
local full = call('ZRANGEBYSCORE', KEYS[2], '-inf', stamp, 'LIMIT', 0, ARGV[1])
if #full > 0 then call('ZREM', KEYS[2], unpack(full)) end
return math.max(#old, #full)
