-- extend: renew a batch of leases. Only the lease's own nonce renews it.
--
-- KEYS     active lease meta
-- ARGV     1 lease_ms   then id, nonce a lease; up to 500 leases, or none to say only that somebody lives
-- Returns  {lost ids, cancelled ids with their reasons: id, reason ...}: lost ones are no longer this worker's; for
--          cancelled ones somebody asked to stop, and the lease is renewed so that the handler can clean up
-- uses: time grace
local ACTIVE, LEASE, META = KEYS[1], KEYS[2], KEYS[3]
call('ZREM', ACTIVE, '') -- a first write that needs no memory: what follows then runs in a full Redis too
local lease_ms = tonumber(ARGV[1])
local meta = call('HMGET', META, 'tick', 'grace')
grace_until(META, lease_ms, meta[1], meta[2])
local lease_end = now + lease_ms

local ids = {}
for at = 2, #ARGV, 2 do ids[#ids + 1] = ARGV[at] end
if #ids == 0 then return {{}, {}} end
local held, renewed, lost, cancelled = call('HMGET', LEASE, unpack(ids)), {}, {}, {}
for i, id in ipairs(ids) do
  local lease = held[i]
  if lease and sub(lease, 1, 22) == ARGV[2 * i + 1] then
    renewed[#renewed + 1] = lease_end; renewed[#renewed + 1] = id
    local mark = string.find(lease, '\n', 1, true)
    if mark then cancelled[#cancelled + 1] = id; cancelled[#cancelled + 1] = sub(lease, mark + 1) end
  else
    lost[#lost + 1] = id
  end
end
if #renewed > 0 then call('ZADD', ACTIVE, 'XX', unpack(renewed)) end -- also where the clock was set back
return {lost, cancelled}
