-- What every script shares. The function wall() and the constants stand before this text; the script itself is the
-- function body(), and coda.lua answers. All of it runs at each call, so nothing is made here that could be written
-- down: KEY.name is no table's field, but stands for the name itself (keys.rs).
--
-- Rules: KEYS[1] is the app's meta key; every other key has the same prefix and so the same slot. Arguments come in
-- named pairs (A); those whose name begins with '=' are fields of a record, kept in order (F). A '+' names one of several
-- steps: its own arguments follow. All checks come before all writes, because Redis does not roll a script back. Amounts are integers below 2^53, exact in Lua;
-- they are printed by int() alone, because Lua's own printing keeps 14 digits. Documents are opaque here.

local META = KEYS[1]
local P = string.sub(META, 1, -1 - #KEY.meta)

-- While a cluster moves the slot to another node, keys that have gone and keys that are new are out of reach, and a
-- script would break off in its middle. A key that never exists tells so before anything is done.
local moving = redis.pcall('EXISTS', P .. KEY.never)
if moving ~= 0 then
  return redis.error_reply('TRYAGAIN nothing was done: ' .. (type(moving) == 'table' and moving.err or 'a key is there'))
end

local EQUALS, PLUS = string.byte('='), string.byte('+')
local function arguments(from)
  local named, fields = {}, {}
  for i = from, #ARGV, 2 do
    local first = string.byte(ARGV[i])
    if first == EQUALS then
      fields[#fields + 1] = string.sub(ARGV[i], 2)
      fields[#fields + 1] = ARGV[i + 1]
    elseif first == PLUS then
      return named, fields, i
    else
      named[ARGV[i]] = ARGV[i + 1]
    end
  end
  return named, fields, nil
end
local A, F, STEPS_FROM = arguments(1)

local function int(n) return string.format('%.0f', n) end

local function refused(why) return { 'refused', why } end

-- The ledger as this call finds it; log() moves it on.
local found = redis.call('HMGET', META, 'ledger_id', 'epoch', 'sequence', 'head', 'sealed', 'replaces')
local LEDGER = {
  id = found[1], epoch = tonumber(found[2] or '0'), sequence = tonumber(found[3] or '0'), head = found[4] or '',
  sealed = found[5], standing = 'proven',
}

-- A store that was flushed, or that another took the place of, is neither written nor believed: what it says of
-- budgets is not so. The gateway that opened it says which ledger it means. A person may have made a new one since.
if A.ledger and LEDGER.id ~= A.ledger then
  if LEDGER.id and found[6] == A.ledger then
    LEDGER.standing = 'replaced'
  elseif not A.anew then
    return redis.error_reply('LEDGER ' .. (LEDGER.id and 'the store holds the ledger ' .. LEDGER.id
      or 'the store is empty'))
  end
end

-- What a gateway wrote at a wrong time would count in a wrong window. The store's clock is not believed against its
-- own, nor its own against the store's: nothing is written until they agree, and until then time stands.
local WALL = wall(A)
local APART = A.wall and math.abs(WALL - tonumber(A.wall)) > APART_MAX
if APART and WRITES and not A.regardless then
  return redis.error_reply("CLOCK the store's clock minus this gateway's is " .. int(WALL - tonumber(A.wall)) .. ' ms')
end

-- The store's time: never before what a writing script has seen.
local function now()
  local stood = tonumber(redis.call('GET', P .. KEY.clock) or '0')
  return APART and stood or math.max(WALL, stood)
end

local function tick()
  local t = now()
  if not APART then redis.call('SET', P .. KEY.clock, int(t)) end
  return t
end

-- One line of the log: its number, when, what, and the digest of what was written; chained to the line before.
local function log(t, verb, subject, content)
  LEDGER.sequence = LEDGER.sequence + 1
  local line = table.concat({ int(LEDGER.sequence), int(t), verb, subject, redis.sha1hex(content) }, ' ')
  LEDGER.head = redis.sha1hex(LEDGER.head .. line)
  redis.call('HSET', META, 'sequence', int(LEDGER.sequence), 'head', LEDGER.head)
  redis.call('RPUSH', P .. KEY.log, LEDGER.head .. ' ' .. line)
end

local function seal(t, reason)
  LEDGER.sealed = reason
  redis.call('HSET', META, 'sealed', reason)
  log(t, 'seal', '-', reason)
end

-- Whether this log goes on from the line that the gateway saw last. Lines are looked for from the end: what was seen
-- last is near it.
local function goes_on()
  local seen = tonumber(A.seen)
  if seen == LEDGER.sequence then return LEDGER.head == A.head end
  if seen > LEDGER.sequence then return false end
  if seen == 0 then return true end
  local line = redis.call('LINDEX', P .. KEY.log, int(seen - LEDGER.sequence - 1))
  return line and string.sub(line, 1, #A.head + 1) == A.head .. ' '
end

-- History that a gateway saw is missing: the store fell back to an older state of itself. Nothing new is signed until
-- a person has accepted what is there, which is known by the epoch.
if A.ledger == LEDGER.id and A.seen and not goes_on() then
  if tonumber(A.epoch) < LEDGER.epoch then
    LEDGER.standing = 'accepted'
  else
    LEDGER.standing = 'missing'
    if WRITES then
      redis.call('HSETNX', META, 'missing', 'line ' .. A.seen .. ' [' .. A.head .. '] of epoch ' .. A.epoch)
      if not LEDGER.sealed then
        seal(tick(), 'history is lost: a gateway saw line ' .. A.seen .. ' of the log, which ends at '
          .. int(LEDGER.sequence) .. ' or went another way')
      end
    end
  end
end
