local key, known = P .. KEY.seen .. A.chain .. ':' .. A.wallet, {}
for address in string.gmatch(A.addresses, '%S+') do
  if redis.call('SISMEMBER', key, address) == 1 then known[#known + 1] = address end
end
return known
