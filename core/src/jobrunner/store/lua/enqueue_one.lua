-- enqueue_one: take in one job that can run now, in a queue that nothing limits: most enqueues, at the least cost.
--
-- KEYS     jobs wait seen share wake stats tally meta
-- ARGV     1 id; 2 record, as `enqueue` takes it
-- Returns  1 if it was taken in, 0 if something is known of the id, -1 if the queue has rules; nothing is written in the
--          last two cases, and `enqueue` is to be asked
--
-- What it writes is what `enqueue` would. Its first write needs memory, so a full Redis refuses it before anything is
-- changed (OOM); the lists are read before that, so that one that is not ours is found in time.
-- uses: time bands
local id, record = ARGV[1], ARGV[2]
local head, priority, tenant = match(record, '^((%d+),"([^"]*)",)')
if not head then return redis.error_reply('RECORD of ' .. id .. ' does not begin with priority and tenant') end
local rules = call('HMGET', KEYS[8], 'narrow', 'holding')
if rules[1] or rules[2] then return -1 end
if call('ZSCORE', KEYS[3], id) then return 0 end
local base = (100 - priority) * BAND
local clock = first_in(KEYS[2], base) or base + FIRST
local tag = math.max(clock, tonumber(call('ZSCORE', KEYS[4], head) or 0))

if call('HSETNX', KEYS[1], id, '[' .. stamp .. ',' .. record) == 0 then return 0 end
call('ZADD', KEYS[4], int(tag + COST), head)
call('ZADD', KEYS[2], int(tag), id)
if call('LLEN', KEYS[5]) == 0 then call('LPUSH', KEYS[5], 1) end
if tenant ~= '' and type(redis.pcall('HINCRBY', KEYS[7], 'waiting|' .. tenant, 1)) == 'table' then
  call('HSET', KEYS[7], 'waiting|' .. tenant, 1) -- what was there is no number
end
call('HINCRBY', KEYS[6], 'enqueued', 1)
return 1
