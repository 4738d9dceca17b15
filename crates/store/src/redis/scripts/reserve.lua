local t = tick()
local again = load(A.operation)
if again then
  if again.state == 'DENIED' then return refused('the operation was denied') end
  return { 'reserved', record(A.operation) }
end
local same = repeated(t)
if same then return same end
local charges = parse_charges(A.charges)
if period_moved(charges, t) then return { 'period_moved' } end
local over = overruns(charges, t, {})
if #over > 0 then return { 'over', over } end
if A.parked_max then
  local parked = redis.call('ZCARD', P .. KEY.of_agent_in_state .. A.agent .. ':PARKED')
  if parked >= tonumber(A.parked_max) then return { 'crowded' } end
end

move(charges, nil, 'reserved')
forget_stale(t)
return { 'reserved', create(t, parking('reserve'), A.operation) }
