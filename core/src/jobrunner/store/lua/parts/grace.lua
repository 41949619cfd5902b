-- grace: outages of Redis, told from workers that died. Whoever calls looks at the gap since anybody called before it
-- closes it: after more than half a lease of silence nobody can have renewed, so every lease gets one more.
local function grace_until(meta_key, lease_ms, tick, grace)
  local gap = math.abs(now - (tonumber(tick) or 0))
  if gap > lease_ms / 2 then
    grace = now + lease_ms
    call('HSET', meta_key, 'tick', stamp, 'grace', grace)
  elseif gap > lease_ms / 10 then
    call('HSET', meta_key, 'tick', stamp)
  end
  return tonumber(grace) or 0
end
