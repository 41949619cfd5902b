-- limit: set or clear what operators say of a queue or of a tenant, while everything runs.
--
-- KEYS     meta
-- ARGV     field, value ...: 1 to 50 pairs, an empty value clears. Fields: max_active, max_active_per_tenant, rate,
--          rate_per_tenant, max_waiting, max_waiting_bytes or paused of the queue; pause:, max_active:, rate: or weight: and a tenant. A rate
--          is `jobs ms burst`, or 0 for none
-- Returns  the number of fields that changed from set to not set, or back
-- uses: time
local META = KEYS[1]
-- What is counted, so that a script sees in one field whether it has to look at tenants at all.
local COUNTED = {pause = 'rules', max_active = 'rules', rate = 'rules', weight = 'weights'}
local changed = 0
for at = 1, #ARGV, 2 do
  local field, value = ARGV[at], ARGV[at + 1]
  local change = value == '' and -call('HDEL', META, field) or value ~= '' and call('HSET', META, field, value)
  local counter = COUNTED[match(field, '^([%w_]+):')]
  if counter and change ~= 0 and call('HINCRBY', META, counter, change) <= 0 then call('HDEL', META, counter) end
  changed = changed + math.abs(change)
end

-- And whether there is anything that says no to who enqueues.
local narrow = false
for _, value in ipairs(call('HMGET', META, 'weights', 'rules', 'max_waiting', 'max_waiting_bytes')) do
  narrow = narrow or value
end
if narrow then call('HSET', META, 'narrow', 1) else call('HDEL', META, 'narrow') end
return changed
