local missing = redis.call('HGET', META, 'missing')
return {
  LEDGER.id, int(LEDGER.epoch), int(LEDGER.sequence), LEDGER.head,
  { LEDGER.sealed or nil }, { missing or nil }, int(WALL),
}
