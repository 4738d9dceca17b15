local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
if SETTLED[op.state] then return { 'done', record(op.id) } end
if not SENDING[op.state] then return undefined('settle', op) end
if not is_ours(op, A.hash) then return refused('the receipt is of bytes that we do not know') end
local charges, kept = parse_charges(op.held), {}
for amount in string.gmatch(A.kept, '[^,]+') do kept[#kept + 1] = tonumber(amount) end
if #kept ~= #charges then return refused('there is not one kept amount for each charge') end

move(charges, 'committed', nil)
for i, c in ipairs(charges) do
  drop_dead(c, t)
  spend(c, t, kept[i])
end
return { 'done', put(t, 'settle', op, {
  'state', A.state, 'actual', A.actual, 'kept', A.kept, 'settled_at', int(t),
}) }
