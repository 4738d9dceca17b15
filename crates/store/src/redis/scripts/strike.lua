local t = tick()
local key, scope = P .. KEY.strikes .. A.agent, 'agent:' .. A.agent
if redis.call('HEXISTS', P .. KEY.freezes, scope) == 1 then return { 'frozen' } end

redis.call('ZREMRANGEBYSCORE', key, '-inf', int(t - tonumber(A.within)))
redis.call('ZADD', key, 'NX', int(t), A.trace)
local count = redis.call('ZCARD', key)
if count < tonumber(A.denials) then return { 'counted', int(count) } end

redis.call('ZREMRANGEBYRANK', key, '0', '-1')
redis.call('HSET', P .. KEY.freezes, scope, A.freeze)
redis.call('HSET', P .. KEY.freezers, scope, int(t) .. ' ' .. A.order)
log(t, 'trip', scope, A.order)
return { 'tripped' }
