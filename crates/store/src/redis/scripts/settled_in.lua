local records = {}
for i, id in ipairs(redis.call('ZRANGEBYSCORE', P .. KEY.settled .. A.chain, A.block, A.block)) do
  records[i] = record(id)
end
return records
