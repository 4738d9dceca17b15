-- The narrowest list that the query names; what else it names is looked at one by one.
local source = P .. KEY.traces
if A.status then source = P .. KEY.traces_in_status .. A.status end
if A.agent then source = P .. KEY.traces_of_agent .. A.agent end
if A.status == 'pending_approval' then source = P .. KEY.traces_in_status .. A.status end
if A.session then source = P .. KEY.traces_of_session .. A.session end
if A.operation then source = P .. KEY.traces_of_operation .. A.operation end

local function fits(id)
  local has = redis.call('HMGET', P .. KEY.trace .. id, 'status', 'agent', 'session', 'operation')
  return (not A.status or has[1] == A.status) and (not A.agent or has[2] == A.agent)
    and (not A.session or has[3] == A.session) and (not A.operation or has[4] == A.operation)
end
return answer(source, KEY.trace, fits)
