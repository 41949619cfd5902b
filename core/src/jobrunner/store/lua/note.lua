-- note: write what a running job has to say, under its lease: steps, progress, log lines.
--
-- KEYS     active lease steps progress logs
-- ARGV     1 max_steps, 2 max_logs: bytes a job   then id, nonce, kind, text a note; up to 500 notes. Kind: `step` adds a
--          line, `log` adds lines and lets the oldest go past max_logs, `progress` is written over
-- Returns  {ids whose lease was lost, ids whose steps are full}: nothing was written for those
-- uses: time
local ACTIVE, LEASE, STEPS, PROGRESS, LOGS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
call('ZREM', ACTIVE, '') -- a first write that needs no memory: what follows then runs in a full Redis too
local max_steps, max_logs, lost, full = tonumber(ARGV[1]), tonumber(ARGV[2]), {}, {}
for at = 3, #ARGV, 4 do
  local id, nonce, kind, text = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local lease = call('HGET', LEASE, id)
  if not lease or sub(lease, 1, 22) ~= nonce then lost[#lost + 1] = id
  elseif kind == 'progress' then call('HSET', PROGRESS, id, stamp .. ' ' .. text)
  elseif kind == 'step' then
    local all = (call('HGET', STEPS, id) or '') .. text .. '\n'
    if #all > max_steps then full[#full + 1] = id else call('HSET', STEPS, id, all) end
  elseif kind == 'log' then
    local all = (call('HGET', LOGS, id) or '') .. text
    if #all > max_logs then
      local cut = string.find(all, '\n', #all - max_logs, true)
      all = cut and sub(all, cut + 1) or sub(all, -max_logs)
    end
    call('HSET', LOGS, id, all)
  else return redis.error_reply('NOTE ' .. kind) end
end
return {lost, full}
