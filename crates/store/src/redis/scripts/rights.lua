#!lua flags=no-writes
-- Which of these commands this user may not use. A script that must not write is refused its writes, but only after
-- the user's rights were looked at: so nothing is written here, whatever is asked.
local missing = {}
for name in string.gmatch(ARGV[1], '%S+') do
  local words = { name }
  while #words < 8 do
    local answer = redis.pcall(unpack(words))
    local why = type(answer) == 'table' and answer.err or ''
    if not string.find(why, 'Wrong number of args', 1, true) then
      if string.find(why, "can't", 1, true) or string.find(why, 'NOPERM', 1, true) then missing[#missing + 1] = name end
      break
    end
    words[#words + 1] = #words == 1 and KEYS[1] or '0'
  end
end
return missing
