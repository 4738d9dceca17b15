-- A new ledger in the place of one that is lost. What gateways knew of the old one is not proven by it, so that a
-- person has to look before anything is signed.
if left_behind() then return { 'not_empty' } end
begin(A.id, A.format)
redis.call('HSET', META, 'replaces', A.ledger)
LEDGER.standing = 'replaced'
seal(tick(), 'made anew in the place of the ledger ' .. A.ledger)
return { 'made' }
