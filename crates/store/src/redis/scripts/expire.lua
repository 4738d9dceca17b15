local t = tick()
local due = redis.call('ZRANGEBYSCORE', P .. KEY.expiry, '-inf', int(t), 'LIMIT', '0', A.max)
local expired = {}
for i, id in ipairs(due) do
  local op = load(id)
  release(op)
  expired[i] = put(t, 'expire', op, { 'state', 'EXPIRED' })
end
return expired
