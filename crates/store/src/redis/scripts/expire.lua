local t = tick()
local due = redis.call('ZRANGEBYSCORE', P .. KEY.expiry, '-inf', int(t), 'LIMIT', '0', A.max)
local expired = {}
for _, id in ipairs(due) do
  local op = sound(id)
  if op then
    release(op)
    expired[#expired + 1] = put(t, 'expire', op, { 'state', 'EXPIRED' })
  end
end
return expired
