return redis.call('SMEMBERS', P .. KEY.adopted)
