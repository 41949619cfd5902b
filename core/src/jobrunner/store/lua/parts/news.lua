-- news: what happened, counted: in all, by the minute of the last day (started, completed, failed, retried), and as one
-- small entry of the event stream.
local MINUTES, EVENTS_KEPT = 1440, 10000
local function tell(keys, news, worker)
  if not next(news) then return end
  local entry = {}
  for name, count in pairs(news) do
    call('HINCRBY', keys.stats, name, count)
    entry[#entry + 1] = name; entry[#entry + 1] = count
  end
  if worker then entry[#entry + 1] = 'worker'; entry[#entry + 1] = worker end
  call('XADD', keys.events, 'MAXLEN', '~', EVENTS_KEPT, '*', unpack(entry))
  local begun, out, bad, again = news.started or 0, news.completed or 0, (news.failed or 0) + (news.buried or 0),
    news.retried or 0
  if begun + out + bad + again == 0 then return end
  local minute = math.floor(now / 60000)
  local slot = 'm' .. minute % MINUTES -- a ring: a slot is written over a day later
  local was, a, b, c, d = match(call('HGET', keys.stats, slot) or '', '^(%d+) (%d+) (%d+) (%d+) (%d+)')
  if tonumber(was) ~= minute then a, b, c, d = 0, 0, 0, 0 end
  call('HSET', keys.stats, slot, format('%d %d %d %d %d', minute, a + begun, b + out, c + bad, d + again))
end
