-- time: the server's clock, read once a script. Redis writes the numbers that it is given to the last digit; `..` keeps 14 of
-- them, enough for a time, and `int` is for those that have more.
local call, sub, match, format = redis.call, string.sub, string.match, string.format
local function int(x) return format('%.0f', x) end
local time = call('TIME')
local stamp = time[1] .. sub('00000' .. time[2], -6, -4) -- ms, from seconds and microseconds
local now = tonumber(stamp)
