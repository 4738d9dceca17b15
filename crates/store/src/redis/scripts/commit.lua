-- Seal and freezes are looked at here, in the same step that binds the nonce: nothing gets by between.
local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
if op.nonce then return { 'bound', record(op.id) } end
if op.state ~= 'ALLOWED' then return { 'elsewhere', record(op.id) } end
if is_over(op, t) then return { 'lapsed' } end

local sealed = redis.call('HGET', META, 'sealed')
if sealed then return { 'sealed', sealed } end

local scopes = { 'global', 'all', 'agent:' .. op.agent, 'wallet:' .. op.wallet, 'chain:' .. op.chain }
if A.shrinks_only then scopes = { 'all' } end
for _, scope in ipairs(scopes) do
  local freeze = redis.call('HGET', P .. KEY.freezes, scope)
  if freeze then return { 'frozen', freeze } end
end

local nonces, open = lane(KEY.lane, op), redis.call('SCARD', lane(KEY.in_flight, op))
local next = tonumber(redis.call('HGET', nonces, 'next') or '0')
if open == 0 then next = math.max(next, tonumber(A.floor)) end
local nonce = op.fixed_nonce and tonumber(op.fixed_nonce) or next
if nonce > next then return { 'gap', int(next) } end
if nonce < next then return { 'nonce_taken', int(next) } end
if open >= tonumber(A.in_flight_max) then return { 'lane_full' } end

redis.call('HSET', nonces, int(nonce), op.id, 'next', int(nonce + 1))
for address in string.gmatch(A.counterparties, '%S+') do redis.call('SADD', lane(KEY.seen, op), address) end
move(parse_charges(op.held), 'reserved', 'committed')
return { 'bound', put(t, 'commit', op, { 'state', 'PREPARED', 'nonce', int(nonce), 'attempts', '1' }) }
