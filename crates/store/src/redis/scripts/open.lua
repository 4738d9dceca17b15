-- Gives an empty store its id, once.
if not LEDGER.id then
  local family = left_behind()
  if family then return refused('there is no ledger, but a `' .. family .. '` of one') end
  begin(A.seed, A.format)
end
return redis.call('HMGET', META, 'format')
