local t, own, readings = now(), {}, {}
if A.without then own = reserved_by(load(A.without)) end
for i, c in ipairs(parse_charges(A.charges)) do readings[i] = reading(c, t, show(c, t, own), c.amount) end
return readings
