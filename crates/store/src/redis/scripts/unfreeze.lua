local t = tick()
if redis.call('HDEL', P .. KEY.freezes, A.scope) == 0 then return { 'unchanged' } end
redis.call('HDEL', P .. KEY.freezers, A.scope)
-- the count begins anew
if A.agent then redis.call('ZREMRANGEBYRANK', P .. KEY.strikes .. A.agent, '0', '-1') end
log(t, 'unfreeze', A.scope, '')
return { 'changed' }
