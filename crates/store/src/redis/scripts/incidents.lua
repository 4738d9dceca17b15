local source = A.status and P .. KEY.incidents_in_status .. A.status or P .. KEY.incidents

local function fits(id)
  local has = redis.call('HMGET', P .. KEY.incident .. id, 'severity', 'agent')
  return (not A.severity or has[1] == A.severity) and (not A.agent or has[2] == A.agent)
end
return answer(source, KEY.incident, fits)
