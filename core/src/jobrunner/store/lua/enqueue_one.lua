-- enqueue_one: take in one job that can run now, in a queue that nothing limits: most enqueues, at the least cost.
--
-- KEYS     jobs wait seen share wake stats tally meta
-- ARGV     1 id; 2 record, as `enqueue` takes it
-- Returns  1 if it was taken in, 0 if something is known of the id, -1 if the queue has rules; nothing has changed in the
--          last two cases, and `enqueue` is to be asked
--
-- What it writes is what `enqueue` would. Its first write needs memory, so a full Redis refuses it before anything is
-- changed (OOM); the lists are touched before there is a record, so that one that is not ours is found in time.
-- uses: time bands
local id, record = ARGV[1], ARGV[2]
local head, priority, tenant = match(record, '^((%d+),"([^"]*)",)')
if not head then return redis.error_reply('RECORD of ' .. id .. ' does not begin with priority and tenant') end
local rules = call('HMGET', KEYS[8], 'narrow', 'holding')
if rules[1] or rules[2] then return -1 end
if call('ZSCORE', KEYS[3], id) then return 0 end
local base = (100 - priority) * BAND
local clock = first_in(KEYS[2], base) or base + FIRST

-- A tenant with jobs in line is charged by one call; one that is new, or has fallen behind, begins at the clock.
local tag = call('ZINCRBY', KEYS[4], COST, head) - COST
local whole = '[' .. stamp .. ',' .. record
local taken = redis.pcall('HSETNX', KEYS[1], id, whole)
if taken ~= 1 then
  if tag == 0 then call('ZREM', KEYS[4], head) else call('ZINCRBY', KEYS[4], -COST, head) end
  if taken ~= 0 then call('HSETNX', KEYS[1], id, whole) end -- it fails again, and is named in the error
  return 0
end
if tag < clock then
  tag = clock
  call('ZADD', KEYS[4], tag + COST, head)
end
call('ZADD', KEYS[2], tag, id)
if call('LLEN', KEYS[5]) == 0 then call('LPUSH', KEYS[5], 1) end
if tenant ~= '' and type(redis.pcall('HINCRBY', KEYS[7], 'waiting|' .. tenant, 1)) == 'table' then
  call('HSET', KEYS[7], 'waiting|' .. tenant, 1) -- what was there is no number
end
call('HINCRBY', KEYS[6], 'enqueued', 1)
return 1
