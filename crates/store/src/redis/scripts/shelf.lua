-- Each of these parts of a shelf, behind a space each; empty where it is not there.
local key, parts = P .. KEY.shelf .. A.agent, {}
for name in string.gmatch(A.names, '%S+') do
  parts[#parts + 1] = redis.call('HGET', key, name) or ''
end
return parts
