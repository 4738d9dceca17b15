return redis.call('HGETALL', P .. KEY.trace .. A.trace)
