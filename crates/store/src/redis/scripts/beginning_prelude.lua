-- What scripts share that begin a ledger.

-- What lies in the store although no ledger does.
local function left_behind()
  for _, family in ipairs({ 'meta', 'clock', 'log', 'idempotency', 'operations', 'heads', 'traces', 'incidents' }) do
    if redis.call('EXISTS', P .. KEY[family]) == 1 then return family end
  end
end

local function begin(id, format)
  LEDGER.id = id
  redis.call('HSET', META, 'ledger_id', LEDGER.id, 'format', format)
end
