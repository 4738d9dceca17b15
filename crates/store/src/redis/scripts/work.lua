local idle = redis.call('ZRANGEBYSCORE', P .. KEY.work, '-inf', A.idle_since, 'LIMIT', '0', A.max)
local records = {}
for i, id in ipairs(idle) do records[i] = record(id) end
return records
