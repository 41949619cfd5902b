-- look: which schedules are due, by the server's clock.
--
-- KEYS     rows standing due kept
-- ARGV     1 how many at the most
-- Returns  the time in ms, when the next one is due after these or '', 1 where the clock was set back since somebody looked,
--          then each: its name, row and standing

local HEARD_MS = 5000 -- how often it is written that somebody looks
local BACK_MS = 60000 -- more than servers differ among which one takes over from another

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stamp = string.format('%.0f', now)

-- Not where the server takes no writes now: to look is worth something all the same.
local heard = redis.pcall('GET', KEYS[4])
heard = type(heard) == 'string' and tonumber(heard) or 0
local back = heard > now + BACK_MS
-- Where the clock was set back, it is written once every schedule has been seen to.
if not back and math.abs(now - heard) >= HEARD_MS then redis.pcall('SET', KEYS[4], stamp) end

local names = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', stamp, 'LIMIT', 0, ARGV[1])
local reply = {stamp, '', back and 1 or 0}
for _, name in ipairs(names) do
  local row = redis.call('HGET', KEYS[1], name)
  if row then
    reply[#reply + 1] = name
    reply[#reply + 1] = row
    reply[#reply + 1] = redis.call('HGET', KEYS[2], name) or ''
  else
    redis.pcall('ZREM', KEYS[3], name) -- somebody deleted its row by hand
  end
end
local following = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. stamp, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
if following[2] then reply[2] = following[2] end
return reply
