-- Whoever lifts the seal accepts the log as it stands: the epoch is higher than any that this gateway saw, and all
-- gateways take this log for the history from then on.
local t = tick()
if not LEDGER.sealed then return { 'done' } end
redis.call('HDEL', META, 'sealed', 'missing')
LEDGER.epoch = math.max(LEDGER.epoch, LEDGER.standing == 'missing' and tonumber(A.epoch) or 0) + 1
redis.call('HSET', META, 'epoch', int(LEDGER.epoch))
log(t, 'unseal', '-', A.accepted or '')
if LEDGER.standing == 'missing' then LEDGER.standing = 'accepted' end
return { 'done' }
