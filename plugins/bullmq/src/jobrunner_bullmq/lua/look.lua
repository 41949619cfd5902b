-- look: what BullMQ has of some jobs, as many of them as fit. It changes nothing.
--
-- KEYS     what all keys of BullMQ's queue begin with, such as `bull:mail:`
-- ARGV     1 bytes of data above which a job is not read
--          2 bytes of data after which no further job is read: the caller asks again for the rest
--          then ids
-- Returns  for each of the first ids, at least one, what `describe` says
-- uses: job
local found, bytes, most, stop = {}, 0, tonumber(ARGV[1]), tonumber(ARGV[2])
for at = 3, #ARGV do
  found[#found + 1] = describe(ARGV[at], most)
  bytes = bytes + #(found[#found][8] or '')
  if bytes >= stop then break end
end
return found
