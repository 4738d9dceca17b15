local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
if op.fence ~= A.fence then return { 'elsewhere', record(op.id) } end
if op.nonce or (op.message and (IN_FLIGHT[op.state] or SETTLED[op.state])) then return { 'bound', record(op.id) } end
if op.state ~= 'ALLOWED' then return { 'elsewhere', record(op.id) } end
if is_over(op, t) then return { 'lapsed' } end
local stop = stopped(op, A.shrinks_only)
if stop then return stop end
local pact = P .. KEY.pact .. A.grant .. ':' .. op.agent
if redis.call('HEXISTS', pact, 'rejected') == 1 or redis.call('HEXISTS', pact, 'revoked') == 1 then
  return { 'ended', redis.call('HGETALL', pact) }
end

local function remember()
  for address in string.gmatch(A.counterparties, '%S+') do redis.call('SADD', lane(KEY.seen, op), address) end
end
if op.message then
  remember()
  move(parse_charges(op.held), 'reserved', 'committed')
  return { 'bound', put(t, 'commit', op, { 'state', 'PREPARED' }) }
end

local nonces, open = lane(KEY.lane, op), redis.call('SCARD', lane(KEY.in_flight, op))
local next = tonumber(redis.call('HGET', nonces, 'next') or '0')
if open == 0 or A.shared_lane then next = math.max(next, tonumber(A.floor)) end
local nonce = op.fixed_nonce and tonumber(op.fixed_nonce) or next
if nonce > next then return { 'gap', int(next) } end
if nonce < next then return { 'nonce_taken', int(next) } end
-- [ who waits longest for people, until when ]
local keeper = redis.call('ZRANGE', lane(KEY.kept_nonce, op) .. ':' .. int(nonce), '-1', '-1', 'WITHSCORES')
if keeper[2] and tonumber(keeper[2]) > t then
  if op.fixed_nonce then return { 'nonce_taken', int(next) } end
  return { 'held', keeper[2] }
end
if open >= tonumber(A.in_flight_max) then return { 'lane_full' } end

redis.call('HSET', nonces, int(nonce), op.id, 'next', int(nonce + 1))
remember()
move(parse_charges(op.held), 'reserved', 'committed')
return { 'bound', put(t, 'commit', op, {
  'state', 'PREPARED', 'nonce', int(nonce), 'attempts', '1', 'purpose:0', 'payload', 'made_at:0', int(t),
}) }
