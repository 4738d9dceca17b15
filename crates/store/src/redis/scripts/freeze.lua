local t = tick()
local is_new = redis.call('HSETNX', P .. KEY.freezes, A.scope, A.freeze) == 1
local before = redis.call('HGET', P .. KEY.freezers, A.scope)
local is_said = before and string.sub(before, string.find(before, ' ', 1, true) + 1) == A.order
if is_new or (A.says_why and not is_said) then
  redis.call('HSET', P .. KEY.freezers, A.scope, int(t) .. ' ' .. A.order)
  if A.agent then redis.call('ZREMRANGEBYRANK', P .. KEY.strikes .. A.agent, '0', '-1') end
  log(t, 'freeze', A.scope, A.order)
end
return { 'done' }
