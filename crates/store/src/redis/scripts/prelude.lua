-- What every script shares. The table KEY and the function wall() stand before this text.
--
-- Rules: KEYS[1] is the app's meta key; every other key has the same prefix and so the same slot. Arguments come in
-- named pairs (A); those whose name begins with '=' are fields of a record, kept in order (F). All checks come
-- before all writes, because Redis does not roll a script back. Amounts are integers below 2^53, exact in Lua;
-- they are printed by int() alone, because Lua's own printing keeps 14 digits. Documents are opaque here.

local META = KEYS[1]
local P = string.sub(META, 1, -1 - #KEY.meta)

local A, F = {}, {}
for i = 1, #ARGV, 2 do
  if string.sub(ARGV[i], 1, 1) == '=' then
    F[#F + 1] = string.sub(ARGV[i], 2)
    F[#F + 1] = ARGV[i + 1]
  else
    A[ARGV[i]] = ARGV[i + 1]
  end
end

-- A store that was flushed, or that another took the place of, is neither written nor believed: what it says of
-- budgets is not so. The gateway that opened it says which ledger it means.
if A.ledger and redis.call('HGET', META, 'ledger_id') ~= A.ledger then
  return redis.error_reply('LEDGER this store does not hold the ledger that this gateway opened: its history is lost')
end

local function int(n) return string.format('%.0f', n) end

local function set(names)
  local members = {}
  for name in string.gmatch(names, '%S+') do members[name] = true end
  return members
end

-- The store's clock: never before what a writing script has seen.
local function now()
  return math.max(wall(A), tonumber(redis.call('GET', P .. KEY.clock) or '0'))
end

local function tick()
  local t = now()
  redis.call('SET', P .. KEY.clock, int(t))
  return t
end

local function refused(why) return { 'refused', why } end

-- One line of the log: its number, when, what, and the digest of what was written; chained to the line before.
local function log(t, verb, subject, content)
  local sequence = redis.call('HINCRBY', META, 'sequence', '1')
  local line = table.concat({ int(sequence), int(t), verb, subject, redis.sha1hex(content) }, ' ')
  local head = redis.sha1hex((redis.call('HGET', META, 'head') or '') .. line)
  redis.call('HSET', META, 'head', head)
  redis.call('RPUSH', P .. KEY.log, head .. ' ' .. line)
end
