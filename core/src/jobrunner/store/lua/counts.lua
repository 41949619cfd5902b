-- counts: how many jobs are in each state, at one moment. The sizes of the true lists, never counters of their own.
--
-- KEYS     wait later active done dead cancelled parked meta jobs held turns refill
-- ARGV     none
-- Returns  {waiting, delayed, active, completed, failed, cancelled, parked, paused (0 or 1), oldest_ms, held,
--          coming}: oldest_ms is how long the first job in line has waited since it was enqueued, -1 if none waits;
--          held are those of `parked` that are held for their tenants; coming are the tenants of those that are to go
--          on by themselves
-- uses: time
local counts = {}
for k = 1, 7 do counts[k] = call('ZCARD', KEYS[k]) end
counts[8] = call('HGET', KEYS[8], 'paused') == '1' and 1 or 0
local first = call('ZRANGE', KEYS[1], 0, 0)[1]
local at = first and match(call('HGET', KEYS[9], first) or '', '^%[(%d+)')
counts[9] = at and math.max(0, now - at) or -1
counts[10], counts[11] = call('ZCARD', KEYS[10]), call('ZCARD', KEYS[11]) + call('ZCARD', KEYS[12])
return counts
