local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
if op.message and op.state == A.state then return { 'done', record(op.id) } end
if not op.message or op.state ~= 'SIGNED' then return undefined('end_message', op) end

local charges, kept = parse_charges(op.held), {}
move(charges, 'committed', nil)
for i, c in ipairs(charges) do
  kept[i] = A.state == 'EXECUTED' and c.amount or 0
  drop_dead(c, t)
  spend(c, t, kept[i], t)
  kept[i] = int(kept[i])
end
return { 'done', put(t, 'end_message', op, {
  'state', A.state, 'kept', table.concat(kept, ','), 'settled_at', int(t),
}) }
