-- last: what a job's journal tells of its last error or lost worker. Quotes inside a JSON text are escaped, so what is looked
-- for can stand nowhere else in a line.
local function last_error(journal)
  local found
  for line in string.gmatch(journal or '', '[^\n]+') do
    if string.find(line, '"kind":"error"', 1, true) or string.find(line, '"kind":"crash"', 1, true) then found = line end
  end
  return found
end
local function last_told(journal)
  local last, failure = match(journal or '', '([^\n]+)\n*$'), last_error(journal)
  return failure and failure ~= last and failure .. '\n' .. last or last
end
local function last_cause(journal)
  if not journal then return '' end
  -- Where no worker was lost, the last fingerprint is the one; looked for from the end, without taking lines apart. It stands
  -- behind the traceback, so the end is nearly always enough.
  if not string.find(journal, '"kind":"crash"', 1, true) then
    local found = '.*"fingerprint":"([^"]*)"'
    return match(string.sub(journal, -400), found) or match(journal, found) or ''
  end
  return match(last_error(journal), '"fingerprint":"([^"]*)"') or 'crash'
end
