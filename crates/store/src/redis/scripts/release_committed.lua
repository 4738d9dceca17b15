local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
if op.message then return undefined('release_committed', op) end
if op.state == A.state then return { 'done', record(op.id) } end
if not IN_FLIGHT[op.state] then return undefined('release_committed', op) end
if A.final_nonce and tonumber(A.final_nonce) <= tonumber(op.nonce) then
  return refused('the nonce is not used up')
end

move(parse_charges(op.held), 'committed', nil)
return { 'done', put(t, 'release', op, { 'state', A.state, 'actual', A.actual or false }) }
