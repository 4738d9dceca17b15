-- One operation becomes several, and no counter changes: that their charges are those that it holds was seen by who
-- asks. Where it holds others now, nothing is done. The fields of each further part are a list of texts.
local t = tick()
local op = load(A.operation)
if not op then return unknown(A.operation) end
local parts, there = cjson.decode(A.parts), 0
for _, part in ipairs(parts) do if load(part.id) then there = there + 1 end end
local fence = tonumber(A.fence)
-- where it still stands for all, another judgement of the whole came in between
if there == #parts and tonumber(op.fence) == fence + 1 and op.rest == '0' then
  local records = { record(op.id) }
  for _, part in ipairs(parts) do records[#records + 1] = record(part.id) end
  return { 'split', records }
end
local as_found = op.state == 'ALLOWED' and tonumber(op.fence) == fence and (op.held or '') == A.held
if not as_found or is_over(op, t) then return { 'elsewhere', record(op.id) } end
if A.wrong then return refused(A.wrong) end
if there > 0 then return refused('a part of ' .. op.id .. ' is there already') end

local INHERITED = { 'expires_at', 'digest', 'votes', 'voters', 'vote_count' }
local records = { put(t, 'split', op, { 'fence', int(fence + 1), unpack(F) }) }
for _, part in ipairs(parts) do
  local fields = part.fields
  for _, name in ipairs(INHERITED) do
    if op[name] then
      fields[#fields + 1] = name
      fields[#fields + 1] = op[name]
    end
  end
  records[#records + 1] = create_from(t, 'split', part.id, fields)
end
return { 'split', records }
