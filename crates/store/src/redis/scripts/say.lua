-- What is said of a pact is one field each: when, who, and what they wrote.
local t = tick()
local key = P .. KEY.pact .. A.version .. ':' .. A.agent
local approved, rejected, revoked = unpack(redis.call('HMGET', key, 'approved', 'rejected', 'revoked'))
local last = rejected and 'rejected' or revoked and 'revoked' or approved and 'approved' or ''
local can = last == '' or (last == 'approved' and A.becomes == 'revoked')
if can then
  redis.call('HSET', key, A.becomes, int(t) .. ' ' .. A.by .. ' ' .. A.note)
  log(t, 'pact', A.agent .. ':' .. A.version, A.becomes .. ' ' .. A.by .. ' ' .. A.note)
end
return { (can or last == A.becomes) and 'said' or 'stands', redis.call('HGETALL', key) }
