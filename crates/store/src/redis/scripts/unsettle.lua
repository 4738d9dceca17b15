local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
if op.message then return undefined('unsettle', op) end
if op.state == 'BROADCAST' or op.state == 'CANCELLING' then return { 'done', record(op.id) } end
if not SETTLED[op.state] then return undefined('unsettle', op) end

local charges, i = parse_charges(op.held), 0
for amount in string.gmatch(op.kept, '[^,]+') do
  i = i + 1
  drop_dead(charges[i], t)
  unspend(charges[i], tonumber(op.settled_at), tonumber(amount))
end
move(charges, nil, 'committed')
redis.call('ZREM', P .. KEY.settled .. op.chain, op.id)
return { 'done', put(t, 'unsettle', op, {
  'state', sent_state(op), 'actual', false, 'kept', false, 'settled_at', false,
}) }
