local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
if tonumber(A.attempt) >= tonumber(op.attempts or '0') then return refused('there is no attempt ' .. A.attempt) end
if A.nonce ~= op.nonce or A.plan_digest ~= op.plan_digest then
  return refused('the attempt is bound to another payload')
end
local raw, hash = 'raw:' .. A.attempt, 'hash:' .. A.attempt
local stored = redis.call('HMGET', P .. KEY.operation .. op.id, raw, hash)
if stored[2] then
  if stored[1] ~= A.raw or stored[2] ~= A.hash then return refused('the attempt has other bytes') end
  return { 'done', record(op.id) }
end

local changes = { raw, A.raw, hash, A.hash }
if op.state == 'PREPARED' then
  changes[#changes + 1] = 'state'
  changes[#changes + 1] = 'SIGNED'
end
return { 'done', put(t, 'signed', op, changes) }
