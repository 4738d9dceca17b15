local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
if op.message then return undefined('mined', op) end
if not A.actual then
  if op.state == 'MINED' then
    return { 'done', put(t, 'unmined', op, { 'state', sent_state(op), 'actual', false }) }
  end
  if SENDING[op.state] then return { 'done', record(op.id) } end
  return undefined('mined', op)
end
if SETTLED[op.state] then return { 'done', record(op.id) } end
if op.state == 'MINED' and op.actual == A.actual then return { 'done', record(op.id) } end
if not SENDING[op.state] then return undefined('mined', op) end
if not attempt_of(op, A.hash) then return refused('the receipt is of bytes that we do not know') end

return { 'done', put(t, 'mined', op, { 'state', 'MINED', 'actual', A.actual }) }
