-- cancel: stop jobs. One that waits is cancelled at once; a running one is asked to stop by a mark in its lease, so the
-- wish ends with the attempt it was meant for.
--
-- KEYS     jobs wait later active lease cancelled parked state stats tally events share meta held turns refill
--          unique uniques
-- ARGV     1 reason (a line)   2 entry: a line for the journal of those that are cancelled at once   then ids, 1 to 100
-- Returns  a verdict an id: 'cancelled', 'requested', 'ended' or 'missing'
-- uses: time bands order tally unhold unique news journal
local keys = {jobs = KEYS[1], lease = KEYS[5], cancelled = KEYS[6], state = KEYS[8], stats = KEYS[9], tally = KEYS[10],
  events = KEYS[11], share = KEYS[12], meta = KEYS[13], held = KEYS[14], turns = KEYS[15], refill = KEYS[16],
  unique = KEYS[17], uniques = KEYS[18]}
local LISTS = {{KEYS[2], 'waiting'}, {KEYS[3], 'delayed'}, {KEYS[7], 'parked'}}
call('ZREM', KEYS[4], '') -- a first write that needs no memory: what follows then runs in a full Redis too
local verdicts, done, lines, left = {}, {}, {}, {}
for i = 3, #ARGV do
  local id, was = ARGV[i], nil
  local order = -tonumber(call('ZSCORE', KEYS[7], id) or 0) -- over 0 where it is held for its tenant
  for _, list in ipairs(LISTS) do
    if call('ZREM', list[1], id) == 1 then was = list[2] end
  end
  if was then
    local head = head_of(call('HGET', keys.jobs, id))
    local tenant = tenant_of(head)
    if was == 'waiting' then left[head] = true end
    if order > 0 then unhold(keys, tenant, order, id) end
    tally(was, tenant, -1); tally('cancelled', tenant, 1)
    call('ZADD', keys.cancelled, stamp, id)
    done[#done + 1], lines[#lines + 1] = id, ARGV[2]
    verdicts[#verdicts + 1] = 'cancelled'
  else
    local lease = call('HGET', keys.lease, id)
    if lease and not string.find(lease, '\n', 1, true) then call('HSET', keys.lease, id, lease .. '\n' .. ARGV[1]) end
    verdicts[#verdicts + 1] = lease and 'requested' or call('HEXISTS', keys.jobs, id) == 1 and 'ended' or 'missing'
  end
end
if #done > 0 then
  add_lines(keys.state, done, lines)
  if call('EXISTS', keys.uniques) == 1 then free_keys(keys, done) end
  write_tally(keys.tally)
  drop_shares(keys, left)
  tell(keys, {cancelled = #done})
end
return verdicts
