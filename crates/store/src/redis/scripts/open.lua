-- Gives an empty store its id, once.
if redis.call('HSETNX', META, 'ledger_id', redis.sha1hex(A.seed .. int(tick()))) == 1 then
  redis.call('HSET', META, 'format', A.format)
end
return redis.call('HMGET', META, 'ledger_id', 'format')
