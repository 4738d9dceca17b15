local t = tick()
if redis.call('HDEL', META, 'sealed') == 1 then log(t, 'unseal', '-', '') end
return { 'done' }
