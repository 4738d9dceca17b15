local meta = redis.call('HMGET', META, 'ledger_id', 'sequence', 'sealed', 'epoch', 'head')
return { meta[1] or '', meta[2] or '0', meta[3] and { meta[3] } or {}, meta[4] or '0', meta[5] or '' }
