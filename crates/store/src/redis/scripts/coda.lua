
local answer = body()
return { { LEDGER.id, int(LEDGER.epoch), int(LEDGER.sequence), LEDGER.head, LEDGER.standing, LEDGER.damage or '' }, answer }
