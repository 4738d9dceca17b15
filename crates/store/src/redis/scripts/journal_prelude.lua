-- What scripts on the journal share: a chain of entries per gateway, and lists, newest first.

local function head() return redis.call('HGET', P .. KEY.heads, A.gateway) or '' end

-- The chain is SHA-256, made by the gateway; here it is only kept from branching.
local function append()
  redis.call('HSET', P .. KEY.heads, A.gateway, A.next)
  redis.call('RPUSH', P .. KEY.journal .. A.gateway_hash, A.next .. ' ' .. A.entry)
end

-- Whether each of these policies, with spaces between them, has its text in the chain.
local function pinned(policies)
  for policy in string.gmatch(policies or '', '%S+') do
    if redis.call('SISMEMBER', P .. KEY.pinned .. A.gateway_hash, policy) == 0 then return false end
  end
  return true
end

-- Lists order by (creation, count); this is the member, of fixed width so that text order is count order.
local function new_member(id)
  return string.format('%016.0f', redis.call('INCR', P .. KEY.count)) .. ':' .. id
end

local function id_of(member) return string.sub(member, 18) end

-- Up to limit + 1 members of a list that are older than the cursor (creation, count) and fit, newest first.
local function page(source, fits)
  local limit, most = tonumber(A.limit), tonumber(A.to or '0')
  local rows_from, bound, count = '+inf', nil, nil
  if A.to then rows_from = '(' .. A.to end
  if A.cursor_at and (not A.to or tonumber(A.cursor_at) < most) then
    rows_from, bound, count = A.cursor_at, tonumber(A.cursor_at), A.cursor_count
  end
  local found, offset = {}, 0
  repeat
    local rows = redis.call('ZREVRANGEBYSCORE', source, rows_from, A.from or '-inf', 'WITHSCORES', 'LIMIT',
      int(offset), '256')
    for i = 1, #rows, 2 do
      local after = bound and tonumber(rows[i + 1]) == bound and string.sub(rows[i], 1, 16) >= count
      if not after and #found <= limit and fits(id_of(rows[i])) then
        found[#found + 1] = { rows[i], rows[i + 1] }
      end
    end
    offset = offset + 256
  until #rows == 0 or #found > limit
  return found, limit
end

-- { cursor or '', record ... }: no more of them than these bytes, but one at least.
local function answer(source, family, fits)
  local found, limit = page(source, fits)
  local shown, bytes, most = math.min(limit, #found), 0, A.bytes and tonumber(A.bytes) or math.huge
  local result = { '' }
  for i = 1, shown do
    local fields = redis.call('HGETALL', P .. family .. id_of(found[i][1]))
    for _, text in ipairs(fields) do bytes = bytes + #text end
    if bytes > most and i > 1 then
      shown = i - 1
      break
    end
    result[i + 1] = fields
  end
  local last = #found > shown and found[shown]
  if last then result[1] = last[2] .. '-' .. string.sub(last[1], 1, 16) end
  return result
end
