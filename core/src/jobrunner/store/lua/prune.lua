-- prune: forget ids that were remembered long enough, a step a call.
--
-- KEYS     seen
-- ARGV     1 limit (ids, 1-1000)
-- Returns  the number of ids forgotten; as many as `limit`: call again
-- uses: time
local SEEN = KEYS[1]
local old = call('ZRANGEBYSCORE', SEEN, '-inf', stamp, 'LIMIT', 0, ARGV[1])
if #old > 0 then call('ZREM', SEEN, unpack(old)) end
return #old
