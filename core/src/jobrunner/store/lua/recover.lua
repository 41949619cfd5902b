-- recover: what to do with leases that ran out: back to `later`, never to the head of the queue, or buried in `dead`.
--
-- KEYS     jobs active lease later dead cancelled attempts state wake stats tally meta events wait share held turns unique
--          uniques
-- ARGV     1 lease_ms   2 limit (leases, 1-500)   3 max_crashes: buried at this many   4 seed of the jitter (0 to 2^31)
--          5... the upper bound in ms of the wait after the first, second ... crash; the last one serves all further ones
-- Returns  {delayed ids, buried ids, cancelled ids}; as many as `limit` in all: call again. Nothing during a grace
--          Besides, of leases that end later than any can, `limit` are made to end one lease from now
-- uses: time grace bands order tally held unique news journal
local keys = {jobs = KEYS[1], active = KEYS[2], lease = KEYS[3], later = KEYS[4], dead = KEYS[5], cancelled = KEYS[6],
  attempts = KEYS[7], state = KEYS[8], wake = KEYS[9], stats = KEYS[10], tally = KEYS[11], meta = KEYS[12],
  events = KEYS[13], wait = KEYS[14], share = KEYS[15], held = KEYS[16], turns = KEYS[17], unique = KEYS[18],
  uniques = KEYS[19], limited = true}
call('ZREM', keys.active, '') -- a first write that needs no memory: what follows then runs in a full Redis too
local lease_ms, max_crashes, seed = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
local meta = call('HMGET', keys.meta, 'tick', 'grace', 'holding', 'unique')
-- A lease that was given at a time that is yet to come is from before the clock was set back. Whoever lives renews it; who
-- does not would keep its job until the clock has come there, so it ends one lease from now.
local far = call('ZRANGE', keys.active, '+inf', '(' .. (now + lease_ms), 'BYSCORE', 'REV', 'LIMIT', 0, ARGV[2])
if #far > 0 then
  local given, ends = call('HMGET', keys.lease, unpack(far)), {}
  for i, id in ipairs(far) do
    local at = tonumber(match(given[i] or '', '^%S* %S+ (%d+)', 24))
    if not at or at > now then ends[#ends + 1] = now + lease_ms; ends[#ends + 1] = id end
  end
  if #ends > 0 then call('ZADD', keys.active, 'XX', unpack(ends)) end
end

if now < grace_until(keys.meta, lease_ms, meta[1], meta[2]) then return {{}, {}, {}} end

-- Chance from 0 to 1: a linear congruential generator, since older servers seed math.random alike in every script.
local function chance()
  seed = (seed * 1103515245 + 12345) % 2147483648
  return seed / 2147483648
end

local ids = call('ZRANGEBYSCORE', keys.active, '-inf', '(' .. stamp, 'LIMIT', 0, ARGV[2])
if #ids == 0 then return {{}, {}, {}} end
local held, counts = call('HMGET', keys.lease, unpack(ids)), call('HMGET', keys.attempts, unpack(ids))
local delayed, buried, cancelled, counted, later, dead, stopped, lines, freed = {}, {}, {}, {}, {}, {}, {}, {}, {}
for i, id in ipairs(ids) do
  local lease = held[i] or ''
  local runs, unspent, crashes = match(counts[i] or '', '(%d+) (%d+) (%d+)')
  local tenant, worker = match(lease, '^(%S*) (%S+)', 24)
  local mark, last = '', nil
  tenant, runs, unspent, crashes = tenant or '', runs or 0, unspent or 0, (crashes or 0) + 1
  tally('active', tenant, -1)
  freed[tenant] = true
  if string.find(lease, '\n', 1, true) then
    cancelled[#cancelled + 1] = id
    stopped[#stopped + 1] = stamp; stopped[#stopped + 1] = id
    last = 'cancelled'
  elseif crashes >= max_crashes then
    buried[#buried + 1] = id
    dead[#dead + 1] = stamp; dead[#dead + 1] = id
    last, mark = 'failed', ',"buried":true'
  else
    delayed[#delayed + 1] = id
    local bound = tonumber(ARGV[math.min(4 + crashes, #ARGV)])
    later[#later + 1] = now + math.floor(bound * (0.5 + chance() / 2)); later[#later + 1] = id
    last = 'delayed'
  end
  tally(last, tenant, 1)
  counted[2 * i - 1] = id
  counted[2 * i] = format('%d %d %d', runs + 1, unspent, crashes)
  lines[i] = format('{"kind":"crash","worker":"%s"%s}', worker or '', mark)
end
call('ZREM', keys.active, unpack(ids))
call('HDEL', keys.lease, unpack(ids))
call('HSET', keys.attempts, unpack(counted))
add_lines(keys.state, ids, lines)
if meta[4] and #buried > 0 then free_keys(keys, buried) end
if meta[4] and #cancelled > 0 then free_keys(keys, cancelled) end
if #later > 0 then call('ZADD', keys.later, unpack(later)) end
if #dead > 0 then call('ZADD', keys.dead, unpack(dead)) end
if #stopped > 0 then call('ZADD', keys.cancelled, unpack(stopped)) end
-- A slot is a lease, so these tenants may start others now.
local given = false
if meta[3] then
  for tenant in pairs(freed) do given = tenant ~= '' and give_turn(keys, tenant) or given end
end
-- A consumer learns when those are due that wait, and looks at the turns.
if (#later > 0 or given) and call('LLEN', keys.wake) == 0 then call('LPUSH', keys.wake, 1) end
write_tally(keys.tally)
local news = {crashed = #ids}
if #buried > 0 then news.buried = #buried end
if #cancelled > 0 then news.cancelled = #cancelled end
tell(keys, news)
return {delayed, buried, cancelled}
