if pinned(A.policy) then
  -- whoever asks again waits for the replicas again, and Redis waits only for what that connection wrote
  tick()
  return { 'done' }
end
if head() ~= A.expected then return { 'moved', head() } end

append()
redis.call('SADD', P .. KEY.pinned .. A.gateway_hash, A.policy)
return { 'done' }
