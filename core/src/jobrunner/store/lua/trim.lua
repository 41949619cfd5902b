-- trim: forget the oldest jobs of a list by count and age, a step a call. With keep 0 it clears any list but `active`.
--
-- KEYS     list jobs attempts state steps progress logs seen share tally wait meta held turns refill
--          unique uniques
--          list is done, dead or cancelled; to clear also later, parked, or the queue's line
-- ARGV     1 state: the name of what the list holds   2 keep (jobs)   3 keep_ms: forget what ended longer ago; -1 for any
--          age (wait and later have no end time)   4 limit (jobs, 1-500)   5 own_ms, 6 chosen_ms: see forget; -1 to
--          remember no id
-- Returns  the number of jobs forgotten; as many as `limit`: call again
-- uses: time bands order tally unhold unique forget
local LIST, STATE, WAIT = KEYS[1], ARGV[1], KEYS[11]
local keys = {jobs = KEYS[2], attempts = KEYS[3], state = KEYS[4], steps = KEYS[5], progress = KEYS[6], logs = KEYS[7],
  seen = KEYS[8], share = KEYS[9], tally = KEYS[10], meta = KEYS[12], held = KEYS[13], turns = KEYS[14],
  refill = KEYS[15], unique = KEYS[16], uniques = KEYS[17]}
local keep_ms, limit = tonumber(ARGV[3]), tonumber(ARGV[4])
call('ZREMRANGEBYSCORE', keys.seen, '-inf', '-1') -- a first write that needs no memory, as in exchange
local over = math.min(limit, math.max(0, call('ZCARD', LIST) - ARGV[2]))
local old = over > 0 and call('ZRANGE', LIST, 0, over - 1) or {}
if over < limit and keep_ms >= 0 then
  local before = '(' .. (now - keep_ms)
  for _, id in ipairs(call('ZRANGEBYSCORE', LIST, '-inf', before, 'LIMIT', over, limit - over)) do old[#old + 1] = id end
end
if #old == 0 then return 0 end
if STATE == 'parked' then -- under minus its order is one that is held for its tenant
  local orders, records = call('ZMSCORE', LIST, unpack(old)), call('HMGET', keys.jobs, unpack(old))
  for i, id in ipairs(old) do
    if tonumber(orders[i]) < 0 then unhold(keys, tenant_of(head_of(records[i])), -orders[i], id) end
  end
end
call('ZREM', LIST, unpack(old))
if call('EXISTS', keys.uniques) == 1 then free_keys(keys, old) end
local own_ms = tonumber(ARGV[5])
forget(keys, STATE, old, own_ms >= 0 and own_ms or nil, tonumber(ARGV[6]))
if LIST == WAIT and call('EXISTS', WAIT) == 0 then call('UNLINK', keys.share) end
write_tally(keys.tally)
return #old
