local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
if tonumber(A.attempt) >= tonumber(op.attempts or '0') then return refused('there is no attempt ' .. A.attempt) end
local plan_digest = A.attempt == '0' and op.plan_digest or op['plan_digest:' .. A.attempt]
if A.nonce ~= op.nonce or A.plan_digest ~= plan_digest then
  return refused('the attempt is bound to another payload')
end
local raw, hash = 'raw:' .. A.attempt, 'hash:' .. A.attempt
if op[hash] then
  if op[raw] ~= A.raw or op[hash] ~= A.hash then return refused('the attempt has other bytes') end
  return { 'done', record(op.id) }
end

local changes = { raw, A.raw, hash, A.hash }
if op.state == 'PREPARED' then
  changes[#changes + 1] = 'state'
  changes[#changes + 1] = 'SIGNED'
end
return { 'done', put(t, 'signed', op, changes) }
