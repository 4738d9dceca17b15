local id = redis.call('HGET', P .. KEY.incident_groups, A.group)
return id and redis.call('HGETALL', P .. KEY.incident .. id) or {}
