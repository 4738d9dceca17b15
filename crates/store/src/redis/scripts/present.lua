-- A gateway that is not listed is dead, so the dead need no place in the list.
local t = tick()
local alive = redis.call('HGETALL', P .. KEY.gateways)
for i = 1, #alive, 2 do
  if tonumber(alive[i + 1]) <= t then redis.call('HDEL', P .. KEY.gateways, alive[i]) end
end
redis.call('HSET', P .. KEY.gateways, A.gateway, int(t + tonumber(A.ttl)))
return { 'done' }
