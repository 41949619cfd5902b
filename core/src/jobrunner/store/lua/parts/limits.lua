-- limits: whether a tenant may start a job now. Operators' rules are in `meta`, what the queue declares comes as `most`.
-- The tally is written when a script ends, so what the script itself did is added.
local rules = {}
local function rules_of(keys, tenant, most)
  local own = rules[tenant]
  if not own then
    local set = call('HMGET', keys.meta, 'pause:' .. tenant, 'max_active:' .. tenant)
    own = {paused = set[1], most = tonumber(set[2] or most) or 0, took = 0}
    if own.most > 0 then own.active = tonumber(call('HGET', keys.tally, 'active|' .. tenant) or 0) or 0 end
    rules[tenant] = own
  end
  return own
end
local function blocked(keys, tenant, most)
  local own = rules_of(keys, tenant, most)
  if own.paused then return true end
  if own.most == 0 then return false end
  local settled = moved.active and moved.active[tenant] or 0
  if own.active + settled + own.took < own.most then return false end
  -- A slot is a lease: a count that is off blocks nobody for longer than there are leases.
  return call('ZCARD', keys.active) + own.took >= own.most
end
