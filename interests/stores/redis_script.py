"""The one step of a Redis shard, as a Lua script: check offsets and versions, then write everything or nothing.

    KEYS  offsets (hash), changes (stream), log (hash: last, trimmed, users), then one state key a user
    ARGV  most changes to keep, number of partitions,
          field, held offset, next offset       for each partition
          held version, record, wakes, user id, moments (may be empty)  for each state; see record.py
    returns {'written'}, {'offset', place of the partition, stored offset} or {'state', number of stale states}

A script that runs out of memory does so at its first write, having written nothing; the append-only file holds its
writes as one transaction. Ids in the stream are times, so that a server which lost its latest entries never gives
one of their ids again.
"""

PUT = """
local offsets, changes, log = KEYS[1], KEYS[2], KEYS[3]
local changes_max, partitions = tonumber(ARGV[1]), tonumber(ARGV[2])
local first_state = 3 + 3 * partitions

for i = 1, partitions do
  local at = 3 * i
  local stored = redis.call('HGET', offsets, ARGV[at]) or '0'
  if stored ~= ARGV[at + 1] then return {'offset', i, stored} end
end

local stale = 0
local at = first_state
for i = 4, #KEYS do
  local version = redis.call('GETRANGE', KEYS[i], 0, 7)
  if version == '' then version = string.rep('\\0', 8) end
  if version ~= ARGV[at] then stale = stale + 1 end
  at = at + 5
end
if stale > 0 then return {'state', stale} end

for i = 1, partitions do
  redis.call('HSET', offsets, ARGV[3 * i], ARGV[3 * i + 2])
end

local last = false
at = first_state
for i = 4, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then redis.call('HINCRBY', log, 'users', 1) end
  redis.call('SET', KEYS[i], ARGV[at + 1])
  local version = string.sub(ARGV[at + 1], 1, 8)
  last = redis.call('XADD', changes, '*', 'version', version, 'wakes', ARGV[at + 2], 'user', ARGV[at + 3],
    'moments', ARGV[at + 4])
  at = at + 5
end
if last then
  local over = redis.call('XLEN', changes) - changes_max
  if over > 0 then
    local gone = redis.call('XRANGE', changes, '-', '+', 'COUNT', over)
    redis.call('HSET', log, 'trimmed', gone[#gone][1])
    redis.call('XTRIM', changes, 'MAXLEN', changes_max)
  end
  redis.call('HSET', log, 'last', last)
end
return {'written'}
"""
