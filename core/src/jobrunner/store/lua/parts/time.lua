-- time: the server's clock, read once a script, and numbers as Redis wants them.
local call, sub, match, format = redis.call, string.sub, string.match, string.format
-- tostring loses digits past 1e14, %.0f costs five times what %d does, and that holds 32 bits only on some machines
local INT = format('%d', 2 ^ 40) == '1099511627776' and '%d' or '%.0f'
local function int(x) return format(INT, x) end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stamp = int(now)
