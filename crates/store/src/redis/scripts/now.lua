-- What is recorded carries the exact time and so never steps back. What is only looked at is kept to the second: a
-- look must not cost a synced write each time.
local t = now()
if t >= tonumber(redis.call('GET', P .. KEY.clock) or '0') + 1000 then tick() end
return { int(t) }
