-- Gives an empty store its id, once.
if not LEDGER.id then
  local name = left_behind()
  if name then return redis.error_reply('LEDGER the store has no ledger, but a `' .. name .. '` of one') end
  begin(A.id, A.format)
end
return redis.call('HMGET', META, 'format')
