-- What scripts on counters share. A charge is a text: counter|start|stop|width|length|amount|limit|bound. A rolling window
-- has a width; a calendar window has a stop; a grant's lifetime has neither. `limit` is what readings are
-- told against, `bound` what the check is made against.

local CHARGE = '()([^|;]+)|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)()'

local function parse_charges(text)
  local charges, begin = {}, 1
  for from, counter, start, stop, width, length, amount, limit, bound, past in string.gmatch(text or '', CHARGE) do
    if from ~= begin then break end
    charges[#charges + 1] = {
      counter = counter, start = tonumber(start), stop = tonumber(stop), width = tonumber(width),
      length = tonumber(length), amount = tonumber(amount), limit = tonumber(limit), bound = tonumber(bound),
    }
    begin = past + 1
  end
  if text and text ~= '' and begin ~= #text + 2 then error('a charge cannot be read') end
  return charges
end

local function period_moved(charges, t)
  for _, c in ipairs(charges) do
    if c.stop > 0 and not (c.start <= t and t < c.stop) then return true end
  end
  return false
end

-- `check` moves with the three sums, with a weight for each: what another hand changed does not fit it any more. By
-- powers of two numbers stay exact.
local WEIGHTS = { reserved = 1, committed = 2, settled = 4 }

local function book(c, name, amount)
  if amount == 0 then return end
  local key = P .. KEY.counter .. c.counter
  redis.call('HINCRBY', key, name, int(amount))
  if WEIGHTS[name] then redis.call('HINCRBY', key, 'check', int(WEIGHTS[name] * amount)) end
end

-- The remainder of a number that may have more digits than Lua holds.
local PRIME = 999983
local function remainder(digits)
  local high = tonumber(string.sub(digits, 1, -10)) or 0
  return (high % PRIME * (1000000000 % PRIME) + tonumber(string.sub(digits, -9))) % PRIME
end

-- What a counter holds; an error where another hand was in it.
local function sums_of(counter)
  local values = redis.call('HMGET', P .. KEY.counter .. counter, 'check', 'reserved', 'committed', 'settled')
  local sums, check = {}, 0
  for i, name in ipairs({ 'reserved', 'committed', 'settled' }) do
    sums[name] = tonumber(values[i + 1] or '0')
    check = check + WEIGHTS[name] * (sums[name] % PRIME)
  end
  if check % PRIME ~= remainder(values[1] or '0') then
    error({ err = 'DAMAGED another hand changed the counter ' .. counter })
  end
  return sums
end

-- What is settled in a rolling window lies in buckets, numbered since the epoch. A bucket leaves the window when its END
-- is older: the error is at most one bucket, always on the refusing side. `buckets` lists those that are stored. They are
-- summed up by twelves, and these by twelves again, so that no question looks at all 1 441 of a full window, however
-- often somebody asks who is over a limit: a few on each level are enough.
local KIND, UNIT = { 'b:', 's:', 'r:' }, { 1, 12, 144 }
local UNITS_MAX = math.floor(1441 / UNIT[3]) + 1

local function bucket_at(c, instant) return math.max(math.floor(instant / c.width), 0) end

local function leaves_at(c, bucket) return (bucket + 1) * c.width + c.length end

-- The amounts of the units from first to last, false where nothing is.
local function amounts(c, level, first, last)
  local names, kind = {}, KIND[level]
  for unit = first, last do names[unit - first + 1] = kind .. unit end
  return redis.call('HMGET', P .. KEY.counter .. c.counter, unpack(names))
end

local function total(c, level, first, last)
  local sum = 0
  if first > last then return sum end
  for _, amount in ipairs(amounts(c, level, first, last)) do sum = sum + (amount or 0) end
  return sum
end

-- What lies in buckets that have left the window and are still stored; and how much of that is in the unit of each level
-- that is leaving now. All that are stored lie within one window.
local function gone(c, t)
  local oldest = c.width > 0 and redis.call('ZRANGE', P .. KEY.buckets .. c.counter, '0', '0', 'WITHSCORES')
  if not oldest or not oldest[1] or tonumber(oldest[2]) > t then return 0, { 0, 0, 0 } end
  local first, from = bucket_at(c, t - c.length), math.floor(oldest[1] / UNIT[3])
  local twelve, row = math.floor(first / UNIT[2]), math.floor(first / UNIT[3])
  local in_twelve = total(c, 1, twelve * 12, first - 1)
  local in_row = in_twelve + total(c, 2, row * 12, twelve - 1)
  local rows = total(c, 3, from, math.min(row - 1, from + UNITS_MAX))
  return rows + in_row, { 0, in_twelve, in_row }
end

-- When so much will have left: the unit with which it has is looked for on each level.
local function room_at(c, t, missing, gone_of)
  local low = bucket_at(c, t - c.length)
  local found, first, last = nil, 0, math.floor(bucket_at(c, t) / UNIT[3])
  for level = 3, 1, -1 do
    local leaving = math.floor(low / UNIT[level])
    found, first = nil, math.max(first, leaving)
    for i, amount in ipairs(amounts(c, level, first, last)) do
      local unit = first + i - 1
      amount = (amount or 0) - (unit == leaving and gone_of[level] or 0)
      if amount >= missing then
        found = unit
        break
      end
      missing = missing - amount
    end
    if not found then return '' end
    first, last = found * 12, found * 12 + 11
  end
  return int(leaves_at(c, found))
end

local function put_in(c, bucket, amount)
  for level = 1, 3 do book(c, KIND[level] .. math.floor(bucket / UNIT[level]), amount) end
end

-- Shows the amounts of these buckets, a hundred at a time, and does `besides` with their fields.
local function each_bucket(c, buckets, visit, besides)
  for from = 1, #buckets, 100 do
    local names = {}
    for i = from, math.min(from + 99, #buckets) do names[i - from + 1] = 'b:' .. buckets[i] end
    local sums = redis.call('HMGET', P .. KEY.counter .. c.counter, unpack(names))
    for i, sum in ipairs(sums) do visit(tonumber(buckets[from + i - 1]), tonumber(sum or '0')) end
    if besides then redis.call(besides, P .. KEY.counter .. c.counter, unpack(names)) end
  end
end

-- A window has passed since anything was settled in it.
local function drop_all(c, buckets, key)
  local names = {}
  for _, name in ipairs(redis.call('HKEYS', key)) do
    if string.sub(name, 2, 2) == ':' then names[#names + 1] = name end
  end
  for from = 1, #names, 1000 do
    redis.call('HDEL', key, unpack(names, from, math.min(from + 999, #names)))
  end
  redis.call('ZREMRANGEBYRANK', buckets, '0', '-1')
  book(c, 'settled', -tonumber(redis.call('HGET', key, 'settled') or '0'))
end

-- Takes what has left the window out of the running total, so that each bucket is looked at once.
local function drop_dead(c, t)
  local buckets, key = P .. KEY.buckets .. c.counter, P .. KEY.counter .. c.counter
  local dead = c.width > 0 and redis.call('ZRANGEBYSCORE', buckets, '-inf', int(t)) or {}
  if #dead == 0 then return end
  if #dead == redis.call('ZCARD', buckets) then return drop_all(c, buckets, key) end
  local settled, upper = 0, {}
  each_bucket(c, dead, function(bucket, amount)
    settled = settled + amount
    for level = 2, 3 do
      local name = KIND[level] .. math.floor(bucket / UNIT[level])
      upper[name] = (upper[name] or 0) + amount
    end
  end, 'HDEL')
  book(c, 'settled', -settled)
  for name, amount in pairs(upper) do
    book(c, name, -amount)
    if redis.call('HGET', key, name) == '0' then redis.call('HDEL', key, name) end
  end
  redis.call('ZREMRANGEBYSCORE', buckets, '-inf', int(t))
end

-- Settles an amount, in the bucket of an instant where the window has any. What has left already does not count.
local function spend(c, t, amount, instant)
  if amount == 0 then return end
  if c.width > 0 then
    local bucket = bucket_at(c, instant)
    local leaves = leaves_at(c, bucket)
    if leaves <= t then return end
    put_in(c, bucket, amount)
    redis.call('ZADD', P .. KEY.buckets .. c.counter, int(leaves), int(bucket))
  end
  book(c, 'settled', amount)
end

local function unspend(c, settled_at, amount)
  if c.width > 0 then
    local bucket = bucket_at(c, settled_at)
    -- a bucket that has left was taken out of the total when it left
    if not redis.call('ZSCORE', P .. KEY.buckets .. c.counter, int(bucket)) then return end
    put_in(c, bucket, -amount)
  end
  book(c, 'settled', -amount)
end

-- What an operation itself holds of each counter, in the column where that is.
local function own_of(op, column)
  local own = { column = column }
  for _, c in ipairs(parse_charges(op.held)) do own[c.counter] = (own[c.counter] or 0) + c.amount end
  return own
end

local function reserved_by(op) return op and RESERVED[op.state] and own_of(op, 'reserved') or {} end

local function show(c, t, own)
  local shown = sums_of(c.counter)
  if own.column then shown[own.column] = shown[own.column] - (own[c.counter] or 0) end
  local left, gone_of = gone(c, t)
  shown.settled, shown.gone_of = shown.settled - left, gone_of
  shown.used = shown.reserved + shown.committed + shown.settled
  return shown
end

-- The instant at which `asked` fits if nothing else happens; '' where it fits now or never does.
local function frees_at(c, t, shown, asked)
  local missing = shown.used + asked - c.limit
  if missing <= 0 then return '' end
  if c.stop > 0 then return asked <= c.limit and int(c.stop) or '' end
  if c.width == 0 or missing > shown.settled then return '' end
  return room_at(c, t, missing, shown.gone_of)
end

local function reading(c, t, shown, asked)
  return { int(shown.reserved), int(shown.committed), int(shown.settled), frees_at(c, t, shown, asked) }
end

-- The charges that do not fit, as { index from 0, reading }. Charges on one counter add up. Where they rise from what
-- they were `before`, a counter of which they take no more is not asked.
local function overruns(charges, t, own, before)
  local asked, stood, over = {}, {}, {}
  for i, c in ipairs(charges) do
    asked[c.counter] = (asked[c.counter] or 0) + c.amount
    if before then stood[c.counter] = (stood[c.counter] or 0) + before[i].amount end
    if asked[c.counter] ~= stood[c.counter] then
      local shown = show(c, t, own)
      if shown.used + asked[c.counter] > c.bound then
        over[#over + 1] = { int(i - 1), reading(c, t, shown, asked[c.counter]) }
      end
    end
  end
  return over
end

local function move(charges, from, to)
  local weight = (to and WEIGHTS[to] or 0) - (from and WEIGHTS[from] or 0)
  for _, c in ipairs(charges) do
    if c.amount ~= 0 then
      local key = P .. KEY.counter .. c.counter
      if from then redis.call('HINCRBY', key, from, int(-c.amount)) end
      if to then redis.call('HINCRBY', key, to, int(c.amount)) end
      redis.call('HINCRBY', key, 'check', int(weight * c.amount))
    end
  end
end

local function release(op) move(parse_charges(op.held), 'reserved', nil) end
