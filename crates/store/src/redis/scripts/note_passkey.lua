local t = tick()
local signed = tonumber(A.passkey_count)
if is_behind(A.passkey, signed) then return { 'unchanged' } end
take_down(A.passkey, signed)
if signed > 0 then log(t, 'passkey', 'passkey:' .. A.passkey, int(signed)) end
return { 'changed' }
