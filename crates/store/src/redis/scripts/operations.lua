-- Newest first, by (creation, id). Every query is a merge of sorted sets: none reads what it does not list.
local limit, bound, id = tonumber(A.limit), math.huge, nil
if A.cursor then
  bound = redis.call('HGET', P .. KEY.operation .. A.cursor, 'created_at')
  if not bound then return unknown(A.cursor) end
  bound, id = tonumber(bound), A.cursor
end

local sources = {}
for state in string.gmatch(A.states, '%S+') do
  sources[#sources + 1] = A.agent and P .. KEY.of_agent_in_state .. A.agent .. ':' .. state
    or P .. KEY.in_state .. state
end
if #sources == 0 then sources = { A.agent and P .. KEY.of_agent .. A.agent or P .. KEY.operations } end

local function older(score, member) return score < bound or (score == bound and member < id) end

local all = {}
for _, source in ipairs(sources) do
  local found, offset = 0, 0
  repeat
    local from = id and int(bound) or '+inf'
    local rows = redis.call('ZREVRANGEBYSCORE', source, from, '-inf', 'WITHSCORES', 'LIMIT', int(offset), '256')
    for i = 1, #rows, 2 do
      local score = tonumber(rows[i + 1])
      if older(score, rows[i]) then
        found = found + 1
        all[#all + 1] = { score, rows[i] }
      end
    end
    offset = offset + 256
  until #rows == 0 or found > limit
end
table.sort(all, function(a, b) return a[1] > b[1] or (a[1] == b[1] and a[2] > b[2]) end)

local ids = {}
for i = 1, math.min(limit, #all) do ids[i] = all[i][2] end
-- the next page begins behind the last of this one, also where that is left out
return { #all > limit and ids[#ids] or '', unpack(sound_records(ids)) }
