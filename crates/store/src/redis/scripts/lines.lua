-- Lines are counted from the end: what is asked for is near it.
local behind, max = tonumber(A.after) - LEDGER.sequence, tonumber(A.max)
if behind >= 0 or max == 0 then return {} end
return redis.call('LRANGE', P .. KEY.log, int(behind), int(math.min(behind + max, 0) - 1))
