-- claim: make jobs that a run before this one took, and did not finish, this run's. What that one does later is refused.
--
-- KEYS     what all keys of BullMQ's queue begin with
-- ARGV     1 nonce of this run
--          2 bytes of data above which a job is not read
--          then ids
-- Returns  for each id what `describe` says; missing where BullMQ's record is gone, and then it is no longer noted; gone
--          where it is noted no more
-- uses: job
local answer = {}
for place = 3, #ARGV do
  local id = ARGV[place]
  local note = call('HGET', taken, id)
  local found = {'gone'}
  if note then
    found = describe(id, tonumber(ARGV[2]))
    if found[1] == 'missing' then
      call('HDEL', taken, id)
    else
      call('HSET', taken, id, (string.gsub(note, '^%S+', ARGV[1], 1)))
    end
  end
  answer[#answer + 1] = found
end
return answer
