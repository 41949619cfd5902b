-- repair: put jobs back in their place, each by what is true of it at this moment; one that is in its place is left alone.
--
-- KEYS     jobs wait later active lease attempts state done dead cancelled parked share wake meta steps progress logs
--          held turns refill unique uniques
-- ARGV     1 n: leases of workers that are gone   then id, lease as it was seen, n times
--          then m: entries of `held` that nothing in `parked` answers to   then the entries, m times
--          then ids; up to 100 of each
-- Returns  {leases ended, verdicts}; a verdict an id of the second kind:
--          'right', 'forgotten' (no record: nothing of it is left), 'lined up' or 'completed' (it was in no list),
--          'leased' (it was in no list, and somebody has its lease), 'one list' (it was in several),
--          'unleased' (its lease was of no use), 'expired' (it was active without a lease)
-- The tally is left alone, since nobody knows what it took the damage for: count it again afterwards.
-- uses: time bands order unhold unique
local keys = {jobs = KEYS[1], wait = KEYS[2], active = KEYS[4], lease = KEYS[5], state = KEYS[7], done = KEYS[8],
  parked = KEYS[11], share = KEYS[12], wake = KEYS[13], meta = KEYS[14], held = KEYS[18], turns = KEYS[19],
  refill = KEYS[20], unique = KEYS[21], uniques = KEYS[22]}
local HASHES = {KEYS[5], KEYS[6], KEYS[7], KEYS[15], KEYS[16], KEYS[17]}
-- The first that has a job keeps it: what is done is never repeated, what is to run is rather run than forgotten.
local LISTS = {KEYS[8], KEYS[2], KEYS[3], KEYS[11], KEYS[9], KEYS[10], KEYS[4]}
local GRACE = 60000 -- ms for a worker that lives to renew a lease that is found again; past it the job is recovered
call('ZREM', keys.active, '') -- a first write that needs no memory: what follows then runs in a full Redis too

local ended, first = 0, 2 * tonumber(ARGV[1]) + 2
for at = 2, first - 1, 2 do
  if call('HGET', keys.lease, ARGV[at]) == ARGV[at + 1] then
    ended = ended + call('ZADD', keys.active, 'XX', 'LT', 'CH', stamp, ARGV[at])
  end
end

local entries = first + 1 + tonumber(ARGV[first])
for at = first + 1, entries - 1 do
  local tenant, order, id = match(ARGV[at], '^(%S+) (%d+) (%S+)$')
  if id and -(tonumber(call('ZSCORE', keys.parked, id) or 0)) ~= tonumber(order) then
    unhold(keys, tenant, tonumber(order), id)
  end
end

local verdicts, ids, heads = {}, {}, {}
-- A held job is parked under minus its order, and named in `held`; what has only the first leaves that, too.
local function order_of(id) return -(tonumber(call('ZSCORE', keys.parked, id) or 0)) end
local function take_out(list, id, tenant)
  local order = list == keys.parked and order_of(id) or 0
  call('ZREM', list, id)
  if order > 0 then unhold(keys, tenant, order, id) end
end
local function place(id, record, lease)
  local kept, verdict, tenant = nil, 'right', tenant_of(head_of(record))
  local order = order_of(id)
  if order > 0 and not call('ZSCORE', keys.held, tenant .. format(' %016.0f ', order) .. id) then
    call('ZREM', keys.parked, id)
  end
  if lease and call('ZSCORE', keys.active, id) then kept = keys.active end
  for _, list in ipairs(LISTS) do
    if list ~= kept and call('ZSCORE', list, id) then
      if kept then
        take_out(list, id, tenant)
        verdict = 'one list'
      else
        kept = list
      end
    end
  end
  if not kept then
    if lease then
      call('ZADD', keys.active, now + GRACE, id)
      return 'leased'
    elseif match(call('HGET', keys.state, id) or '', '"kind":"result"[^\n]*\n$') then
      call('ZADD', keys.done, stamp, id)
      return 'completed'
    end
    ids[#ids + 1], heads[#heads + 1] = id, head_of(record)
    return 'lined up'
  elseif kept ~= keys.active and lease then
    call('HDEL', keys.lease, id)
    return verdict == 'right' and 'unleased' or verdict
  elseif kept == keys.active and not lease then
    call('ZADD', keys.active, stamp, id)
    return 'expired'
  end
  return verdict
end

for at = entries, #ARGV do
  local id = ARGV[at]
  local record = call('HGET', keys.jobs, id)
  if record then
    verdicts[#verdicts + 1] = place(id, record, call('HGET', keys.lease, id))
  else
    local gone = 0
    for _, list in ipairs(LISTS) do gone = gone + call('ZREM', list, id) end
    for _, hash in ipairs(HASHES) do gone = gone + call('HDEL', hash, id) end
    if call('EXISTS', keys.uniques) == 1 then free_keys(keys, {id}) end
    verdicts[#verdicts + 1] = gone > 0 and 'forgotten' or 'right'
  end
end
if #ids > 0 then
  line_up(keys, call('HGET', keys.meta, 'weights'), ids, heads)
  if call('LLEN', keys.wake) == 0 then call('LPUSH', keys.wake, 1) end
end
return {ended, verdicts}
