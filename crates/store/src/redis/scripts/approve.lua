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
if A.passkey and is_behind(A.passkey, signed) then return { 'passkey_behind' } end

local changes = {
  'votes', count == 0 and A.vote or op.votes .. ',' .. A.vote,
  'voters', (count == 0 and ',' or op.voters) .. A.operator .. ',',
  'vote_count', int(count + 1),
}
if A.completes then
  changes[#changes + 1] = 'state'
  changes[#changes + 1] = 'APPROVED'
end
if A.passkey then take_down(A.passkey, signed) end
return { 'voted', put(t, A.completes and 'approve' or 'vote', op, changes) }
