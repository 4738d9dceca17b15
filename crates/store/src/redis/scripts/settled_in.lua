return sound_records(redis.call('ZRANGEBYSCORE', P .. KEY.settled .. A.chain, A.block, A.block))
