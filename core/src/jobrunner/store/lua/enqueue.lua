-- enqueue: take in a batch of jobs, all or nothing. An id that is there already, or was lately, is never doubled.
--
-- KEYS     jobs wait later seen share wake stats tally meta held parked turns
--          unique uniques
-- ARGV     1 max_waiting: jobs waiting, delayed and held that the queue takes, 0 for any number
--          2 max_waiting_bytes: the same in bytes of their records, by the average of a sample, 0 for any number
--          3 number of unique keys, then so many times number of the job from 1, key
--          then a job: id, when, record; 1 to 300 jobs. `when` is 0 for now, a number of ms from now, or `@` and a
--          time in ms. A record is a JSON array without its opening: `priority,"tenant",version,payload ...]`,
--          priority 0-100; it is stored with `[` and the server's time in ms before it
-- Returns  {'ok', ids that were there with the same record or fingerprint, ids that were not taken in since another job
--          has their key: id, that job's id ...}, {'conflict', ids that were there with another one}, or {'full', jobs waiting, delayed and held, max_waiting,
--          their bytes, max_waiting_bytes}; nothing is written in the last two cases
--
-- It is the one script whose cost a producer waits for, so it counts in one place only and adds no event.
-- Its first write needs memory, so a full Redis refuses it before anything is changed (OOM).
-- uses: time bands order tally held admit
local SAMPLE = 8 -- records of each list that are measured for max_waiting_bytes
local keys = {jobs = KEYS[1], wait = KEYS[2], later = KEYS[3], seen = KEYS[4], share = KEYS[5], wake = KEYS[6],
  stats = KEYS[7], tally = KEYS[8], meta = KEYS[9], held = KEYS[10], parked = KEYS[11], turns = KEYS[12],
  unique = KEYS[13], uniques = KEYS[14]}
local opening = '[' .. stamp .. ','
local ids = {}
local base = 3 + 2 * ARGV[3] -- where the jobs begin
for at = base + 1, #ARGV, 3 do ids[#ids + 1] = ARGV[at] end

local function is_same(there, record)
  if sub(there, #opening + 1) == record then return true end
  local mark = sub(record, -26) -- `,"22 characters"]`
  return match(mark, '^,"[%w_-]+"%]$') and sub(there, -26) == mark
end

-- The job that has a key: of this batch, or one that has not ended. One whose record is gone has no claim.
local key_of, taken, owned, instead, owner_of = {}, nil, nil, {}, nil
if base > 3 then
  for at = 4, base, 2 do key_of[tonumber(ARGV[at])] = ARGV[at + 1] end
  taken, owned = {}, {}
  owner_of = function(key)
    if taken[key] == nil then
      local id = call('HGET', keys.unique, key)
      taken[key] = id and call('HEXISTS', keys.jobs, id) == 1 and id
    end
    return taken[key]
  end
end

-- What is new? Everything is checked before anything is written.
local stored = call('HMGET', keys.jobs, unpack(ids))
local ended = call('ZMSCORE', keys.seen, unpack(ids))
local batch, same, other, jobs, ready, heads, later, soonest = {}, {}, {}, {}, {}, {}, {}, nil
for i, id in ipairs(ids) do
  local when, record, key = ARGV[base + 3 * i - 1], ARGV[base + 3 * i], key_of[i]
  local there = batch[id] or stored[i]
  if there then
    local list = is_same(there, record) and same or other
    list[#list + 1] = id
  elseif ended[i] and tonumber(ended[i]) > now then
    same[#same + 1] = id
  elseif key and owner_of(key) then
    instead[#instead + 1] = id; instead[#instead + 1] = owner_of(key)
  else
    local head = match(record, HEAD_AT_START)
    if not head then return redis.error_reply('RECORD of ' .. id .. ' does not begin with priority and tenant') end
    local due = sub(when, 1, 1) == '@' and tonumber(sub(when, 2)) or tonumber(when) and now + when
    if not (due and due < 2 ^ 53) then return redis.error_reply('WHEN of ' .. id .. ' is not a time') end
    there = opening .. record
    if key then
      taken[key] = id
      owned[#owned + 1] = key; owned[#owned + 1] = id
    end
    batch[id], jobs[#jobs + 1] = there, id
    jobs[#jobs + 1] = there
    if due <= now then
      ready[#ready + 1], heads[#heads + 1] = id, head
      tally('waiting', tenant_of(head), 1)
    else
      soonest = math.min(soonest or due, due)
      later[#later + 1] = due; later[#later + 1] = id
      tally('delayed', tenant_of(head), 1)
    end
  end
end
local fresh = #jobs / 2
if #other > 0 then return {'conflict', other} end
if fresh == 0 then return {'ok', same, instead} end
local meta = call('HMGET', keys.meta, 'weights', 'max_waiting', 'rules', 'holding', 'max_waiting_bytes')
keys.limited = meta[3] or meta[4]
local most, most_bytes = tonumber(meta[2]) or tonumber(ARGV[1]), tonumber(meta[5]) or tonumber(ARGV[2])
if most > 0 or most_bytes > 0 then
  local waiting = call('ZCARD', keys.wait) + call('ZCARD', keys.later) + (meta[4] and call('ZCARD', keys.held) or 0)
  local bytes = 0
  if most_bytes > 0 and waiting > 0 then
    -- Bytes of a record on the average, by some that wait, are delayed or held, spread over each. A counter would drift with
    -- every job that leaves by another way; a sample is as right after a crash as before.
    local number, size = 0, 0
    for _, list in ipairs({keys.wait, keys.later, keys.held}) do
      local count = call('ZCARD', list)
      local read = math.min(SAMPLE, count)
      for k = 0, read - 1 do
        local id = match(call('ZRANGE', list, math.floor(k * count / read), math.floor(k * count / read))[1], '%S+$')
        -- Each stands for as many as its list is long beside what is read of it.
        size, number = size + call('HSTRLEN', keys.jobs, id) * count / read, number + count / read
      end
    end
    bytes = math.floor(waiting * size / number)
  end
  if most > 0 and waiting + fresh > most then return {'full', waiting, int(most), int(bytes), int(most_bytes)} end
  if most_bytes > 0 then
    local more = 0
    for at = 2, #jobs, 2 do more = more + #jobs[at] end
    if bytes + more > most_bytes then return {'full', waiting, int(most), int(bytes), int(most_bytes)} end
  end
end

local sooner = false
if soonest then
  local first = call('ZRANGE', keys.later, 0, 0, 'WITHSCORES')[2]
  sooner = not first or soonest < tonumber(first)
end
-- Lists come before records: if a list is not ours this ends here, and leaves no record without a place.
local in_line = #ready > 0 and admit(keys, meta[1], ready, heads) or 0
if #later > 0 then call('ZADD', keys.later, unpack(later)) end
call('HSET', keys.jobs, unpack(jobs))
if owned and #owned > 0 then
  call('HSET', keys.unique, unpack(owned))
  for at = 1, #owned, 2 do call('HSET', keys.uniques, owned[at + 1], owned[at]) end
  call('HSET', keys.meta, 'unique', 1)
end
-- One token wakes one consumer; it is also told of a delayed job that is due before all others.
if (in_line > 0 or sooner) and call('LLEN', keys.wake) == 0 then call('LPUSH', keys.wake, 1) end
write_tally(keys.tally)
call('HINCRBY', keys.stats, 'enqueued', fresh)
return {'ok', same, instead}
