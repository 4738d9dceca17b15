local t = tick()
if redis.call('HDEL', META, 'sealed') == 1 then
  redis.call('HINCRBY', META, 'epoch', '1')
  log(t, 'unseal', '-', '')
end
return { 'done' }
