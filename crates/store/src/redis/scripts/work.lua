-- Oldest change first, by (change, id). Each state has a sorted set of its own, so what is in other states is not read.
local limit, all = tonumber(A.max), {}
for state in string.gmatch(A.states, '%S+') do
  local rows = redis.call('ZRANGEBYSCORE', P .. KEY.work .. state, '-inf', A.idle_since, 'WITHSCORES',
    'LIMIT', '0', A.max)
  for i = 1, #rows, 2 do all[#all + 1] = { tonumber(rows[i + 1]), rows[i] } end
end
table.sort(all, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)

local ids = {}
for i = 1, math.min(limit, #all) do ids[i] = all[i][2] end
return sound_records(ids)
