-- limits: whether a tenant may start a job now. Operators' rules are in `meta`; `own` is what the queue declares for each.
-- The tally is written when a script ends, so what the script itself did is added.
--
-- A rate is a bucket (GCRA): `rates` has the time at which the bucket is full again, under the tenant or `*` for the queue.
-- A start puts that off by a step; one is allowed while it stays within the bucket's depth from now.
local function bucket(keys, name, rate)
  local jobs, per, burst = match(rate or '', '^(%d+) (%d+) (%d+)$')
  if not jobs or tonumber(jobs) == 0 then return nil end
  local step = per / jobs
  local full = tonumber(call('ZSCORE', keys.rates, name) or 0)
  return {step = step, depth = step * burst, full = math.min(math.max(full, now), now + step * burst)}
end
local function tokens(of) return math.floor((now + of.depth - of.full + 0.002) / of.step) end -- a score has 3 decimals
local function refill_ms(of) return math.max(1, math.ceil(of.full + of.step - of.depth - now - 1e-3)) end
local function spend(of, count) of.full = of.full + of.step * count end

local known = {}
local function rules_of(keys, tenant, declared)
  local own = known[tenant]
  if not own then
    local set = call('HMGET', keys.meta, 'pause:' .. tenant, 'max_active:' .. tenant, 'rate:' .. tenant)
    own = {paused = set[1], most = tonumber(set[2] or declared.most) or 0, took = 0}
    if own.most > 0 then own.active = tonumber(call('HGET', keys.tally, 'active|' .. tenant) or 0) or 0 end
    own.bucket = bucket(keys, tenant, set[3] or declared.rate)
    known[tenant] = own
  end
  return own
end

-- A tenant whose bucket is empty is noted in `refill`, and comes again then.
local function blocked(keys, tenant, declared)
  local own = rules_of(keys, tenant, declared)
  if own.paused then return true end
  local settled = moved.active and moved.active[tenant] or 0
  -- A slot is a lease: a count that is off blocks nobody for longer than there are leases.
  if own.most > 0 and own.active + settled + own.took >= own.most
    and call('ZCARD', keys.active) + own.took >= own.most then return true end
  if not own.bucket or tokens(own.bucket) >= 1 then return false end
  call('ZADD', keys.refill, int(now + refill_ms(own.bucket)), tenant)
  return true
end
