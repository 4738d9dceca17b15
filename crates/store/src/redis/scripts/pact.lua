return redis.call('HGETALL', P .. KEY.pact .. A.version .. ':' .. A.agent)
