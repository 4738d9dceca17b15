local t = tick()
local signed = tonumber(A.passkey_count)
local before = tonumber(redis.call('HGET', P .. KEY.passkeys, A.passkey) or '0')
if (signed > 0 or before > 0) and signed <= before then return { 'unchanged' } end
-- one that does not count has left nothing behind
if signed > 0 then
  redis.call('HSET', P .. KEY.passkeys, A.passkey, int(signed))
  log(t, 'passkey', 'passkey:' .. A.passkey, int(signed))
end
return { 'changed' }
