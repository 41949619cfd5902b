-- put_back: give jobs back to BullMQ that were taken and that jobrunner refused, to where they were; those of a list to its
-- front, in their order.
--
-- KEYS     what all keys of BullMQ's queue begin with
-- ARGV     1 nonce of the run that took them, then ids in the order in which they would have run
-- Returns  how many are back; one that another run has claimed is left to that run
-- uses: job
local lists = {prioritized = 'prioritized', delayed = 'delayed', failed = 'failed'}
-- While a queue is paused, BullMQ 4 and 5 have its waiting jobs in another list, and 6 looks there when it goes on.
local line = call('HEXISTS', base .. 'meta', 'paused') == 1 and 'paused' or 'wait'
local back = 0
for place = #ARGV, 2, -1 do
  local id = ARGV[place]
  local note = call('HGET', taken, id)
  local nonce, state, score = string.match(note or '', '^(%S+) %S+ (%S+) (%S+)')
  if nonce == ARGV[1] then
    if call('TYPE', base .. id).ok == 'hash' then -- somebody may have removed it meanwhile
      if lists[state] then
        call('ZADD', base .. lists[state], score, id)
      else
        call('RPUSH', base .. line, id)
      end
      back = back + 1
    end
    call('HDEL', taken, id)
  end
end
return back
