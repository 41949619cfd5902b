-- time: the server's clock, read once a script, and numbers as Redis wants them.
local call, sub, match, format = redis.call, string.sub, string.match, string.format
local function int(x) return format('%.0f', x) end -- tostring loses digits past 1e14
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stamp = int(now)
