-- In one instant: what every operation holds of every counter, against what the counters say (LEDGER §4, I2).
-- Answers one line for each column that differs, and one for each counter that still holds something if ARGV[1] is
-- 'quiet'.
local P, quiet = KEYS[1], ARGV[1] == 'quiet'

local function set(names)
  local members = {}
  for name in string.gmatch(names, '%S+') do members[name] = true end
  return members
end

local RESERVED = set('PARKED APPROVED ALLOWED')
local COMMITTED = set('PREPARED SIGNED BROADCAST UNKNOWN MINED CANCELLING')

local function column(state)
  if RESERVED[state] then return 'reserved' end
  return COMMITTED[state] and 'committed' or 'settled'
end

local function numbers(text)
  local found = {}
  for number in string.gmatch(text or '', '[^,]+') do found[#found + 1] = tonumber(number) end
  return found
end

local sums = {}
local function add(counter, name, amount)
  sums[counter] = sums[counter] or { reserved = 0, committed = 0, settled = 0 }
  sums[counter][name] = sums[counter][name] + amount
end

for _, id in ipairs(redis.call('ZRANGE', P .. 'operations', '0', '-1')) do
  local op = redis.call('HMGET', P .. 'operation:' .. id, 'state', 'held', 'kept')
  local name, kept, i = column(op[1]), numbers(op[3] or ''), 0
  for counter, amount in string.gmatch(op[2] or '', '([^|;]+)|[^|]*|[^|]*|[^|]*|[^|]*|([^|]*)|[^;]*') do
    i = i + 1
    if name ~= 'settled' then add(counter, name, tonumber(amount)) else add(counter, name, kept[i] or 0) end
  end
end

local lines = {}
for counter, sum in pairs(sums) do
  for _, name in ipairs({ 'reserved', 'committed', 'settled' }) do
    local said = tonumber(redis.call('HGET', P .. 'counter:' .. counter, name) or '0')
    local line = counter .. ' ' .. name .. ': the counter says ' .. said .. ', its operations ' .. sum[name]
    if said ~= sum[name] then lines[#lines + 1] = line end
    if quiet and name ~= 'settled' and said ~= 0 then lines[#lines + 1] = line .. ', and all is quiet' end
  end
end
return lines
