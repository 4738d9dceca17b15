local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
if delivery(op, t) ~= A.from then return { 'unchanged' } end

put(t, 'deliver', op, { 'delivery', A.to })
return { 'changed' }
