return redis.call('HGETALL', P .. KEY.incident .. A.incident)
