-- What a judgement asks before it begins, as of one moment. The clock is kept as in now.lua.
local t = now()
if t >= tonumber(redis.call('GET', P .. KEY.clock) or '0') + 1000 then tick() end
local counterparties, seen = P .. KEY.seen .. A.chain .. ':' .. A.wallet, {}
for address in string.gmatch(A.addresses, '%S+') do
  if redis.call('SISMEMBER', counterparties, address) == 1 then seen[#seen + 1] = address end
end
return {
  repeated(t) or { 'nothing' }, int(t), seen, redis.call('HVALS', P .. KEY.freezes),
  redis.call('HGETALL', P .. KEY.pact .. A.version .. ':' .. A.agent),
}
