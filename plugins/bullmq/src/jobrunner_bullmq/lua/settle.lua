-- settle: remove jobs from BullMQ that jobrunner has: their records, and what its deduplication has of them.
--
-- KEYS     what all keys of BullMQ's queue begin with
-- ARGV     1 nonce of the run that took them, then ids
-- Returns  how many were removed; one that another run has claimed is left to that run
-- uses: job
local removed = 0
for place = 2, #ARGV do
  local id = ARGV[place]
  local note = call('HGET', taken, id)
  if note and string.match(note, '^%S+') == ARGV[1] then
    local key = base .. id
    if call('TYPE', key).ok == 'hash' then
      local deid = call('HGET', key, 'deid')
      if deid and call('TYPE', base .. 'de:' .. deid).ok == 'string' and call('GET', base .. 'de:' .. deid) == id then
        call('DEL', base .. 'de:' .. deid, base .. 'dn:' .. deid)
      end
      call('DEL', key, key .. ':logs')
    end
    call('HDEL', taken, id)
    -- Only for who listens: a stream that cannot be written to changes nothing.
    pcall_('XADD', base .. 'events', 'MAXLEN', '~', tonumber(call('HGET', base .. 'meta', 'opts.maxLenEvents')) or 10000, '*',
      'event', 'removed', 'jobId', id, 'prev', string.match(note, '^%S+ %S+ (%S+)'))
    removed = removed + 1
  end
end
return removed
