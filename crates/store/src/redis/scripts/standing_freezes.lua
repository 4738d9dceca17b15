return redis.call('HVALS', P .. KEY.freezers)
