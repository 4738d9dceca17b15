local t = tick()
local op = load(A.operation)
if not op then return { 'missing' } end
if op.state == 'REJECTED' and op.code == A.code and op.reason == A.reason then
  return { 'rejected', record(op.id) }
end
local may = RESERVED[op.state] and string.find(' ' .. A.from .. ' ', ' ' .. op.state .. ' ', 1, true)
if not may then return { 'elsewhere', record(op.id) } end

release(op)
local changes = { 'state', 'REJECTED', 'code', A.code, 'reason', A.reason }
if A.vote then
  local count = tonumber(op.vote_count or '0')
  for _, change in ipairs({
    'votes', count == 0 and A.vote or op.votes .. ',' .. A.vote,
    'voters', (count == 0 and ',' or op.voters) .. A.operator .. ',',
    'vote_count', int(count + 1),
  }) do changes[#changes + 1] = change end
end
if A.void then
  changes[#changes + 1] = 'delivery'
  changes[#changes + 1] = 'collected'
  if op.key then redis.call('HDEL', P .. KEY.idempotency, op.key) end
end
return { 'rejected', put(t, A.void and 'void' or 'reject', op, changes) }
