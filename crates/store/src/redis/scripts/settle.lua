local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
if op.message then return undefined('settle', op) end
if SETTLED[op.state] then return { 'done', record(op.id) } end
if not SENDING[op.state] then return undefined('settle', op) end
local attempt = attempt_of(op, A.hash)
if not attempt then return refused('the receipt is of bytes that we do not know') end
if op.attempts ~= A.attempts or (op.held or '') ~= A.held then
  return refused('it has other attempts or charges by now')
end
local charges, kept = parse_charges(op.held), {}
for amount in string.gmatch(A.kept, '[^,]+') do kept[#kept + 1] = tonumber(amount) end
if #kept ~= #charges then return refused('there is not one kept amount for each charge') end

move(charges, 'committed', nil)
for i, c in ipairs(charges) do
  drop_dead(c, t)
  spend(c, t, kept[i], t)
end
-- what lies so deep that no reorg reaches it is forgotten
local settled, block = P .. KEY.settled .. op.chain, tonumber(A.block)
local highest = math.max(tonumber(redis.call('HGET', P .. KEY.heights, op.chain) or '0'), block)
redis.call('HSET', P .. KEY.heights, op.chain, int(highest))
redis.call('ZREMRANGEBYSCORE', settled, '-inf', '(' .. int(highest - SETTLED_KEPT))
if block >= highest - SETTLED_KEPT then redis.call('ZADD', settled, A.block, op.id) end
return { 'done', put(t, 'settle', op, {
  'state', op['purpose:' .. attempt] == 'cancel' and 'CANCELLED' or A.state, 'actual', A.actual, 'kept', A.kept, 'settled_at', int(t),
}) }
