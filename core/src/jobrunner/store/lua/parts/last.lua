-- last: the line of a job's journal that tells of its last error or lost worker; nothing where there is none. Quotes inside
-- a JSON text are escaped, so what is looked for can stand nowhere else in a line.
local function last_error(journal)
  local found
  for line in string.gmatch(journal or '', '[^\n]+') do
    if string.find(line, '"kind":"error"', 1, true) or string.find(line, '"kind":"crash"', 1, true) then found = line end
  end
  return found
end
