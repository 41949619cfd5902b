-- bands: a queue's line is one list of jobs by score. The bits on top are the band, which is the priority, the highest
-- first; those below are a tag, the place inside the band.
local BAND, COST = 2 ^ 46, 64 -- 10^12 jobs a band before its tags run out; what a job costs a tenant of weight 1
local FIRST = 2 ^ 40 -- the first tag of a band, which leaves room before it for jobs that are given back

-- The score of what stands first in a band of a line, nil where nothing does.
local function first_in(line, base)
  local first = tonumber(call('ZRANGE', line, 0, 0, 'WITHSCORES')[2])
  if not first or first >= base + BAND then return nil end
  if first >= base then return first end -- mostly: this look costs the least
  return tonumber(call('ZRANGEBYSCORE', line, int(base), '(' .. int(base + BAND), 'WITHSCORES', 'LIMIT', 0, 1)[2])
end
