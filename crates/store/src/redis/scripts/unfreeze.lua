local t = tick()
if redis.call('HDEL', P .. KEY.freezes, A.scope) == 0 then return { 'unchanged' } end
-- the count begins anew
if A.agent then redis.call('DEL', P .. KEY.strikes .. A.agent) end
log(t, 'unfreeze', A.scope, '')
return { 'changed' }
