-- causes: why some jobs last failed, so that many failures can be told by their few causes.
--
-- KEYS     jobs state
-- ARGV     ids, 1 to 200
-- Returns  {tenants, causes}, a value an id: the job's tenant, and the fingerprint of its last error, 'crash' where its
--          worker was lost; '' where there is none
-- uses: time last
local JOBS, STATE = KEYS[1], KEYS[2]
local tenants, causes = {}, {}
for i, id in ipairs(ARGV) do
  tenants[i] = match(call('HGET', JOBS, id) or '', '^%[%d+,%d+,"([^"]*)"') or ''
  causes[i] = last_cause(call('HGET', STATE, id))
end
return {tenants, causes}
