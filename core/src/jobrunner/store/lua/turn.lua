-- turn: give a turn to tenants that have held jobs and may start some, a bounded number a call.
--
-- KEYS     wait active held turns share wake tally meta rates refill
-- ARGV     1 from: the tenant to begin at, empty for the first   2 limit (tenants, 1-100)
--          3 max_active_per_tenant (0: any)   4 rate_per_tenant (`jobs ms burst`, or 0 for none)
-- Returns  where to go on, empty at the end
-- uses: time bands order tally held limits
local keys = {wait = KEYS[1], active = KEYS[2], held = KEYS[3], turns = KEYS[4], share = KEYS[5], wake = KEYS[6],
  tally = KEYS[7], meta = KEYS[8], rates = KEYS[9], refill = KEYS[10], limited = true}
local meta = call('HMGET', keys.meta, 'max_active_per_tenant', 'rate_per_tenant')
local declared = {most = meta[1] or ARGV[3], rate = meta[2] or ARGV[4]}
local from, given = ARGV[1], false
for _ = 1, tonumber(ARGV[2]) do
  local entry = call('ZRANGEBYLEX', keys.held, '[' .. from, '+', 'LIMIT', 0, 1)[1]
  if not entry then
    from = ''
    break
  end
  local tenant = match(entry, '^%S+')
  if not blocked(keys, tenant, declared) then given = give_turn(keys, tenant) or given end
  from = tenant .. '!' -- comes right after a tenant's jobs
end
if given and call('LLEN', keys.wake) == 0 then call('LPUSH', keys.wake, 1) end
return from
