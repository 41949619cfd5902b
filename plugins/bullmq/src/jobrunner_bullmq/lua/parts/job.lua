-- job: what BullMQ has of a job, and whether the job can go over. Of what is BullMQ's own it reads only.
local call, pcall_ = redis.call, redis.pcall
local base = KEYS[1]
local taken = base .. 'jobrunner:taken' -- hash: id -> nonce, place, state, score, where it goes

local function field(value) return value and string.sub(value, 1, 1025) or '' end

-- {verdict, name, created in ms, priority, attempts made, its deduplication id if that lasts until it ends, bytes of its
-- data, the data}. The data is there for the verdict ok only: all others stay where they are.
local function describe(id, most)
  local key = base .. id
  if call('TYPE', key).ok ~= 'hash' or call('HEXISTS', key, 'data') == 0 then return {'missing'} end
  local had = call('HMGET', key, 'name', 'timestamp', 'priority', 'atm', 'attemptsMade', 'deid', 'parentKey', 'rjk', 'defa')
  local size = call('HSTRLEN', key, 'data')
  local verdict = 'ok'
  if call('EXISTS', key .. ':lock') == 1 then
    verdict = 'locked'
  elseif had[8] or string.sub(id, 1, 7) == 'repeat:' then
    verdict = 'scheduler'
  elseif (had[7] and had[7] ~= '') or had[9]
    or call('EXISTS', key .. ':dependencies', key .. ':processed', key .. ':failed', key .. ':unsuccessful') > 0 then
    verdict = 'flow'
  elseif size > most then
    verdict = 'large'
  end
  local unique = ''
  if had[6] and had[6] ~= '' then
    local mark = base .. 'de:' .. had[6]
    if call('TYPE', mark).ok == 'string' and call('GET', mark) == id and call('PTTL', mark) == -1 then unique = had[6] end
  end
  return {verdict, field(had[1]), field(had[2]), field(had[3]), field(had[4] or had[5]), field(unique), size,
    verdict == 'ok' and call('HGET', key, 'data') or ''}
end
