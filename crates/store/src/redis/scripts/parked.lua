return { int(redis.call('ZCARD', P .. KEY.of_agent_in_state .. A.agent .. ':PARKED')) }
