local t = tick()
if redis.call('HSETNX', P .. KEY.freezes, A.scope, A.freeze) == 1 then log(t, 'freeze', A.scope, '') end
return { 'done' }
