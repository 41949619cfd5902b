-- heads: what a list shows of some jobs. Payloads and the rest of the journals stay where they are.
--
-- KEYS     jobs attempts state
-- ARGV     ids, 1 to 200
-- Returns  {heads, counts, told}, a value an id: the record's start, `[at_ms,priority,"tenant"`; 'runs unspent crashes';
--          and of the journal the last line that tells of an error or a lost worker, and the last one where that is
--          another; nil where there is none
-- uses: time last
local JOBS, ATTEMPTS, STATE = KEYS[1], KEYS[2], KEYS[3]
local heads, told = {}, {}
for i, id in ipairs(ARGV) do
  heads[i] = match(call('HGET', JOBS, id) or '', '^%[%d+,%d+,"[^"]*"') or false
  told[i] = last_told(call('HGET', STATE, id)) or false
end
return {heads, call('HMGET', ATTEMPTS, unpack(ARGV)), told}
