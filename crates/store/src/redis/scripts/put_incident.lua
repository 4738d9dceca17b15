-- An incident as it is from now on, made from the version that was expected; 0 where it is new and takes the place of
-- another as its group's.
local key = P .. KEY.incident .. A.incident
local before = redis.call('HMGET', key, 'version', 'status', 'member')
local group = redis.call('HGET', P .. KEY.incident_groups, A.group)
if (before[1] or '0') ~= A.version then return { 'missing' } end
if A.version == '0' and (group or '') ~= A.replaces then return { 'missing' } end
if head() ~= A.expected then return { 'moved', head() } end

local t = tick()
append()
local member = before[3]
if not member then
  member = new_member(A.incident)
  redis.call('HSET', P .. KEY.incident_groups, A.group, A.incident)
  redis.call('ZADD', P .. KEY.incidents, A.created_at, member)
end
redis.call('HSET', key, 'member', member, unpack(F))
if before[2] and before[2] ~= A.status then
  redis.call('ZREM', P .. KEY.incidents_in_status .. before[2], member)
end
redis.call('ZADD', P .. KEY.incidents_in_status .. A.status, A.created_at, member)
if A.event then log(t, A.event, A.id, '') end
return { 'done' }
