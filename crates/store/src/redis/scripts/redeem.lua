local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
-- nobody but the asking gateway works on what it took in itself, and nobody at all on what a dead one did
local free = op.state == 'ALLOWED' and (op.gateway == A.gateway or not lives(op.gateway, t))
if op.state ~= 'APPROVED' and not free then return { 'elsewhere', record(op.id) } end
-- who judged a whole bundle does not take the place of one of its calls
if op.rest ~= A.rest then return { 'elsewhere', record(op.id) } end
if is_over(op, t) then return { 'elsewhere', record(op.id) } end
local charges = parse_charges(A.charges)
if period_moved(charges, t) then return { 'period_moved' } end
local over = overruns(charges, t, reserved_by(op))
if #over > 0 then return { 'over', over } end

release(op)
move(charges, nil, 'reserved')
return { 'redeemed', put(t, parking('redeem'), op, { 'fence', int(tonumber(op.fence) + 1), unpack(F) }) }
