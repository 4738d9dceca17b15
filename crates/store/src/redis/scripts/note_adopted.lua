local t = tick()
local before, now = redis.call('SMEMBERS', P .. KEY.adopted), {}
for limit in string.gmatch(A.limits, '%S+') do now[#now + 1] = limit end
table.sort(before)
table.sort(now)
if table.concat(before, ' ') == table.concat(now, ' ') then return { 'done' } end
for _, limit in ipairs(before) do redis.call('SREM', P .. KEY.adopted, limit) end
for _, limit in ipairs(now) do redis.call('SADD', P .. KEY.adopted, limit) end
log(t, 'note_adopted', 'limits', A.limits)
return { 'done' }
