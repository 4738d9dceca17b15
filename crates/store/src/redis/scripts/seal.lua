local t = tick()
if redis.call('HGET', META, 'sealed') == A.reason then return { 'done' } end
redis.call('HSET', META, 'sealed', A.reason)
log(t, 'seal', '-', A.reason)
return { 'done' }
