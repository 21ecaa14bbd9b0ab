-- Says that a replica is there, and counts those that said so lately. Returns 1 if it was not known (else
-- 0), and how many there are.
--
-- KEYS: 1 when each was last there. ARGV: 1 the replica, 2 for how many milliseconds it counts.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local added = redis.pcall('ZADD', KEYS[1], now, ARGV[1])
if type(added) == 'table' and added.err then
  -- what is none of ours makes way; any other error stays one
  if not string.find(added.err, 'WRONGTYPE', 1, true) then error(added.err, 0) end
  redis.call('DEL', KEYS[1])
  added = redis.call('ZADD', KEYS[1], now, ARGV[1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
redis.call('PEXPIRE', KEYS[1], 10 * tonumber(ARGV[2]))
return { added, redis.call('ZCARD', KEYS[1]) }
