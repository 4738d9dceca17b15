return redis.call('HVALS', P .. KEY.freezes)
