local t = tick()
if redis.call('HGET', P .. KEY.policies, A.whose) == A.version then return { 'unchanged' } end
redis.call('HSET', P .. KEY.policies, A.whose, A.version)
log(t, 'policy', A.whose .. '=' .. A.version, '')
return { 'changed' }
