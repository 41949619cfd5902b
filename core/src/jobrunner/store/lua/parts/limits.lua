-- limits: whether a tenant may start a job now. Operators' rules are in `meta`; `own` is what the queue declares for each.
-- The tally is written when a script ends, so what the script itself did is added.
--
-- A rate is a bucket (GCRA): `rates` has the time at which the bucket is full again, under the tenant or `*` for the queue.
-- A start puts that off by a step; one is allowed while it stays within the bucket's depth from now.
-- None is fuller than full: where the clock was set back, or somebody wrote there, it is written as just emptied, since it
-- would be empty until the clock has come there.
local function bucket(rate, rates, member, full)
  local jobs, per, burst = match(rate or '', '^(%d+) (%d+) (%d+)$')
  if not jobs or tonumber(jobs) == 0 then return nil end
  local step = per / jobs
  local depth = step * burst
  full = tonumber(full or 0)
  if full > now + depth + 1 then
    full = now + depth
    call('ZADD', rates, format('%.3f', full), member)
  end
  return {step = step, depth = depth, full = math.min(math.max(full, now), now + depth)}
end
local function tokens(of) return math.floor((now + of.depth - of.full + 0.002) / of.step) end -- a score has 3 decimals
local function refill_ms(of) return math.max(1, math.ceil(of.full + of.step - of.depth - now - 1e-3)) end
local function spend(of, count) of.full = of.full + of.step * count end

local known = {} -- tenant -> its rules, and what it took in this script
-- Reads the rules of tenants that are not known yet, in a few commands for all of them.
local function learn(keys, tenants, declared)
  local new, fields = {}, {}
  for _, tenant in ipairs(tenants) do
    if not known[tenant] then
      known[tenant], new[#new + 1] = {took = 0}, tenant
      fields[#fields + 1] = 'pause:' .. tenant
      fields[#fields + 1] = 'max_active:' .. tenant
      fields[#fields + 1] = 'rate:' .. tenant
    end
  end
  if #new == 0 then return end
  local set, capped, counts, paced, rates = call('HMGET', keys.meta, unpack(fields)), {}, {}, {}, {}
  for i, tenant in ipairs(new) do
    local own = known[tenant]
    own.paused, own.most = set[3 * i - 2], tonumber(set[3 * i - 1] or declared.most) or 0
    if own.most > 0 then capped[#capped + 1] = own; counts[#counts + 1] = 'active|' .. tenant end
    own.rate = set[3 * i] or declared.rate
    if own.rate ~= '0' then paced[#paced + 1] = own; rates[#rates + 1] = tenant end
  end
  local active = #capped > 0 and call('HMGET', keys.tally, unpack(counts))
  for i, own in ipairs(capped) do own.active = tonumber(active[i] or 0) or 0 end
  local full = #paced > 0 and call('ZMSCORE', keys.rates, unpack(rates))
  for i, own in ipairs(paced) do own.bucket = bucket(own.rate, keys.rates, rates[i], full[i]) end
end

local function rules_of(keys, tenant, declared)
  if not known[tenant] then learn(keys, {tenant}, declared) end
  return known[tenant]
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
  call('ZADD', keys.refill, now + refill_ms(own.bucket), tenant)
  return true
end
