local t = tick()
if redis.call('HDEL', P .. KEY.freezes, A.scope) == 0 then return { 'unchanged' } end
log(t, 'unfreeze', A.scope, '')
return { 'changed' }
