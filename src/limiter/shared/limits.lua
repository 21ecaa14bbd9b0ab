-- Looks at limits that replicas share, and takes from all or from none of them, in one step.
--
-- ARGV: 1 `look`, `take` (if everything fits), `force` (whatever fits) or `settle` (the same, once: if the
--         last of KEYS is there, which it removes; else nothing is answered)
--       2 the id of a reservation, or empty
--       3 how long that lasts, in milliseconds
--       4 what is to be remembered of it, under the last of KEYS; or empty
--       then eight for each limit, whose state is under the key of the same place:
--       kind, cost, four numbers, and what the replica knows to be used without this: it counts if
--       nothing is here, or nothing that can be read; if the last one is 1 it also counts if it is more
--       than what is known here
--   rate: microseconds of the period, limit, burst, -; used in millionths
--   quota: its period's first millisecond, allowance, generation, milliseconds to remember
--   slots: limit, -, -, -
-- Returns for each limit: whether it fits (1 or 0), and what is used of it by then.

local mode, slot, ttl, record = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local settles = mode == 'settle'
if settles and redis.call('DEL', KEYS[#KEYS]) == 0 then return {} end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now_ms = math.floor(now / 1000)
local count = (#ARGV - 4) / 8
local states, answer, all = {}, {}, true

-- Whether a value is of another type than ours; then it is removed. Any other error stays one.
local function is_foreign(s, answer)
  if type(answer) ~= 'table' or not answer.err then return false end
  if not string.find(answer.err, 'WRONGTYPE', 1, true) then error(answer.err, 0) end
  redis.call('DEL', s.key)
  return true
end

-- The text under a key; nil if there is nothing.
local function text(s)
  local found = redis.pcall('GET', s.key)
  if is_foreign(s, found) then return '' end
  return found or nil
end

-- A number from zero that counting is exact with; nothing else is one of ours.
local function number(text)
  local value = tonumber(text)
  return value and value >= 0 and value < 9e15 and value or nil
end

local function read_rate(s)
  s.a_token = tonumber(s[1]) / tonumber(s[2])
  local used, at = string.match(text(s) or '', '^(%S+) (%S+)$')
  used, at = number(used), number(at)
  if used and at then
    -- a clock that was put back drains nothing, and takes nothing either
    s.used = math.max(0, used - math.max(0, now - at) / s.a_token)
  else
    -- what is all drained is not remembered, and the replica knows of nothing either
    s.used = s.known / 1000000
  end
  if s.forgotten and s.used < s.known / 1000000 then
    s.used, s.raised = s.known / 1000000, true
  end
  return s.cost == 0 or s.used + s.cost <= tonumber(s[3]) + 0.000001
end

local function read_quota(s)
  s.used = s.known
  local used, start, generation = string.match(text(s) or '', '^(%S+) (%S+) (%S+)$')
  used, generation = number(used), number(generation)
  if used and generation and tonumber(start) == tonumber(s[1]) and generation >= tonumber(s[3]) then
    s.used = used
    s[3] = string.format('%d', generation)
    if s.forgotten and s.used < s.known then s.used, s.raised = s.known, true end
    return s.cost == 0 or s.used + s.cost <= tonumber(s[2])
  end
  -- who settles does not know what was used besides
  s.skip = settles
  return s.cost == 0 or s.used + s.cost <= tonumber(s[2])
end

local function read_slots(s)
  is_foreign(s, redis.pcall('ZREMRANGEBYSCORE', s.key, '-inf', now_ms))
  s.used = redis.call('ZCARD', s.key)
  return (s.cost == 0 and slot == '') or s.used < tonumber(s[1])
end

local function write(s, cost)
  if s.skip then return end
  if s.kind == 'rate' then
    s.used = math.max(0, s.used + cost)
    local drained = math.min(math.ceil(s.used * s.a_token / 1000) + 1000, 1e14)
    redis.call('SET', s.key, string.format('%.9f %d', s.used, now), 'PX', string.format('%.0f', drained))
  elseif s.kind == 'quota' then
    s.used = math.max(0, s.used + cost)
    redis.call('SET', s.key, string.format('%d %s %s', s.used, s[1], s[3]), 'PX', s[4])
  elseif slot ~= '' and settles then
    s.used = s.used - redis.call('ZREM', s.key, slot)
  elseif slot ~= '' then
    redis.call('ZADD', s.key, now_ms + ttl, slot)
    redis.call('PEXPIRE', s.key, math.max(redis.call('PTTL', s.key), ttl + 1000))
    s.used = s.used + 1
  end
end

local read = { rate = read_rate, quota = read_quota, slots = read_slots }
for i = 1, count do
  local at = 4 + (i - 1) * 8
  local s = { ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6] }
  s.key, s.kind, s.cost = KEYS[i], ARGV[at + 1], tonumber(ARGV[at + 2])
  s.known, s.forgotten = tonumber(ARGV[at + 7]), ARGV[at + 8] == '1'
  s.fits = read[s.kind](s)
  all = all and s.fits
  states[i] = s
end

local takes = mode == 'force' or settles or (mode == 'take' and all)
for i = 1, count do
  local s = states[i]
  -- the replica counts as heard from now on, also if nothing is taken
  if takes then write(s, s.cost) elseif s.raised then write(s, 0) end
end
if takes and record ~= '' then redis.call('SET', KEYS[#KEYS], record, 'PX', ttl) end

for i = 1, count do
  local s = states[i]
  answer[2 * i - 1] = s.fits and 1 or 0
  answer[2 * i] = s.kind == 'rate' and math.floor(s.used * 1000000 + 0.5) or s.used
end
return answer
