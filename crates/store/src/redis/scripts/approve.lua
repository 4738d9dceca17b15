local t = tick()
local op = load(A.operation)
if not op then return { 'missing' } end
local same_digest = op.digest == A.digest
local voted = string.find(op.voters or '', ',' .. A.operator .. ',', 1, true)
if same_digest and voted and not NO[op.state] then return { 'voted', record(op.id) } end
if op.state ~= 'PARKED' then return { 'elsewhere', record(op.id) } end
if not same_digest then return { 'other_digest' } end
if is_over(op, t) then return { 'expired' } end
local count = tonumber(op.vote_count or '0')
if count ~= tonumber(A.votes_seen) then return { 'raced' } end
local signed = tonumber(A.passkey_count or '0')
local before = A.passkey and tonumber(redis.call('HGET', P .. KEY.passkeys, A.passkey) or '0') or 0
if (signed > 0 or before > 0) and signed <= before then return { 'passkey_behind' } end

local changes = {
  'votes', count == 0 and A.vote or op.votes .. ',' .. A.vote,
  'voters', (count == 0 and ',' or op.voters) .. A.operator .. ',',
  'vote_count', int(count + 1),
}
if A.completes then
  changes[#changes + 1] = 'state'
  changes[#changes + 1] = 'APPROVED'
end
if signed > 0 then redis.call('HSET', P .. KEY.passkeys, A.passkey, int(signed)) end
return { 'voted', put(t, A.completes and 'approve' or 'vote', op, changes) }
