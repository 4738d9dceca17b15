local t = tick()
if redis.call('HSETNX', P .. KEY.freezes, A.scope, A.freeze) == 1 then
  if A.agent then redis.call('ZREMRANGEBYRANK', P .. KEY.strikes .. A.agent, '0', '-1') end
  log(t, 'freeze', A.scope, '')
end
return { 'done' }
