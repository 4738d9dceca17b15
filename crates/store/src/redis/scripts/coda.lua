
local answer = body()
if answer.err then return answer end
-- one text instead of a hundred: client and server spend more on each part of an answer than on its bytes
return cmsgpack.pack({
  { LEDGER.id, int(LEDGER.epoch), int(LEDGER.sequence), LEDGER.head, LEDGER.standing, LEDGER.damage or '' }, answer,
})
