-- admit: jobs that could run now. They get in line, or are held where their tenant is paused or has held jobs already.
-- Their tally as waiting is put right here. Returns how many are in line.
local function admit(keys, weighted, ids, heads)
  if not keys.limited then
    line_up(keys, weighted, ids, heads)
    return #ids
  end
  local apart, ends, free, free_heads = {}, {}, {}, {}
  for i, id in ipairs(ids) do
    local head = heads[i]
    local tenant = tenant_of(head)
    if apart[tenant] == nil then
      apart[tenant] = tenant ~= ''
        and (first_held(keys, tenant) or call('HEXISTS', keys.meta, 'pause:' .. tenant) == 1) and true or false
    end
    if apart[tenant] then
      local base = base_of(head)
      if not ends[head] then
        local last, share = held_in_band(keys, tenant, base, true), call('ZSCORE', keys.share, head)
        ends[head] = math.max(last or 0, tonumber(share or 0), band_clock(keys, base))
      end
      ends[head] = ends[head] + 1
      hold(keys, tenant, ends[head], id)
      tally('waiting', tenant, -1); tally('parked', tenant, 1)
    else
      free[#free + 1], free_heads[#free + 1] = id, head
    end
  end
  if #free > 0 then line_up(keys, weighted, free, free_heads) end
  for tenant, is_apart in pairs(apart) do -- what came may stand before what the turn was given for
    if is_apart and call('ZSCORE', keys.turns, tenant) then give_turn(keys, tenant) end
  end
  return #free
end
