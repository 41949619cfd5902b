-- order: start-time fair queueing. A job's score is its band (priority) and, inside it, a tag: a job starts where its
-- tenant's last one ended, but not before the clock of its band, which is the tag of the band's first waiting job.
-- A head is the start of a record that names band and tenant: `10,"acme",`.
local DEAREST = 1000 * COST -- what it costs at the most, whatever weight somebody typed
local HEAD_AT_START = '^%d+,"[^"]*",' -- of a record that a producer sends
local NO_HEAD = '0,"",' -- of a job whose record is gone
local function head_of(record) return record and match(record, '^%[%d+,(%d+,"[^"]*",)') or NO_HEAD end
local function tenant_of(head) return match(head, '"(.*)"') end
local function base_of(head) return (100 - match(head, '^%d+')) * BAND end

-- The tag of the first in line: of the jobs that wait, and where tenants are limited of those who have a turn.
local function band_clock(keys, base)
  local first = first_in(keys.wait, base)
  if keys.limited then
    local turn = first_in(keys.turns, base)
    if turn and turn < (first or math.huge) then first = turn end
  end
  return first or base + FIRST
end

local function cost_of(keys, weighted, head)
  local weight = weighted and tonumber(call('HGET', keys.meta, 'weight:' .. tenant_of(head)) or 1) or 1
  return weight > 0 and math.max(1, math.min(DEAREST, math.floor(COST / weight))) or DEAREST
end

-- Puts ids in line behind what their tenants have there already; heads[i] is the head of ids[i].
local function line_up(keys, weighted, ids, heads)
  local groups, group_of, line = {}, {}, {}
  for i, id in ipairs(ids) do
    local group = group_of[heads[i]]
    if not group then
      group = #groups + 1
      group_of[heads[i]], groups[group] = group, heads[i]
    end
    line[2 * i - 1] = group; line[2 * i] = id
  end
  local ends, clocks, costs, share = call('ZMSCORE', keys.share, unpack(groups)), {}, {}, {}
  for group, head in ipairs(groups) do
    local base = base_of(head)
    clocks[base] = clocks[base] or band_clock(keys, base)
    costs[group] = cost_of(keys, weighted, head)
    ends[group] = math.max(clocks[base], tonumber(ends[group] or 0))
  end
  for at = 1, #line, 2 do
    local group = line[at]
    line[at] = ends[group]
    ends[group] = ends[group] + costs[group]
  end
  for group, head in ipairs(groups) do share[2 * group - 1] = ends[group]; share[2 * group] = head end
  call('ZADD', keys.share, unpack(share))
  call('ZADD', keys.wait, unpack(line))
end

-- What was taken out of the line by hand: a tenant that has nothing waiting any more is charged no longer for what it
-- took back, and begins at the clock of its band again. Called when the tally is written.
local function drop_shares(keys, heads)
  for head in pairs(heads) do
    local tenant = tenant_of(head)
    if tenant ~= '' and call('HEXISTS', keys.tally, 'waiting|' .. tenant) == 0 then call('ZREM', keys.share, head) end
  end
end
