-- What scripts on operations share: states, records with their indices, repetition.

local RESERVED = { PARKED = true, APPROVED = true, ALLOWED = true }
local IN_FLIGHT = {
  PREPARED = true, SIGNED = true, BROADCAST = true, UNKNOWN = true, MINED = true, CANCELLING = true,
}
local SENDING = { SIGNED = true, BROADCAST = true, UNKNOWN = true, MINED = true, CANCELLING = true }
local SETTLED = { EXECUTED = true, REVERTED = true, CANCELLED = true }
local EXPIRES = { PARKED = true, APPROVED = true }
local WORK = {
  APPROVED = true, ALLOWED = true, PREPARED = true, SIGNED = true, BROADCAST = true, UNKNOWN = true, MINED = true,
  CANCELLING = true,
}
local NO = { DENIED = true, REJECTED = true, EXPIRED = true }
-- the agent has its answer: a no, or a hash
local FINISHED = {
  DENIED = true, REJECTED = true, EXPIRED = true, SIGNED = true, BROADCAST = true, UNKNOWN = true, MINED = true,
  EXECUTED = true, REVERTED = true, CANCELLING = true, CANCELLED = true, CONFLICT = true,
}

local COLLECT_WITHIN = 24 * 3600000
-- far beyond every duplicate window that anybody configures
local COLLECTED_KEPT = 30 * 24 * 3600000
-- stands for an end that has not come, behind every instant
local NEVER = 9007199254740991

-- The fields that scripts look at; documents stay where they are.
local SMALL = { 'state', 'delivery', 'code', 'reason', 'digest', 'expires_at', 'created_at', 'finished_at',
  'fingerprint', 'key', 'batch', 'gateway', 'agent', 'chain', 'wallet', 'held', 'votes', 'voters', 'vote_count',
  'attempts', 'cancels', 'nonce', 'fixed_nonce', 'plan_digest', 'actual', 'kept', 'settled_at', 'fence',
  'message', 'signature', 'rest',
  'purpose:0', 'plan_digest:0', 'raw:0', 'hash:0' }

-- What is looked at of further attempts. More of them than this nobody makes. The first one's plan is the intent's.
local ATTEMPTS_MAX = 256
local OF_ATTEMPT = { 'purpose:', 'plan_digest:', 'raw:', 'hash:' }

local function names_of_further(op)
  local names = {}
  for attempt = 1, math.min(tonumber(op.attempts or '0'), ATTEMPTS_MAX) - 1 do
    for _, name in ipairs(OF_ATTEMPT) do names[#names + 1] = name .. attempt end
  end
  return names
end

-- The digest of whatever scripts look at, which each of them leaves behind: what another hand changed is noticed
-- before anything follows from it. Packed, two different contents are two different texts.
local function digest_of(small, further)
  local text = cmsgpack.pack(small)
  if further then text = text .. cmsgpack.pack(further) end
  return redis.sha1hex(text)
end

local function values_of(op, names)
  local values = {}
  for i = 1, #names do values[i] = op[names[i]] or false end
  return values
end

local function sum_of(op)
  local further = names_of_further(op)
  return digest_of(values_of(op, SMALL), further[1] and values_of(op, further))
end

local function load(id)
  local key, op = P .. KEY.operation .. id, { id = id }
  local values = redis.call('HMGET', key, 'sum', unpack(SMALL))
  op.sum = table.remove(values, 1) or nil
  for i = 1, #SMALL do op[SMALL[i]] = values[i] or nil end
  if not op.state and not op.sum then return nil end
  local names, further = names_of_further(op), nil
  if names[1] then
    further = redis.call('HMGET', key, unpack(names))
    for i = 1, #names do op[names[i]] = further[i] or nil end
  end
  if digest_of(values, further) ~= op.sum then
    error({ err = 'DAMAGED another hand changed the record of ' .. id })
  end
  return op
end

local function record(id) return redis.call('HGETALL', P .. KEY.operation .. id) end

-- An operation for a list. What another hand changed is left out and told: it must not hide the others.
local function sound(id)
  local ok, found = pcall(load, id)
  if ok then return found end
  local why = type(found) == 'table' and found.err or found
  if not string.find(why, '^DAMAGED ') and not string.find(why, '^WRONGTYPE ') then error(found, 0) end
  LEDGER.damage = why
end

local function sound_records(ids)
  local records = {}
  for _, id in ipairs(ids) do
    if sound(id) then records[#records + 1] = record(id) end
  end
  return records
end

local function unknown(id) return refused('there is no operation ' .. id) end

-- What a state becomes by a node's word; nothing where the word comes late.
local function state_told(state)
  if not SENDING[state] or state == 'MINED' then return nil end
  return state == 'CANCELLING' and state or A.state
end

-- Of what is being cancelled and has no signature here nobody can say yet how it ends.
local function is_finished(op)
  return FINISHED[op.state] and (op.message or op['hash:0'] or not IN_FLIGHT[op.state])
end

local function undefined(step, op) return refused('`' .. step .. '` is not defined in ' .. op.state) end

local function is_over(op, t) return op.expires_at and tonumber(op.expires_at) <= t end

local function lane(family, op) return P .. family .. op.chain .. ':' .. op.wallet end

local function index_states(op, before)
  if op.state == before then return end
  local state, mine = P .. KEY.in_state, P .. KEY.of_agent_in_state .. op.agent .. ':'
  if before then
    redis.call('ZREM', state .. before, op.id)
    redis.call('ZREM', mine .. before, op.id)
  end
  redis.call('ZADD', state .. op.state, op.created_at, op.id)
  redis.call('ZADD', mine .. op.state, op.created_at, op.id)
end

local function index_in(key, member, score)
  if score then redis.call('ZADD', key, score, member) else redis.call('ZREM', key, member) end
end

local function index_work(op, before, t)
  if before ~= op.state and WORK[before] then redis.call('ZREM', P .. KEY.work .. before, op.id) end
  -- a signed message waits for the chain's clock, and nobody works on it
  if WORK[op.state] and not (op.message and op.state == 'SIGNED') then redis.call('ZADD', P .. KEY.work .. op.state, int(t), op.id) end
end

-- A no that was collected answers nothing any more, and is in neither list.
local function index_repeats(op, t, was)
  if op.key then return end
  local done, was_done = op.delivery == 'collected', was.delivery == 'collected'
  if done ~= was_done or not was.delivery then
    index_in(P .. KEY.uncollected .. op.fingerprint, op.id, not done and op.created_at)
  end
  if not done and not was_done then return end
  local collected = P .. KEY.collected .. op.fingerprint
  index_in(collected, op.id, done and not NO[op.state] and (op.finished_at or int(NEVER)))
  if done then redis.call('ZREMRANGEBYSCORE', collected, '-inf', int(t - COLLECTED_KEPT)) end
end

-- Its place in every index in which it may have changed, by what it was.
local function index(op, t, was)
  local before, state = was.state, op.state
  if before ~= state then index_states(op, before) end
  if EXPIRES[before] or EXPIRES[state] then
    index_in(P .. KEY.expiry, op.id, EXPIRES[state] and op.expires_at)
    if op.fixed_nonce then
      local until_then = int(tonumber(op.created_at) + NONCE_HELD_FOR)
      index_in(lane(KEY.kept_nonce, op) .. ':' .. op.fixed_nonce, op.id, EXPIRES[state] and until_then)
    end
  end
  index_work(op, before, t)
  if op.nonce and IN_FLIGHT[before] ~= IN_FLIGHT[state] then
    redis.call(IN_FLIGHT[state] and 'SADD' or 'SREM', lane(KEY.in_flight, op), op.id)
  end
  index_repeats(op, t, was)
end

-- Writes changes (name, value or false, name, ...) of an operation, its place in the indices, and one line of
-- the log. Answers the whole record. One that has no state yet is new.
local function put(t, verb, op, changes)
  local key, was = P .. KEY.operation .. op.id, { state = op.state, delivery = op.state and op.delivery }
  changes[#changes + 1] = 'updated_at'
  changes[#changes + 1] = int(t)
  for i = 1, #changes, 2 do op[changes[i]] = changes[i + 1] or nil end
  if is_finished(op) and not op.finished_at then
    op.finished_at = int(t)
    changes[#changes + 1] = 'finished_at'
    changes[#changes + 1] = op.finished_at
  end
  local content, kept = {}, { 'sum', sum_of(op) }
  for i = 1, #changes, 2 do
    local name, value = changes[i], changes[i + 1]
    if value then
      kept[#kept + 1] = name
      kept[#kept + 1] = value
    else
      redis.call('HDEL', key, name)
    end
    content[#content + 1] = name .. ' ' .. (value and #value .. ' ' .. value or '-')
  end
  redis.call('HSET', key, unpack(kept))
  index(op, t, was)
  log(t, verb, op.id, table.concat(content, '\n'))
  return record(op.id)
end

-- A new operation from fields (name, value, ...). Answers the whole record.
local function create_from(t, verb, id, fields)
  local op = { id = id, created_at = int(t) }
  local changes = { 'created_at', op.created_at }
  for i = 1, #fields do changes[#changes + 1] = fields[i] end
  for i = 1, #fields, 2 do if fields[i] ~= 'state' then op[fields[i]] = fields[i + 1] end end
  redis.call('ZADD', P .. KEY.operations, op.created_at, id)
  redis.call('ZADD', P .. KEY.of_agent .. op.agent, op.created_at, id)
  if op.key then redis.call('HSET', P .. KEY.idempotency, op.key, id) end
  return put(t, verb, op, changes)
end

-- What the log calls a step that leads to people or past them.
local function parking(otherwise)
  for i = 1, #F, 2 do
    if F[i] == 'state' and F[i + 1] == 'PARKED' then return 'park' end
  end
  return otherwise
end

-- A new operation from the fields in F.
local function create(t, verb, id) return create_from(t, verb, id, F) end

local function lives(gateway, t)
  local alive_until = redis.call('HGET', P .. KEY.gateways, gateway)
  return alive_until and tonumber(alive_until) > t
end

-- `waiting` of a dead gateway counts as `owed`.
local function delivery(op, t)
  if op.delivery == 'waiting' and not lives(op.gateway, t) then return 'owed' end
  return op.delivery
end

local function same_key(t)
  local id = redis.call('HGET', P .. KEY.idempotency, A.key)
  if not id then return nil end
  local op = load(id)
  return { op.fingerprint == A.fingerprint and 'same' or 'key_conflict', record(id) }
end

local function other_batch(op) return not (op.batch and op.batch == A.batch) end

-- The operation that a request repeats, as { 'same' | 'key_conflict', record }, or nil.
local function repeated(t)
  if A.key then return same_key(t) end
  local window, newest = tonumber(A.window), nil
  for _, id in ipairs(redis.call('ZRANGE', P .. KEY.uncollected .. A.fingerprint, '0', '-1')) do
    local op = load(id)
    if other_batch(op) then
      local how = delivery(op, t)
      local age = op.finished_at and t - tonumber(op.finished_at) or 0
      if how == 'owed' and age <= COLLECT_WITHIN then return { 'same', record(id) } end
      if how == 'waiting' and age <= window and not NO[op.state] then newest = op end
    end
  end
  if window == 0 then return nil end
  local since, collected = int(math.max(t - window, 0)), P .. KEY.collected .. A.fingerprint
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', collected, since, '(' .. int(NEVER))) do
    local op = load(id)
    local newer = not newest or tonumber(op.created_at) > tonumber(newest.created_at)
      or (op.created_at == newest.created_at and id > newest.id)
    if other_batch(op) and newer then newest = op end
  end
  return newest and { 'same', record(newest.id) }
end

-- What nobody collected in time never answers again; nor does what was answered and waits for ever to be collected.
local function forget_stale(t)
  local uncollected = P .. KEY.uncollected .. A.fingerprint
  for _, id in ipairs(redis.call('ZRANGE', uncollected, '0', '9')) do
    local state = redis.call('HMGET', P .. KEY.operation .. id, 'delivery', 'finished_at')
    local kept = state[1] == 'owed' and COLLECT_WITHIN or COLLECTED_KEPT
    if state[2] and t - tonumber(state[2]) > kept then
      redis.call('ZREM', uncollected, id)
    end
  end
end

-- Which attempt has this hash: a receipt counts only if it is of bytes that we stored.
local function attempt_of(op, hash)
  for attempt = 0, tonumber(op.attempts or '0') - 1 do
    if op['hash:' .. attempt] == hash then return attempt end
  end
end

-- Where bytes are that were sent, while no receipt is known.
local function sent_state(op) return op.cancels and 'CANCELLING' or 'BROADCAST' end

-- What stops a signature. It is looked at in the step that binds what is signed: nothing gets by between.
local function stopped(op, only_by_all)
  if LEDGER.sealed then return { 'sealed', LEDGER.sealed } end
  local scopes = { 'global', 'all', 'agent:' .. op.agent, 'wallet:' .. op.wallet, 'chain:' .. op.chain }
  for _, scope in ipairs(only_by_all and { 'all' } or scopes) do
    local freeze = redis.call('HGET', P .. KEY.freezes, scope)
    if freeze then return { 'frozen', freeze } end
  end
end
