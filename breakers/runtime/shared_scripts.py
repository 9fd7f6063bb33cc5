"""What replicas agree on in Redis, as scripts that run there in one piece each.

For a breaker there is a hash (`epoch, state, until, ok`), a sorted set of the instances that say
it is open, and one of the leased probes; times are the server's, in milliseconds. Each change of the
state begins an epoch and is published. Epochs count on from the time, so that one after a loss of
the keys is not taken for one before it. What is lost with its keys is as if it had never been.
"""

from __future__ import annotations

_NOW = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function change(state, wait)
  redis.call('HSET', KEYS[1], 'state', state, 'until', now + wait, 'ok', 0)
  local epoch = tonumber(redis.call('HGET', KEYS[1], 'epoch')) or 0
  redis.call('HSET', KEYS[1], 'epoch', math.max(epoch + 1, now))
  redis.call('DEL', KEYS[3])
  if state == 'closed' then redis.call('DEL', KEYS[2]) end
  redis.call('PUBLISH', ARGV[1], ARGV[2])
end
local function keep()
  for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[3]) end
end
local function answer()
  local v = redis.call('HMGET', KEYS[1], 'epoch', 'state', 'until')
  return {tonumber(v[1]) or 0, v[2] or '', (tonumber(v[3]) or 0) - now}
end
"""

# ARGV: channel, name, keep ms, instance, open ms, quorum
VOTE = (
    _NOW
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[2], now + ARGV[5], ARGV[4])
local v = redis.call('HMGET', KEYS[1], 'state', 'until')
-- Open, but over: whoever says so now had closed alone, while Redis did not answer.
local open = v[1] == 'open' and now < tonumber(v[2])
if not open and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[6]) then
  change('open', ARGV[5])
end
keep()
return answer()
"""
)

# ARGV: channel, name, keep ms, member, lease ms, permitted
LEASE = (
    _NOW
    + """
local v = redis.call('HMGET', KEYS[1], 'state', 'until', 'ok')
if v[1] ~= 'open' or now < tonumber(v[2]) then return 0 end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
if redis.call('ZCARD', KEYS[3]) + tonumber(v[3]) >= tonumber(ARGV[6]) then return 0 end
redis.call('ZADD', KEYS[3], now + ARGV[5], ARGV[4])
keep()
return 1
"""
)

# ARGV: channel, name, keep ms, member, open ms, permitted, outcome (ok, failed or unused)
SETTLE = (
    _NOW
    + """
if redis.call('ZREM', KEYS[3], ARGV[4]) == 0 then return answer() end
if ARGV[7] == 'failed' then
  change('open', ARGV[5])
elseif ARGV[7] == 'ok' and redis.call('HINCRBY', KEYS[1], 'ok', 1) >= tonumber(ARGV[6]) then
  change('closed', 0)
end
keep()
return answer()
"""
)

# ARGV: channel, name, keep ms
READ = _NOW + "return answer()"
