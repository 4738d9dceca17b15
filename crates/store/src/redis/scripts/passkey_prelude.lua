-- What scripts share in which a passkey says how often it has signed.

-- Whether it said as much or more before: it is copied, or what it said comes late.
local function is_behind(passkey, signed)
  local before = tonumber(redis.call('HGET', P .. KEY.passkeys, passkey) or '0')
  return (signed > 0 or before > 0) and signed <= before
end

-- One that does not count leaves nothing behind.
local function take_down(passkey, signed)
  if signed > 0 then redis.call('HSET', P .. KEY.passkeys, passkey, int(signed)) end
end
