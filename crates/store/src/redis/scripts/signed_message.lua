local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
if not op.message or not (IN_FLIGHT[op.state] or SETTLED[op.state]) then return undefined('signed_message', op) end
if op.signature then
  if op.signature ~= A.signature then return refused('it has another signature') end
  return { 'done', record(op.id) }
end
return { 'done', put(t, 'signed_message', op, { 'signature', A.signature, 'state', 'SIGNED' }) }
