-- exchange: a consumer's one round trip. It settles a batch of attempts, lines up what is due, reserves the next jobs.
--
-- Sent again because its answer was lost, it gives the same jobs and verdicts and renews their leases. A consumer has one
-- exchange under way, so its last one is all that is remembered; one from before that is refused (LATE).
--
-- KEYS     jobs wait later active lease attempts state done dead cancelled parked seen share wake stats tally meta
--          events steps progress logs held turns rates refill unique
--          uniques
--          memory: this consumer's last exchange, a small hash that expires after a day
-- ARGV     1 consumer   2 serial (1, 2, 3 ... of this consumer)   3 nonce (22 characters, new with each serial)
--          4 want (jobs, 0-250)   5 lease_ms   6 promote (jobs, 0-250)   7 max_active (over all workers, 0: any)
--          8 keep: jobs of `done`, past which the oldest are forgotten   9 own_ms, 10 chosen_ms: see forget
--          11 max_active_per_tenant (0: any)   12 rate, 13 rate_per_tenant: `jobs ms burst`, or 0 for none
--          14 counted, then so many times name, increment: counters of `stats`
--          then plain, then so many times id, nonce: completed without a result
--          then a settlement: id, nonce, outcome, delay_ms, entry; 0-250 with the plain ones. Outcome: complete, retry,
--          snooze, release, fail, cancel, park, or crash; retry, snooze and crash wait delay_ms; entry is added to the
--          job's journal unless it is empty
-- Returns  {ids, records, counts, refused, due_ms, now_ms}: counts are nil or 'runs unspent crashes' of the runs before this
--          one; refused is id, verdict ...: 'already' (applied before, fine), 'stale' (the lease was lost) or
--          'cancelled' (it was to stop, and retry, snooze, release, park or crash would bring it back: cancelled instead);
--          due_ms is the time to the next delayed job, or until a rate allows the next one that is there; 0 if more are
--          due, -1 if there is none
-- uses: time grace bands order tally held admit limits unique news journal forget
local keys = {jobs = KEYS[1], wait = KEYS[2], later = KEYS[3], active = KEYS[4], lease = KEYS[5], attempts = KEYS[6],
  state = KEYS[7], done = KEYS[8], dead = KEYS[9], cancelled = KEYS[10], parked = KEYS[11], seen = KEYS[12],
  share = KEYS[13], wake = KEYS[14], stats = KEYS[15], tally = KEYS[16], meta = KEYS[17], events = KEYS[18],
  steps = KEYS[19], progress = KEYS[20], logs = KEYS[21], held = KEYS[22], turns = KEYS[23],
  rates = KEYS[24], refill = KEYS[25], unique = KEYS[26], uniques = KEYS[27]}
local MEMORY, DAY_MS = KEYS[28], 86400000
-- outcome -> where the job goes, its state there, how the outcome is counted, and what the attempt charges
local GOES = {
  complete = {keys.done, 'completed', 'completed', {1, 0, 0}}, retry = {keys.later, 'delayed', 'retried', {1, 0, 0}},
  snooze = {keys.later, 'delayed', 'snoozed', {1, 1, 0}}, release = {keys.wait, 'waiting', 'released', {1, 1, 0}},
  fail = {keys.dead, 'failed', 'failed', {1, 0, 0}}, cancel = {keys.cancelled, 'cancelled', 'cancelled', {1, 0, 0}},
  park = {keys.parked, 'parked', 'parked', {1, 1, 0}}, crash = {keys.later, 'delayed', 'crashed', {1, 0, 1}},
}
local COMES_BACK = {delayed = true, waiting = true, parked = true}
local consumer, serial, nonce, want, lease_ms =
  ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local promote, max_active, keep = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local lease_end = now + lease_ms
local news = {}
local function count(name, n) news[name] = (news[name] or 0) + n end

call('ZREM', keys.active, '') -- a first write that needs no memory: what follows then runs in a full Redis too
local meta = call('HMGET', keys.meta, 'tick', 'grace', 'paused', 'weights', 'max_active', 'max_active_per_tenant', 'rules',
  'holding', 'rate', 'rate_per_tenant', 'unique')
grace_until(keys.meta, lease_ms, meta[1], meta[2])
local each = {most = meta[6] or ARGV[11], rate = meta[10] or ARGV[13]} -- what holds for each tenant
keys.limited = meta[7] or meta[8] or each.most ~= '0' or each.rate ~= '0' -- else nothing below looks at a tenant
local rate = meta[9] or ARGV[12]
local pace = rate ~= '0' and bucket(rate, keys.rates, '*', call('ZSCORE', keys.rates, '*')) or nil
if keys.limited then keys.none_held = call('EXISTS', keys.held) == 0 end

local function due_ms()
  local first = call('ZRANGE', keys.later, 0, 0, 'WITHSCORES')[2]
  return first and math.max(0, tonumber(first) - now) or -1
end

-- Where a rate is what keeps jobs from starting, there is something to do once it allows the next.
local function next_look(due)
  local soon = pace and meta[3] ~= '1' and tokens(pace) < 1
    and (call('EXISTS', keys.wait) == 1 or call('EXISTS', keys.turns) == 1) and refill_ms(pace)
  local ripe = keys.limited and call('ZRANGE', keys.refill, 0, 0, 'WITHSCORES')[2]
  if ripe then soon = math.min(soon or math.huge, math.max(0, tonumber(ripe) - now)) end
  return soon and (due < 0 and soon or math.min(due, soon)) or due
end

-- The same exchange again: what it reserved and is still held, and what it refused.
local function replay()
  local memory, taken, ids, renewed, refused = call('HMGET', MEMORY, 'taken', 'refused'), {}, {}, {}, {}
  for id in string.gmatch(memory[1], '%S+') do taken[#taken + 1] = id end
  for word in string.gmatch(memory[2], '%S+') do refused[#refused + 1] = word end
  local held = #taken > 0 and call('HMGET', keys.lease, unpack(taken))
  for i, id in ipairs(taken) do
    if held[i] and sub(held[i], 1, 22) == nonce then
      ids[#ids + 1] = id; renewed[#renewed + 1] = lease_end; renewed[#renewed + 1] = id
    end
  end
  if #ids == 0 then return {{}, {}, {}, refused, next_look(due_ms()), stamp} end
  call('ZADD', keys.active, 'XX', unpack(renewed))
  return {ids, call('HMGET', keys.jobs, unpack(ids)), call('HMGET', keys.attempts, unpack(ids)), refused, next_look(due_ms()), stamp}
end
local last = call('HMGET', MEMORY, 'nonce', 'serial')
if last[1] == nonce then return replay() end
if last[2] and tonumber(last[2]) >= serial then return redis.error_reply('LATE exchange ' .. ARGV[2]) end

-- What is to be settled. Everything is read and checked before the first move.
local counted = tonumber(ARGV[14])
local at = 15 + 2 * counted
local plain = tonumber(ARGV[at])
local ids, nonces, outcomes, delays, entries, settled = {}, {}, {}, {}, {}, plain
for i = 1, plain do ids[i], nonces[i] = ARGV[at + 2 * i - 1], ARGV[at + 2 * i] end
for part = at + 2 * plain + 1, #ARGV, 5 do
  settled = settled + 1
  ids[settled], nonces[settled], outcomes[settled] = ARGV[part], ARGV[part + 1], ARGV[part + 2]
  delays[settled], entries[settled] = tonumber(ARGV[part + 3]), ARGV[part + 4]
  if not GOES[ARGV[part + 2]] or not delays[settled] then return redis.error_reply('OUTCOME ' .. ARGV[part + 2]) end
end

local before -- 'id nonce' of what this consumer's last exchange applied; read only when a lease does not fit
local function was_applied(id, under)
  if not before then
    local memory, old, k = call('HMGET', MEMORY, 'settled', 'under'), {}, 0
    before = {}
    for word in string.gmatch(memory[1] or '', '%S+') do old[#old + 1] = word end
    for word in string.gmatch(memory[2] or '', '%S+') do k = k + 1; before[old[k] .. ' ' .. word] = true end
  end
  return before[id .. ' ' .. under]
end

-- Jobs given back go to the front of their bands in the order they came. Their tenants are not charged again, but what
-- these enqueue from now on comes after. Where a tenant has held jobs they go before those.
local function give_back(back)
  local records, fronts, line, ends = call('HMGET', keys.jobs, unpack(back)), {}, {}, {}
  for i = #back, 1, -1 do
    local head = head_of(records[i])
    local base, tenant = base_of(head), tenant_of(head)
    if keys.limited and first_held(keys, tenant) then
      local first = held_in_band(keys, tenant, base) or math.huge
      hold(keys, tenant, math.min(first, band_clock(keys, base)) - 1, back[i])
      tally('waiting', tenant, -1); tally('parked', tenant, 1)
    else
      local tag = (fronts[base] or band_clock(keys, base)) - 1
      fronts[base] = tag
      line[#line + 1] = tag; line[#line + 1] = back[i]
      ends[#ends + 1] = tag + 1; ends[#ends + 1] = head
    end
  end
  if #line == 0 then return end
  call('ZADD', keys.wait, unpack(line))
  call('ZADD', keys.share, 'GT', unpack(ends))
end

local function charge(ended, costs)
  local old, new = call('HMGET', keys.attempts, unpack(ended)), {}
  for i, id in ipairs(ended) do
    local runs, unspent, crashes = match(old[i] or '', '(%d+) (%d+) (%d+)') -- nothing where it is new, or is not ours
    local cost = costs[i]
    new[2 * i - 1] = id
    new[2 * i] = format('%d %d %d', (runs or 0) + cost[1], (unspent or 0) + cost[2], (crashes or 0) + cost[3])
  end
  call('HSET', keys.attempts, unpack(new))
end

local refused, applied, under, freed, soonest = {}, {}, {}, {}, nil
local function settle()
  local held = call('HMGET', keys.lease, unpack(ids))
  local gone, done, moves, back, ended, costs, told, lines, over = {}, {}, {}, {}, {}, {}, {}, {}, {}
  for i = 1, settled do
    local id, lease, verdict = ids[i], held[i], nil
    if gone[id] then verdict = 'already'
    elseif not lease or sub(lease, 1, 22) ~= nonces[i] then verdict = was_applied(id, nonces[i]) and 'already' or 'stale' end
    if verdict ~= 'stale' then applied[#applied + 1] = id; under[#applied] = nonces[i] else count('stale', 1) end
    if not verdict then
      gone[id], gone[#gone + 1] = true, id
      local tenant, outcome = match(lease, '^%S*', 24), outcomes[i]
      tally('active', tenant, -1)
      freed[tenant] = true
      if not outcome then
        done[#done + 1] = stamp; done[#done + 1] = id
        tally('completed', tenant, 1)
        over[#over + 1] = id
      else
        local goes = GOES[outcome]
        if COMES_BACK[goes[2]] and string.find(lease, '\n', 1, true) then
          goes, verdict = GOES.cancel, 'cancelled'
        end
        local to = goes[1]
        if to == keys.wait then back[#back + 1] = id
        elseif to == keys.done then done[#done + 1] = stamp; done[#done + 1] = id
        else
          local list, score = moves[to] or {}, stamp
          if to == keys.later then
            score, soonest = now + delays[i], math.min(soonest or delays[i], delays[i])
          end
          moves[to] = list
          list[#list + 1] = score; list[#list + 1] = id
        end
        if to ~= keys.done then
          ended[#ended + 1] = id; costs[#ended] = goes[4]
          count(goes[3], 1)
        end
        tally(goes[2], tenant, 1)
        if not COMES_BACK[goes[2]] then over[#over + 1] = id end
        if entries[i] ~= '' then told[#told + 1], lines[#lines + 1] = id, entries[i] end
      end
    end
    if verdict then refused[#refused + 1] = id; refused[#refused + 1] = verdict end
  end
  if #gone == 0 then return end
  call('ZREM', keys.active, unpack(gone))
  call('HDEL', keys.lease, unpack(gone))
  for to, list in pairs(moves) do call('ZADD', to, unpack(list)) end
  if #back > 0 then give_back(back) end
  if #told > 0 then add_lines(keys.state, told, lines) end
  if #ended > 0 then charge(ended, costs) end
  if meta[11] and #over > 0 then free_keys(keys, over) end
  if #done == 0 then return end
  count('completed', #done / 2)
  -- The oldest are forgotten first. Those that ended at a time yet to come are from before the clock was set back, and would
  -- outlive all that end from now on: they have ended just before. More of them a time than are forgotten.
  local newest = call('ZRANGE', keys.done, -1, -1, 'WITHSCORES')[2]
  if newest and tonumber(newest) > now then
    local ended_before = {}
    for _, id in ipairs(call('ZRANGEBYSCORE', keys.done, '(' .. stamp, '+inf', 'LIMIT', 0, 100 + #done)) do
      ended_before[#ended_before + 1] = now - 1; ended_before[#ended_before + 1] = id
    end
    call('ZADD', keys.done, unpack(ended_before))
  end
  call('ZADD', keys.done, unpack(done))
  local most = math.min(call('ZCARD', keys.done) - keep, 100 + #done / 2)
  if most > 0 then
    local old = call('ZPOPMIN', keys.done, most)
    local gone_for_good = {}
    for k = 1, #old, 2 do gone_for_good[#gone_for_good + 1] = old[k] end
    forget(keys, 'completed', gone_for_good, tonumber(ARGV[9]), tonumber(ARGV[10]))
  end
end
if settled > 0 then settle() end

-- Line up what is due.
local due = due_ms()
if due == 0 and promote > 0 then
  local ready, heads = call('ZRANGEBYSCORE', keys.later, '-inf', stamp, 'LIMIT', 0, promote), {}
  local records = call('HMGET', keys.jobs, unpack(ready))
  for i in ipairs(ready) do
    heads[i] = head_of(records[i])
    local tenant = tenant_of(heads[i])
    tally('delayed', tenant, -1); tally('waiting', tenant, 1)
  end
  call('ZREM', keys.later, unpack(ready))
  admit(keys, meta[4], ready, heads)
  due = due_ms()
end

-- Who came to the end of a job may start another, and so may those whose buckets have filled.
if keys.limited then
  local ripe = call('ZRANGEBYSCORE', keys.refill, '-inf', stamp, 'LIMIT', 0, 100)
  if #ripe > 0 then call('ZREM', keys.refill, unpack(ripe)) end
  for _, tenant in ipairs(ripe) do freed[tenant] = true end
  local orders, tenants = {}, {}
  for tenant in pairs(freed) do
    local order = tenant ~= '' and first_held(keys, tenant)
    if order then orders[tenant], tenants[#tenants + 1] = order, tenant end
  end
  learn(keys, tenants, each)
  for _, tenant in ipairs(tenants) do
    if not blocked(keys, tenant, each) then give_turn(keys, tenant, orders[tenant]) end
  end
end

-- Reserve where tenants are limited: job by job, by place in line and by turn. Each step reserves a job, holds one, or
-- mends a turn; there is a bound on what they cost in all, and what is left is left to the next exchange.
local STEPS, TURN = 240, 6 -- a step's cost is 1; a turn costs so many commands more
local pick
if keys.limited then
  pick = function(number)
    local picked = {}
    local function take(id, tenant)
      picked[#picked + 1] = id
      if tenant ~= '' then
        local own = rules_of(keys, tenant, each)
        own.took = own.took + 1
        if own.bucket then spend(own.bucket, 1) end
      end
    end
    local turn -- who has the first turn, and where it is; looked up again once one may have moved
    local function take_held(tenant, place, order, id, entry)
      call('ZREM', keys.held, entry)
      call('ZREM', keys.parked, id)
      tally('parked', tenant, -1); tally('waiting', tenant, 1)
      take(id, tenant)
      if place then -- by its turn: it is charged now
        local head = format(HEAD, 100 - math.floor(order / BAND), tenant)
        local ends = math.max(place, tonumber(call('ZSCORE', keys.share, head) or 0)) + cost_of(keys, meta[4], head)
        call('ZADD', keys.share, ends, head)
      end
      local next_order = first_held(keys, tenant)
      if not next_order then
        call('ZREM', keys.turns, tenant)
        call('ZREM', keys.refill, tenant)
      elseif blocked(keys, tenant, each) then call('ZREM', keys.turns, tenant)
      else give_turn(keys, tenant, next_order) end
      turn = nil
    end
    local line, heads, at, spent, gone = {}, {}, 1, 0, {}
    local function look()
      if #gone > 0 then call('ZREM', keys.wait, unpack(gone)) end
      line, heads, at, gone = call('ZRANGE', keys.wait, 0, number - #picked - 1, 'WITHSCORES'), {}, 1, {}
      local found, tenants = {}, {}
      for k = 1, #line, 2 do found[#found + 1] = line[k] end
      local records_found = #found > 0 and call('HMGET', keys.jobs, unpack(found)) or {}
      for k in ipairs(found) do
        heads[k] = head_of(records_found[k])
        tenants[k] = tenant_of(heads[k])
      end
      learn(keys, tenants, each)
    end
    local looked = false
    while #picked < number and spent < STEPS do
      spent = spent + 1
      if not heads[at] and (not looked or #line > 0) then look(); looked = true end
      local id, place = line[2 * at - 1], tonumber(line[2 * at])
      turn = turn or call('ZRANGE', keys.turns, 0, 0, 'WITHSCORES')
      local turn_place = tonumber(turn[2])
      if turn_place and not (place and place < turn_place) then
        local tenant = turn[1]
        local order, first, entry = first_held(keys, tenant)
        turn, spent = nil, spent + TURN
        if not order or blocked(keys, tenant, each) then call('ZREM', keys.turns, tenant)
        elseif math.floor(order / BAND) ~= math.floor(turn_place / BAND) then give_turn(keys, tenant, order) -- its first left
        else take_held(tenant, turn_place, order, first, entry) end
      elseif id then
        local tenant = tenant_of(heads[at])
        at, gone[#gone + 1] = at + 1, id
        if tenant == '' then take(id, '')
        else
          local is_blocked, order, first, entry = blocked(keys, tenant, each), first_held(keys, tenant)
          if is_blocked or order and order < place then
            hold(keys, tenant, place, id)
            tally('waiting', tenant, -1); tally('parked', tenant, 1)
            if not is_blocked then -- one that came before it goes first
              take_held(tenant, nil, order, first, entry)
              spent = spent + TURN
            end
          else take(id, tenant) end
        end
      else break end
    end
    if #gone > 0 then call('ZREM', keys.wait, unpack(gone)) end
    for tenant, own in pairs(known) do
      if own.bucket and own.took > 0 then call('ZADD', keys.rates, format('%.3f', own.bucket.full), tenant) end
    end
    if call('EXISTS', keys.held) == 0 then call('HDEL', keys.meta, 'holding') end
    return picked
  end
end

-- Reserve.
local most = tonumber(meta[5]) or max_active
local free = meta[3] == '1' and 0 or most > 0 and most - call('ZCARD', keys.active) or math.huge
if pace then free = math.min(free, tokens(pace)) end
local taken, records, counts, left = {}, {}, {}, false
if free > 0 then
  want = math.min(want, free)
  if keys.limited then taken = want > 0 and pick(want) or taken
  else
    local popped = want > 0 and call('ZPOPMIN', keys.wait, want) or {}
    for i = 1, #popped / 2 do taken[i] = popped[2 * i - 1] end
  end
  local n = #taken
  if n > 0 then
    records, counts = call('HMGET', keys.jobs, unpack(taken)), call('HMGET', keys.attempts, unpack(taken))
    local active, leases, holder, number, holders = {}, {}, ' ' .. consumer .. ' ' .. stamp, {}, {}
    for i, id in ipairs(taken) do
      local tenant = match(records[i] or '', '^%[%d+,%d+,"([^"]*)"') or ''
      local held = holders[tenant]
      if not held then
        held = nonce .. ' ' .. tenant .. holder
        holders[tenant], number[tenant] = held, 0
      end
      number[tenant] = number[tenant] + 1
      active[2 * i - 1] = lease_end; active[2 * i] = id
      leases[2 * i - 1] = id; leases[2 * i] = held
    end
    for tenant, k in pairs(number) do tally('waiting', tenant, -k); tally('active', tenant, k) end
    call('ZADD', keys.active, unpack(active))
    call('HSET', keys.lease, unpack(leases))
    count('started', n)
    if pace then
      spend(pace, n)
      call('ZADD', keys.rates, format('%.3f', pace.full), '*')
    end
  end
  -- A tenant whose last tag lies before the first job that still waits is ahead of nobody: its share is over.
  local first = (n == want or keys.limited) and call('ZRANGE', keys.wait, 0, 0, 'WITHSCORES')[2]
  local turn = keys.limited and call('ZRANGE', keys.turns, 0, 0, 'WITHSCORES')[2]
  if turn and not (first and tonumber(first) < tonumber(turn)) then first = turn end
  if not first then call('UNLINK', keys.share)
  elseif n > 0 then
    local over = call('ZRANGEBYSCORE', keys.share, '-inf', '(' .. first, 'LIMIT', 0, 100 + 2 * n)
    if #over > 0 then call('ZREM', keys.share, unpack(over)) end
  end
  left = first and free > n
end
-- Pass the token on when jobs are left for others, or when a delayed job of this batch is now due before all others.
if (left or soonest and due >= soonest) and call('LLEN', keys.wake) == 0 then call('LPUSH', keys.wake, 1) end

call('HSET', MEMORY, 'nonce', nonce, 'serial', ARGV[2], 'taken', table.concat(taken, ' '), 'refused',
  table.concat(refused, ' '), 'settled', table.concat(applied, ' '), 'under', table.concat(under, ' '))
call('PEXPIRE', MEMORY, DAY_MS)
write_tally(keys.tally)
for i = 1, counted do call('HINCRBY', keys.stats, ARGV[13 + 2 * i], ARGV[14 + 2 * i]) end
tell(keys, news, consumer)
return {taken, records, counts, refused, next_look(due), stamp}
