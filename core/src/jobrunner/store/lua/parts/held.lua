-- held: jobs of a tenant that may start none now stand apart, so that nobody walks over them. `held` names each as
-- `tenant order id` (no name has a space), all of score 0, so a tenant's jobs are a range in their order; `parked` has
-- each under minus its order, where people see it and a script that has the id finds the order. An order is the place
-- that the job had, or would have had, in line. While a tenant has held jobs, what comes in for it goes there too.
--
-- A tenant that may start jobs again gets a turn: a place in line of its own, in `turns`. An exchange that comes to it
-- runs the tenant's first held job, and puts the turn behind. So letting a tenant go costs the same for one job and for
-- a million. Whoever gives a turn need not know the limits: one that comes too early is taken away by the exchange.
local ORDER, HEAD = ' %016.0f', '%d,"%s",'

-- The first held job of a tenant: its order, id and entry. A script that knows that none is held says so in `none_held`.
local function first_held(keys, tenant)
  if keys.none_held then return nil end
  local entry = call('ZRANGEBYLEX', keys.held, '[' .. tenant .. ' ', '(' .. tenant .. '!', 'LIMIT', 0, 1)[1]
  if not entry then return nil end
  local order, id = match(entry, ' (%d+) (%S+)$')
  return tonumber(order), id, entry
end

-- The first or last held job of a tenant in a band: its order.
local function held_in_band(keys, tenant, base, last)
  local from, to = '[' .. tenant .. format(ORDER, base), '(' .. tenant .. format(ORDER, base + BAND)
  local entry = last and call('ZREVRANGEBYLEX', keys.held, to, from, 'LIMIT', 0, 1)[1]
    or not last and call('ZRANGEBYLEX', keys.held, from, to, 'LIMIT', 0, 1)[1]
  return entry and tonumber(match(entry, ' (%d+) %S+$'))
end

local function hold(keys, tenant, order, id)
  call('ZADD', keys.held, 0, tenant .. format(ORDER, order) .. ' ' .. id)
  call('ZADD', keys.parked, -order, id)
  if keys.none_held ~= false then call('HSET', keys.meta, 'holding', 1) end
  keys.none_held = false
end

-- A turn, where the tenant has held jobs: in the band of the first, behind what the tenant has had there. A caller that
-- has looked for the first one gives its order.
local function give_turn(keys, tenant, order)
  order = order or first_held(keys, tenant)
  if not order then
    call('ZREM', keys.turns, tenant)
    return false
  end
  call('ZREM', keys.turns, tenant) -- its own old turn is no clock
  local band = math.floor(order / BAND)
  local clock = band_clock(keys, band * BAND)
  local ends = tonumber(call('ZSCORE', keys.share, format(HEAD, 100 - band, tenant)) or 0)
  call('ZADD', keys.turns, math.max(clock, ends), tenant)
  return true
end
