-- What scripts share that begin a ledger.

-- What lies in the store although no ledger does.
local function left_behind()
  local names = {
    KEY.meta, KEY.clock, KEY.log, KEY.idempotency, KEY.operations, KEY.heads, KEY.traces, KEY.incidents,
  }
  for _, name in ipairs(names) do
    if redis.call('EXISTS', P .. name) == 1 then return name end
  end
end

local function begin(id, format)
  LEDGER.id = id
  redis.call('HSET', META, 'ledger_id', LEDGER.id, 'format', format)
end
