local key = P .. KEY.trace .. A.trace
if redis.call('EXISTS', key) == 1 then
  -- whoever asks again waits for the replicas again, and Redis waits only for what that connection wrote
  tick()
  return { 'known' }
end
if not pinned(A.policies) then return { 'unpinned' } end
if head() ~= A.expected then return { 'moved', head() } end

append()
local member = new_member(A.trace)
redis.call('HSET', key, 'member', member, unpack(F))
redis.call('ZADD', P .. KEY.traces, A.created_at, member)
redis.call('ZADD', P .. KEY.traces_in_status .. A.status, A.created_at, member)
if A.agent then redis.call('ZADD', P .. KEY.traces_of_agent .. A.agent, A.created_at, member) end
if A.session then redis.call('ZADD', P .. KEY.traces_of_session .. A.session, A.created_at, member) end
if A.operation then redis.call('ZADD', P .. KEY.traces_of_operation .. A.operation, A.created_at, member) end
return { 'done' }
