local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
-- a debt is noted although the gateway looks dead: it may come back, and then nothing else would say so
local debt = op.delivery == 'waiting' and A.from == 'waiting' and A.to == 'owed'
if not debt and delivery(op, t) ~= A.from then return { 'unchanged' } end

put(t, 'deliver', op, { 'delivery', A.to })
return { 'changed' }
