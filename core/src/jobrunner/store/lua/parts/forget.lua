-- forget: delete all that is known of jobs that are in no list any more. Where `own_ms` is given, their ids stay in
-- `seen`: for own_ms since they were enqueued if jobrunner made them, for chosen_ms if a producer chose them.
local function forget(keys, state, ids, own_ms, chosen_ms)
  local records, seen = call('HMGET', keys.jobs, unpack(ids)), {}
  for i, id in ipairs(ids) do
    local at, tenant = match(records[i] or '', '^%[(%d+),%d+,"([^"]*)"')
    if at then -- else it is gone, or somebody else wrote it
      if state then tally(state, tenant, -1) end
      if own_ms then
        local till = sub(records[i], -2) == '"]' and now + chosen_ms or at + own_ms -- a fingerprint ends it
        if till > now then seen[#seen + 1] = till; seen[#seen + 1] = id end
      end
    end
  end
  call('HDEL', keys.jobs, unpack(ids))
  for _, key in ipairs({keys.attempts, keys.state, keys.steps, keys.progress, keys.logs}) do
    if call('EXISTS', key) == 1 then call('HDEL', key, unpack(ids)) end -- most queues never use most of these
  end
  if #seen > 0 then call('ZADD', keys.seen, unpack(seen)) end
end
