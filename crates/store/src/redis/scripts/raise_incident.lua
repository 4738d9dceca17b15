local key = P .. KEY.incident .. A.incident
if redis.call('EXISTS', key) == 1 then
  -- whoever asks again waits for the replicas again, and Redis waits only for what that connection wrote
  tick()
  return { 'done' }
end
if head() ~= A.expected then return { 'moved', head() } end

append()
local member = new_member(A.incident)
redis.call('HSET', key, 'member', member, 'created_at', A.created_at, unpack(F))
redis.call('ZADD', P .. KEY.incidents, A.created_at, member)
redis.call('ZADD', P .. KEY.incidents_in_status .. A.status, A.created_at, member)
return { 'done' }
