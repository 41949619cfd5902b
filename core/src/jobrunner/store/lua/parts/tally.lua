-- tally: how many jobs each tenant has in each state, under `state|tenant`. Jobs without a tenant are not counted here.
local moved = {} -- state -> tenant -> change
local function tally(state, tenant, change)
  if tenant == '' then return end
  local tenants = moved[state]
  if not tenants then
    tenants = {}
    moved[state] = tenants
  end
  tenants[tenant] = (tenants[tenant] or 0) + change
end
local function write_tally(key)
  local fields, changes, set, gone = {}, {}, {}, {}
  for state, tenants in pairs(moved) do
    for tenant, change in pairs(tenants) do
      if change ~= 0 then fields[#fields + 1] = state .. '|' .. tenant; changes[#fields] = change end
    end
  end
  if #fields == 0 then return end
  for i, old in ipairs(call('HMGET', key, unpack(fields))) do
    local count = (tonumber(old) or 0) + changes[i]
    if count == 0 then gone[#gone + 1] = fields[i]
    else set[#set + 1] = fields[i]; set[#set + 1] = count end
  end
  if #set > 0 then call('HSET', key, unpack(set)) end
  if #gone > 0 then call('HDEL', key, unpack(gone)) end
end
