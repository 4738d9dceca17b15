local t = tick()
if redis.call('HSETNX', P .. KEY.freezes, A.scope, A.freeze) == 1 then
  if A.agent then redis.call('DEL', P .. KEY.strikes .. A.agent) end
  log(t, 'freeze', A.scope, '')
end
return { 'done' }
