-- A seal holds whatever the clocks say.
local t = tick()
if LEDGER.sealed ~= A.reason and not (A.first and LEDGER.sealed) then seal(t, A.reason) end
return { 'done' }
