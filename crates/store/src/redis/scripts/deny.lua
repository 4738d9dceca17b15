local t = tick()
local again = load(A.operation)
if again then
  if again.state ~= 'DENIED' then return refused('the operation was not denied') end
  return { 'denied', record(A.operation) }
end
local same = repeated(t)
if same then return same end

forget_stale(t)
return { 'denied', create(t, 'deny', A.operation) }
