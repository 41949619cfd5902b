-- unique: a key is its job's until the job ends. `unique` has the job by the key, `uniques` the key by the job, and `meta`
-- says whether there are any, so a queue that uses none pays nothing. Called with jobs that ended or are gone.
local function free_keys(keys, ids)
  for i, key in ipairs(call('HMGET', keys.uniques, unpack(ids))) do
    if key then
      call('HDEL', keys.uniques, ids[i])
      if call('HGET', keys.unique, key) == ids[i] then call('HDEL', keys.unique, key) end
    end
  end
  if call('EXISTS', keys.uniques) == 0 then call('HDEL', keys.meta, 'unique') end
end
