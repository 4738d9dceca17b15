-- Looks at samples for what no script would have left. Seals on a finding.
local SCANNED_MAX, LINES, SAMPLED = 256, 100, 8

-- The log has a line for each number, and each of the last ones is chained to the one before.
local function fault_in_log()
  local length = redis.call('LLEN', P .. KEY.log)
  if length ~= LEDGER.sequence then return 'the log has ' .. length .. ' lines, not ' .. int(LEDGER.sequence) end
  local lines = redis.call('LRANGE', P .. KEY.log, int(-1 - LINES), '-1')
  local before = length <= LINES and '' or string.sub(table.remove(lines, 1), 1, 40)
  for i, line in ipairs(lines) do
    local number = int(length - #lines + i)
    local head, entry = string.match(line, '^(%x+) (.*)$')
    if not head or head ~= redis.sha1hex(before .. entry) or string.match(entry, '^%d+') ~= number then
      return 'line ' .. number .. ' of the log does not follow from the one before'
    end
    before = head
  end
  if before ~= LEDGER.head then return 'the log does not end at its head' end
end

-- What open operations hold of each counter; of some of them where there are many.
local function held_by_open()
  local held, room, partial = {}, SCANNED_MAX, false
  for _, column in ipairs({ { 'reserved', RESERVED }, { 'committed', IN_FLIGHT } }) do
    for state in pairs(column[2]) do
      local ids = redis.call('ZRANDMEMBER', P .. KEY.in_state .. state, int(room))
      partial = partial or #ids < redis.call('ZCARD', P .. KEY.in_state .. state)
      room = room - #ids
      for _, id in ipairs(ids) do
        local op = load(id)
        if not op or op.state ~= state then return nil, id .. ' is not ' .. state .. ', where it is listed' end
        for _, c in ipairs(parse_charges(op.held)) do
          local sums = held[c.counter] or { reserved = 0, committed = 0, charge = c }
          sums[column[1]] = sums[column[1]] + c.amount
          held[c.counter] = sums
        end
      end
    end
  end
  return held, nil, partial
end

-- A field that sums buckets up and is not what they come to.
local function unlike_their_buckets(counter, upper)
  local fields = redis.call('HGETALL', P .. KEY.counter .. counter)
  for i = 1, #fields, 2 do
    local kind, name = string.sub(fields[i], 1, 2), fields[i]
    if kind == KIND[2] or kind == KIND[3] then
      if tonumber(fields[i + 1]) ~= (upper[name] or 0) then return name end
      upper[name] = nil
    end
  end
  for name, sum in pairs(upper) do
    if sum ~= 0 then return name end
  end
end

local function fault_in_counters()
  local held, fault, partial = held_by_open()
  if fault then return fault end
  for counter, sums in pairs(held) do
    local shows = sums_of(counter)
    for _, column in ipairs({ 'reserved', 'committed' }) do
      if shows[column] < sums[column] or (not partial and shows[column] > sums[column]) then
        return 'the counter ' .. counter .. ' has ' .. int(shows[column]) .. ' ' .. column .. ', its operations '
          .. int(sums[column])
      end
    end
    if sums.charge.width > 0 then
      local all = redis.call('ZRANGE', P .. KEY.buckets .. counter, '0', '-1')
      local settled, upper = 0, {}
      each_bucket(sums.charge, all, function(bucket, amount)
        settled = settled + amount
        for level = 2, 3 do
          local name = KIND[level] .. math.floor(bucket / UNIT[level])
          upper[name] = (upper[name] or 0) + amount
        end
      end)
      if settled ~= shows.settled then
        return 'the counter ' .. counter .. ' has ' .. int(shows.settled) .. ' settled, its buckets ' .. int(settled)
      end
      local wrong = unlike_their_buckets(counter, upper)
      if wrong then return 'the counter ' .. counter .. ' has at ' .. wrong .. ' not the sum of its buckets' end
    end
  end
end

-- The head of this gateway's journal that the log's last lines name; nil where they name none.
local function logged()
  local lines, name = redis.call('LRANGE', P .. KEY.log, int(-LINES), '-1'), A.gateway .. ':'
  for i = #lines, 1, -1 do
    local subject = string.match(lines[i], '^%x+ %d+ %d+ journal (.*) %x+$')
    local mark = subject and string.sub(subject, 1, #name) == name and string.sub(subject, #name + 1)
    if mark then return (string.gsub(mark, ':', ' ')) end
  end
end

-- This gateway's journal still has the entry that was anchored last. Its newest is anchored now; again, where the log's
-- last lines have passed over it.
local function fault_in_journal(t)
  local head = redis.call('HGET', P .. KEY.heads, A.gateway)
  local anchored = redis.call('HGET', P .. KEY.anchored, A.gateway)
  local named = logged()
  if named and named ~= anchored then
    return 'the journal of ' .. A.gateway .. ' is anchored otherwise than in the log'
  end
  local entries = P .. KEY.journal .. A.gateway_hash
  for name, mark in pairs({ head = head, anchored = anchored }) do
    local number = mark and string.match(mark, '^%d+')
    local entry = number and redis.call('LINDEX', entries, int(tonumber(number) - 1))
    if mark and (not entry or string.sub(entry, 1, #mark + 1) ~= mark .. ' ') then
      return 'the journal of ' .. A.gateway .. ' lacks its entry ' .. number .. ', its ' .. name
    end
  end
  if head and (head ~= anchored or not named) then
    redis.call('HSET', P .. KEY.anchored, A.gateway, head)
    log(t, 'journal', A.gateway .. ':' .. string.gsub(head, ' ', ':'), '')
  end
end

local t = tick()
local fault = fault_in_log() or fault_in_counters() or fault_in_journal(t)
if fault then
  if not LEDGER.sealed then seal(t, 'the books are damaged: ' .. fault) end
  return { 'found', fault }
end
local records = {}
for _, id in ipairs(redis.call('ZRANDMEMBER', P .. KEY.operations, int(SAMPLED))) do
  if load(id) then records[#records + 1] = record(id) end
end
return { 'clean', unpack(records) }
