-- How many are in each state, and when the oldest of them was made. No record is read.
local counted = {}
for state in string.gmatch(A.states, '%S+') do
  local key = P .. KEY.in_state .. state
  local oldest = redis.call('ZRANGE', key, '0', '0', 'WITHSCORES')
  counted[#counted + 1] = { int(redis.call('ZCARD', key)), oldest[2] and int(oldest[2]) or nil }
end
return counted
