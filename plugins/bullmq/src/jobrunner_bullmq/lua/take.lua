-- take: take some jobs out of one of BullMQ's lists, so that none of its workers can have them any more. They are noted as
-- taken until they are settled or put back; their records stay where they are.
--
-- KEYS     what all keys of BullMQ's queue begin with
-- ARGV     1 the list's name: wait, paused, prioritized, delayed, failed
--          2 for wait and paused the places to look at, from the end of the list: first, last, as in LRANGE; else empty
--          3 the same
--          4 nonce of this run
--          5 number of the first job, counted over the run
--          6 the state that the list stands for
--          7 where the jobs go: text that is kept with them
--          8 bytes of data above which a job is not taken
--          then ids
-- Returns  how far from the end of the list the first of the jobs was, -1 where none was there; then for each id what
--          `describe` says with its score behind, where ok means that it is taken now, or {'gone'} where it is not in the list
-- uses: job
local list, is_list, nonce, number = base .. ARGV[1], ARGV[2] ~= '', ARGV[4], tonumber(ARGV[5])
local at, length = {}, 0
if is_list then
  length = call('LLEN', list)
  local first = math.max(0, length + tonumber(ARGV[2]))
  for place, id in ipairs(call('LRANGE', list, first, ARGV[3])) do at[id] = first + place - 1 end
else
  for place = 9, #ARGV do at[ARGV[place]] = call('ZSCORE', list, ARGV[place]) or nil end
end

local answer, ids, notes, nearest = {-1}, {}, {}, nil
for place = 9, #ARGV do
  local id = ARGV[place]
  local found = {'gone'}
  if at[id] then
    found = describe(id, tonumber(ARGV[8]))
    local score = is_list and '-' or at[id]
    found[9] = score
    if is_list then nearest = math.max(nearest or 0, at[id]) end
    if found[1] == 'ok' then
      ids[#ids + 1] = id
      notes[#notes + 1] = id
      notes[#notes + 1] = table.concat({nonce, string.format('%.0f', number), ARGV[6], score, ARGV[7]}, ' ')
    end
  end
  number = number + 1
  answer[#answer + 1] = found
end
if nearest then answer[1] = length - 1 - nearest end
if #ids == 0 then return answer end

-- The notes come first: should the server refuse a later command, they are taken back, and no job is nowhere.
call('HSET', taken, unpack(notes))
local refused
if is_list then
  local mark = 'jobrunner:' .. nonce
  refused = pcall_('LREM', list, 1, mark) -- of nothing: whether it is allowed at all
  if type(refused) ~= 'table' then
    for _, id in ipairs(ids) do
      refused = pcall_('LSET', list, at[id], mark)
      if refused.err then break end
    end
  end
  if not (type(refused) == 'table' and refused.err) then call('LREM', list, -#ids, mark) end
else
  refused = pcall_('ZREM', list, unpack(ids))
end
if type(refused) == 'table' and refused.err then
  call('HDEL', taken, unpack(ids))
  return refused
end
return answer
