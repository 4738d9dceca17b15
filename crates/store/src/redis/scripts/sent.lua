local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
if tonumber(A.attempt) >= tonumber(op.attempts or '0') then return refused('there is no attempt ' .. A.attempt) end
if not op['hash:' .. A.attempt] then return refused('the attempt is not signed') end
local state = state_told(op.state)
if not state then return { 'done', record(op.id) } end

return { 'done', put(t, 'sent', op, { 'state', state, 'outcome:' .. A.attempt, A.outcome }) }
