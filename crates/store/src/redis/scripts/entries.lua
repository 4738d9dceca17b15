-- Entries of a chain behind a number, one by one: no more than these bytes, but one at least.
local entries, at, bytes = P .. KEY.journal .. A.gateway_hash, tonumber(A.after), 0
local limit, most, answer = tonumber(A.limit), tonumber(A.bytes), {}
while #answer < limit do
  local few = redis.call('LRANGE', entries, int(at), int(at + 15))
  for _, line in ipairs(few) do
    bytes = bytes + #line
    if #answer == limit or (bytes > most and #answer > 0) then return answer end
    answer[#answer + 1] = line
  end
  if #few < 16 then break end
  at = at + 16
end
return answer
