local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
if tonumber(A.attempt) >= tonumber(op.attempts or '0') then return refused('there is no attempt ' .. A.attempt) end
local plan_digest = A.attempt == '0' and op.plan_digest or op['plan_digest:' .. A.attempt]
if A.nonce ~= op.nonce or A.plan_digest ~= plan_digest then
  return refused('the attempt is bound to another payload')
end
local raw, hash = 'raw:' .. A.attempt, 'hash:' .. A.attempt
if op[hash] and (op[raw] ~= A.raw or op[hash] ~= A.hash) then return refused('the attempt has other bytes') end

local changes, state = {}, op.state
if not op[hash] then
  changes = { raw, A.raw, hash, A.hash }
  if state == 'PREPARED' then state = 'SIGNED' end
end
-- what a node said where it was offered the bytes already
local told = A.outcome and state_told(state)
if told then
  state = told
  changes[#changes + 1] = 'outcome:' .. A.attempt
  changes[#changes + 1] = A.outcome
end
if not changes[1] then return { 'done', record(op.id) } end
if state ~= op.state then
  changes[#changes + 1] = 'state'
  changes[#changes + 1] = state
end
return { 'done', put(t, 'signed', op, changes) }
