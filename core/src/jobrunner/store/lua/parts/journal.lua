-- journal: what became of a job's attempts, a line each, `time entry`. Past its size the lines after the first go.
local JOURNAL = 65536 -- bytes a job
local function add_lines(state, ids, entries)
  local before, lines = call('HMGET', state, unpack(ids)), {}
  for i, id in ipairs(ids) do
    local all = (before[i] or '') .. stamp .. ' ' .. entries[i] .. '\n'
    while #all > JOURNAL do
      local first = string.find(all, '\n', 1, true)
      local second = string.find(all, '\n', first + 1, true)
      if not second then break end
      all = sub(all, 1, first) .. sub(all, second + 1)
    end
    lines[2 * i - 1] = id; lines[2 * i] = all
  end
  call('HSET', state, unpack(lines))
end
