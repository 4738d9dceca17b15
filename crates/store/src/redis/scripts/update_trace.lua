local key = P .. KEY.trace .. A.trace
local before = redis.call('HMGET', key, 'status', 'created_at', 'member', 'signatures', 'approvals')
if not before[1] then return { 'missing' } end
-- what people said is a list of objects with commas between them: no text within one looks like one
local said = A.approvals and before[5] and ',' .. before[5] .. ','
if said and string.find(said, ',' .. A.approvals .. ',', 1, true) then
  -- whoever asks again waits for the replicas again, and Redis waits only for what that connection wrote
  tick()
  return { 'known' }
end
if not pinned(A.policies) then return { 'unpinned' } end
if head() ~= A.expected then return { 'moved', head() } end

append()
if #F > 0 then redis.call('HSET', key, unpack(F)) end
for i, list in ipairs({ 'signatures', 'approvals' }) do
  local longer, one_more = before[i + 3], A[list]
  if one_more then redis.call('HSET', key, list, longer and longer .. ',' .. one_more or one_more) end
end
if A.status and A.status ~= before[1] then
  redis.call('HSET', key, 'status', A.status)
  redis.call('ZREM', P .. KEY.traces_in_status .. before[1], before[3])
  redis.call('ZADD', P .. KEY.traces_in_status .. A.status, before[2], before[3])
end
return { 'done' }
