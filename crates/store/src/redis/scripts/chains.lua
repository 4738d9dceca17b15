local anchored = {}
local marks = redis.call('HGETALL', P .. KEY.anchored)
for i = 1, #marks, 2 do anchored[marks[i]] = marks[i + 1] end
local heads, answer = redis.call('HGETALL', P .. KEY.heads), {}
for i = 1, #heads, 2 do
  answer[#answer + 1] = { heads[i], heads[i + 1], anchored[heads[i]] or '' }
  anchored[heads[i]] = nil
end
-- a chain that is gone as a whole was there once
for gateway, mark in pairs(anchored) do answer[#answer + 1] = { gateway, '', mark } end
return answer
