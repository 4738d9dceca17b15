return redis.call('HGETALL', P .. KEY.shelves)
