-- Each is one entry of a gateway's chain with what it changes: 'done'; or why nothing was written.

local function pin_policy()
  if pinned(A.policy) then
    -- whoever asks again waits for the replicas again, and Redis waits only for what that connection wrote
    tick()
    return { 'known' }
  end
  if head() ~= A.expected then return { 'moved', head() } end

  append()
  redis.call('SADD', P .. KEY.pinned .. A.gateway_hash, A.policy)
  return { 'done' }
end

local function record_trace()
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
end

local function update_trace()
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
end

-- An incident as it is from now on, made from the version that was expected; 0 where it is new and takes the place of
-- another as its group's.
local function put_incident()
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
end
