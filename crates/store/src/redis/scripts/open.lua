-- Gives an empty store its id, once.
if not LEDGER.id then
  local family = left_behind()
  if family then return redis.error_reply('LEDGER the store has no ledger, but a `' .. family .. '` of one') end
  begin(A.id, A.format)
end
return redis.call('HMGET', META, 'format')
