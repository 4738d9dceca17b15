-- The next revision of a shelf. Its parts are documents, and what is not among them stays.
local revision, mark = string.match(redis.call('HGET', P .. KEY.shelves, A.agent) or '0 ', '^(%d+) (.*)$')
if mark == A.mark then return { 'done' } end
if tonumber(revision) + 1 ~= tonumber(A.revision) then return { 'moved' } end
local t = tick()
redis.call('HSET', P .. KEY.shelves, A.agent, A.revision .. ' ' .. A.mark)
redis.call('HSET', P .. KEY.shelf .. A.agent, unpack(F))
log(t, 'shelf', A.subject, table.concat(F, '\n'))
return { 'done' }
