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
  for state, tenants in pairs(moved) do
    for tenant, change in pairs(tenants) do
      local field = state .. '|' .. tenant
      if change ~= 0 and call('HINCRBY', key, field, change) == 0 then call('HDEL', key, field) end
    end
  end
end
