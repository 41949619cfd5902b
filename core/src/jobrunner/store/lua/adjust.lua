-- adjust: set fields of the tally that were counted again, each only if it still is what it was when that began.
--
-- KEYS     tally
-- ARGV     field, count as it was seen ('' for none), count as it should be; up to 300 fields
-- Returns  how many were set
-- uses: time
local TALLY, set = KEYS[1], 0
for at = 1, #ARGV, 3 do
  local field, seen, right = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if (call('HGET', TALLY, field) or '') == seen then
    if right == '0' then call('HDEL', TALLY, field) else call('HSET', TALLY, field, right) end
    set = set + 1
  end
end
return set
