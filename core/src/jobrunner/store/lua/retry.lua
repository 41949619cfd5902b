-- retry: put jobs in line again at a person's wish: failed or cancelled ones with their attempts forgiven, delayed ones
-- before their time (promote), parked ones when they can be run.
--
-- KEYS     from: what holds those that failed, are delayed, or stand still
--          jobs wait attempts share wake stats tally meta events held parked turns
-- ARGV     1 state: the name of what `from` holds   2 forgive: 1 begins again at attempt 1, 0 leaves the counts alone
--          then ids, 1 to 100
-- Returns  the ids that were moved; the others were not in `from`, or are held for their tenant
-- uses: time bands order tally held admit news
local FROM = KEYS[1]
local keys = {jobs = KEYS[2], wait = KEYS[3], attempts = KEYS[4], share = KEYS[5], wake = KEYS[6], stats = KEYS[7],
  tally = KEYS[8], meta = KEYS[9], events = KEYS[10], held = KEYS[11], parked = KEYS[12], turns = KEYS[13]}
local meta = call('HMGET', keys.meta, 'weights', 'rules', 'holding')
keys.limited = meta[2] or meta[3]
local moved_ids, heads = {}, {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local is_held = FROM == keys.parked and tonumber(call('ZSCORE', FROM, id) or 0) < 0
  if not is_held and call('ZREM', FROM, id) == 1 then
    local head = head_of(call('HGET', keys.jobs, id))
    moved_ids[#moved_ids + 1], heads[#heads + 1] = id, head
    tally(ARGV[1], tenant_of(head), -1); tally('waiting', tenant_of(head), 1)
    -- The runs stay, since they are the fencing number; they no longer count as attempts or crashes.
    local runs = ARGV[2] == '1' and match(call('HGET', keys.attempts, id) or '', '%d+')
    if runs then call('HSET', keys.attempts, id, runs .. ' ' .. runs .. ' 0') end
  end
end
if #moved_ids == 0 then return moved_ids end
local in_line = admit(keys, meta[1], moved_ids, heads)
if in_line > 0 and call('LLEN', keys.wake) == 0 then call('LPUSH', keys.wake, 1) end
write_tally(keys.tally)
tell(keys, {requeued = #moved_ids})
return moved_ids
