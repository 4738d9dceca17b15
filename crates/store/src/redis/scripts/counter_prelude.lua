-- What scripts on counters share. A charge is a text: counter|start|stop|width|length|amount|limit|bound. A rolling window
-- has a width; a calendar window has a stop; a grant's lifetime has neither. `limit` is what readings are
-- told against, `bound` what the check is made against.

local NAMES = { 'counter', 'start', 'stop', 'width', 'length', 'amount', 'limit', 'bound' }

local function parse_charges(text)
  local charges = {}
  for line in string.gmatch(text or '', '[^;]+') do
    local charge, i = {}, 0
    for part in string.gmatch(line, '[^|]+') do
      i = i + 1
      charge[NAMES[i]] = i == 1 and part or tonumber(part)
    end
    if i ~= #NAMES then error('a charge cannot be read') end
    charges[#charges + 1] = charge
  end
  return charges
end

local function period_moved(charges, t)
  for _, c in ipairs(charges) do
    if c.stop > 0 and not (c.start <= t and t < c.stop) then return true end
  end
  return false
end

-- When what is settled at an instant leaves a rolling window: the END of its bucket is older than the window. The
-- error is at most one bucket, always on the refusing side.
local function leaves_at(c, instant)
  return int((math.floor(instant / c.width) + 1) * c.width + c.length)
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

local function dead_buckets(c, t)
  return redis.call('ZRANGEBYSCORE', P .. KEY.buckets .. c.counter, '-inf', int(t))
end

-- Shows buckets to `visit` in turn, until it says that it has seen enough. They are read a hundred at a time: a full
-- window has 1 441 of them, and whoever is over a limit may ask often.
local function each_bucket(c, leaves, visit)
  for first = 1, #leaves, 100 do
    local names = {}
    for i = first, math.min(first + 99, #leaves) do names[#names + 1] = 'b:' .. leaves[i] end
    local sums = redis.call('HMGET', P .. KEY.counter .. c.counter, unpack(names))
    for i, sum in ipairs(sums) do
      if visit(leaves[first + i - 1], tonumber(sum or '0')) then return end
    end
  end
end

-- Takes what has left the window out of the running total, so that each bucket is looked at once.
local function drop_dead(c, t)
  each_bucket(c, dead_buckets(c, t), function(leaves, amount)
    book(c, 'settled', -amount)
    redis.call('HDEL', P .. KEY.counter .. c.counter, 'b:' .. leaves)
    redis.call('ZREM', P .. KEY.buckets .. c.counter, leaves)
  end)
end

local function spend(c, t, amount)
  if amount == 0 then return end
  book(c, 'settled', amount)
  if c.width > 0 then
    local leaves = leaves_at(c, t)
    book(c, 'b:' .. leaves, amount)
    redis.call('ZADD', P .. KEY.buckets .. c.counter, leaves, leaves)
  end
end

local function unspend(c, settled_at, amount)
  if c.width == 0 then return book(c, 'settled', -amount) end
  local leaves = leaves_at(c, settled_at)
  -- a bucket that has left was taken out of the total when it left
  if redis.call('ZSCORE', P .. KEY.buckets .. c.counter, leaves) then
    book(c, 'settled', -amount)
    book(c, 'b:' .. leaves, -amount)
  end
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
  each_bucket(c, dead_buckets(c, t), function(_, amount) shown.settled = shown.settled - amount end)
  shown.used = shown.reserved + shown.committed + shown.settled
  return shown
end

-- The instant at which `asked` fits if nothing else happens; '' where it fits now or never does.
local function frees_at(c, t, used, asked)
  if used + asked <= c.limit then return '' end
  if c.stop > 0 then return asked <= c.limit and int(c.stop) or '' end
  if c.width == 0 then return '' end
  local live = redis.call('ZRANGEBYSCORE', P .. KEY.buckets .. c.counter, '(' .. int(t), '+inf')
  local frees = ''
  each_bucket(c, live, function(leaves, amount)
    used = used - amount
    if used + asked <= c.limit then frees = leaves end
    return frees ~= ''
  end)
  return frees
end

local function reading(c, t, own, asked)
  local shown = show(c, t, own)
  local frees = frees_at(c, t, shown.used, asked)
  return { int(shown.reserved), int(shown.committed), int(shown.settled), frees }, shown.used
end

-- The charges that do not fit, as { index from 0, reading }. Charges on one counter add up. Where they rise from what
-- they were `before`, a counter of which they take no more is not asked.
local function overruns(charges, t, own, before)
  local asked, stood, over = {}, {}, {}
  for i, c in ipairs(charges) do
    asked[c.counter] = (asked[c.counter] or 0) + c.amount
    if before then stood[c.counter] = (stood[c.counter] or 0) + before[i].amount end
    if asked[c.counter] ~= stood[c.counter] then
      local shown, used = reading(c, t, own, asked[c.counter])
      if used + asked[c.counter] > c.bound then over[#over + 1] = { int(i - 1), shown } end
    end
  end
  return over
end

local function move(charges, from, to)
  for _, c in ipairs(charges) do
    if from then book(c, from, -c.amount) end
    if to then book(c, to, c.amount) end
  end
end

local function release(op) move(parse_charges(op.held), 'reserved', nil) end
