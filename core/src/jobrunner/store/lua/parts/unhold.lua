-- unhold: a held job leaves by hand; the last one takes its tenant's turn along, or its wait for one.
local function unhold(keys, tenant, order, id)
  call('ZREM', keys.held, tenant .. format(' %016.0f ', order) .. id)
  if call('ZLEXCOUNT', keys.held, '[' .. tenant .. ' ', '(' .. tenant .. '!') == 0 then
    call('ZREM', keys.turns, tenant)
    call('ZREM', keys.refill, tenant)
    if call('EXISTS', keys.held) == 0 then call('HDEL', keys.meta, 'holding') end
  end
end
