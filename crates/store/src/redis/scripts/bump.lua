-- Binds a further transaction at the operation's nonce. That it is one was found by who asks: what is bound first never
-- changes. The charges that it was looked at with may have, and then nothing is done.
local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
local count, attempt = tonumber(op.attempts or '0'), tonumber(A.attempt)
if attempt < count then
  local digest = attempt == 0 and op.plan_digest or op['plan_digest:' .. A.attempt]
  local same = op['purpose:' .. A.attempt] == A.purpose and digest == A.plan_digest
  return { same and 'bound' or 'elsewhere', record(op.id) }
end
local cancels, waits = A.purpose == 'cancel', ({ SIGNED = true, BROADCAST = true, UNKNOWN = true })[op.state]
local may = cancels and (waits or op.state == 'PREPARED' or op.state == 'CANCELLING')
  or not cancels and waits and op['hash:' .. int(count - 1)]
if attempt > count or not may then return { 'elsewhere', record(op.id) } end
if op.held ~= A.held then return refused('its charges are others by now') end
local stop = stopped(op, cancels)
if stop then return stop end
local charges, before = parse_charges(A.charges), parse_charges(op.held)
local over = cancels and {} or overruns(charges, t, own_of(op, 'committed'), before)
if #over > 0 then return { 'over', over } end

for i, c in ipairs(charges) do book(c, 'committed', c.amount - before[i].amount) end
local changes = { 'attempts', int(count + 1), 'made_at:' .. A.attempt, int(t), unpack(F) }
if cancels then
  for _, change in ipairs({ 'cancels', 'yes', 'state', 'CANCELLING' }) do changes[#changes + 1] = change end
end
return { 'bound', put(t, 'bump', op, changes) }
