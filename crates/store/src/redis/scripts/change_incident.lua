local key = P .. KEY.incident .. A.incident
local before = redis.call('HMGET', key, 'status', 'created_at', 'member')
if not before[1] then return { 'missing' } end
if head() ~= A.expected then return { 'moved', head() } end

append()
redis.call('HSET', key, unpack(F))
redis.call('ZREM', P .. KEY.incidents_in_status .. before[1], before[3])
redis.call('ZADD', P .. KEY.incidents_in_status .. A.status, before[2], before[3])
return { 'done', redis.call('HGETALL', key) }
