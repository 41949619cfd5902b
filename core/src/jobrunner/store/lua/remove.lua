-- remove: delete jobs and all that is known of them. A running one is left alone: cancel it first.
--
-- KEYS     jobs lease attempts state steps progress logs seen tally wait later done dead cancelled parked share meta
--          held turns refill unique uniques
-- ARGV     ids, 1 to 100
-- Returns  the ids that were removed
-- uses: time bands order tally unhold unique forget
local keys = {jobs = KEYS[1], lease = KEYS[2], attempts = KEYS[3], state = KEYS[4], steps = KEYS[5], progress = KEYS[6],
  logs = KEYS[7], seen = KEYS[8], tally = KEYS[9], share = KEYS[16], meta = KEYS[17], held = KEYS[18], turns = KEYS[19], refill = KEYS[20],
  unique = KEYS[21], uniques = KEYS[22]}
local LISTS = {{KEYS[10], 'waiting'}, {KEYS[11], 'delayed'}, {KEYS[12], 'completed'}, {KEYS[13], 'failed'},
  {KEYS[14], 'cancelled'}, {KEYS[15], 'parked'}}
local removed, left = {}, {}
for _, id in ipairs(ARGV) do
  if call('HEXISTS', keys.lease, id) == 0 and call('HEXISTS', keys.jobs, id) == 1 then
    local was
    local order = -tonumber(call('ZSCORE', KEYS[15], id) or 0) -- over 0 where it is held for its tenant
    for _, list in ipairs(LISTS) do
      if call('ZREM', list[1], id) == 1 then was = list[2] end
    end
    local head = head_of(call('HGET', keys.jobs, id))
    if was == 'waiting' then left[head] = true end
    if order > 0 then unhold(keys, tenant_of(head), order, id) end
    forget(keys, was, {id})
    removed[#removed + 1] = id
  end
end
if #removed > 0 and call('EXISTS', keys.uniques) == 1 then free_keys(keys, removed) end
write_tally(keys.tally)
drop_shares(keys, left)
return removed
