-- Entries of one chain, each behind the one before it. The first that is not written ends the step: whatever follows was
-- made to stand behind it.
local steps = {
  pin_policy = pin_policy, record_trace = record_trace, update_trace = update_trace, put_incident = put_incident,
}
local gateway, gateway_hash, at, answers = A.gateway, A.gateway_hash, STEPS_FROM, {}
while at do
  local step = steps[ARGV[at + 1]]
  A, F, at = arguments(at + 2)
  A.gateway, A.gateway_hash = gateway, gateway_hash
  local ran, answer = pcall(step)
  if not ran then answer = { 'broken', type(answer) == 'table' and answer.err or tostring(answer) } end
  answers[#answers + 1] = answer
  if answer[1] ~= 'done' then return answers end
end
return answers
