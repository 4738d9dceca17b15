-- Adds charges of limits that are younger than the operation. What it lacks was found by who asks, on the charges and
-- the state, attempts and fence that are named here; where these have changed, nothing is done.
local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
local as_found = op.state == A.state and op.held == A.held and op.fence == A.fence
if not as_found or (op.attempts or '0') ~= A.attempts then return { 'changed', record(op.id) } end
local kept = {}
for amount in string.gmatch(A.kept or '', '[^,]+') do kept[#kept + 1] = tonumber(amount) end

for i, c in ipairs(parse_charges(A.new)) do
  if SETTLED[op.state] then
    drop_dead(c, t)
    spend(c, t, kept[i], tonumber(op.settled_at))
  else
    book(c, RESERVED[op.state] and 'reserved' or 'committed', c.amount)
  end
end
local changes = { unpack(F) }
if A.kept then
  changes[#changes + 1] = 'kept'
  changes[#changes + 1] = op.kept ~= '' and op.kept and op.kept .. ',' .. A.kept or A.kept
end
return { 'adopted', put(t, 'adopt', op, changes) }
