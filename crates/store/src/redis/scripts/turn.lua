local t = tick()
local found = redis.call('HGET', P .. KEY.turns, A.receiver)
local told, till, holder
if found then told, till, holder = string.match(found, '^(%d+) (%d+) (.*)$') end
if holder and holder ~= A.gateway and tonumber(till) > t then return { 'held' } end

local place = tonumber(told or int(LEDGER.sequence))
if A.told and (not holder or holder == A.gateway) then place = math.max(place, tonumber(A.told)) end
place = int(math.min(place, LEDGER.sequence))
redis.call('HSET', P .. KEY.turns, A.receiver, place .. ' ' .. int(t + tonumber(A.lease)) .. ' ' .. A.gateway)
return { 'yours', place }
