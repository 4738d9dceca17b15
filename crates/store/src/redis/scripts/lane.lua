return { redis.call('HGET', P .. KEY.lane .. A.chain .. ':' .. A.wallet, A.field) or '' }
