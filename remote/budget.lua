-- One account of calls, shared by all processes. KEYS: the account, the silence of its limit scope, the
-- processes that spend. ARGV[1] is a JSON object; see sharedRequest in Go. Times are in milliseconds.
-- Numbers stay below 10^14, which Lua writes without an exponent.
local q = cjson.decode(ARGV[1])
local account, silence, processes = KEYS[1], KEYS[2], KEYS[3]
local parts, shares = q.parts, q.shares
local now = q.now
if now == 0 then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end

local names = {'id', 'run', 'since', 'at', 'first', 'current', 'wait', 'others', 'others_until', 'quota', 'quota_until',
  'used:0', 'used:1', 'used:2', 'asked:0', 'asked:1', 'asked:2'}
local values = redis.call('HMGET', account, unpack(names))
local f = {}
for i, name in ipairs(names) do
  f[name] = i > 2 and (tonumber(values[i]) or 0) or values[i]
end
-- A Redis that was restarted, or a replica in its place, may have an earlier state of the account.
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and info:match('run_id:(%w+)') or ''
if f.id and f.run ~= run then
  redis.call('DEL', account, processes)
  f.id = false
  for i, name in ipairs(names) do
    if i > 2 then f[name] = 0 end
  end
end
if not f.id then
  f.id, f.run, f.since = q.fresh, run, now
end
now = math.max(now, f.at, f.current * q.width) -- the clock may have been set back
-- Processes that spend contact Redis each second. If none has, Redis was away, and what they have spent is
-- unknown until they report.
if f.at > 0 and now - f.at > q.unseen then
  for i, v in ipairs(redis.call('HGETALL', processes)) do
    if i % 2 == 1 and v ~= q.process then f.since = now end
  end
end
f.at = now

local function counts(part) return (part + 1) * q.width + q.kept > now end

local function group(part) return math.floor(part / q.group) end

-- Advance the window.
while f.first <= f.current and not counts(f.first) do
  if f['used:0'] + f['used:1'] + f['used:2'] == 0 then
    f.first = f.current + 1
    break
  end
  local fields = {f.first .. ':0', f.first .. ':1', f.first .. ':2'}
  local calls = redis.call('HMGET', account, unpack(fields))
  local sum = 0
  for s = 0, 2 do
    local n = tonumber(calls[s + 1]) or 0
    f['used:' .. s], sum = f['used:' .. s] - n, sum + n
  end
  redis.call('HDEL', account, unpack(fields))
  if sum > 0 and redis.call('HINCRBY', account, 'sum:' .. group(f.first), -sum) <= 0 then
    redis.call('HDEL', account, 'sum:' .. group(f.first))
  end
  f.first = f.first + 1
end
local here = math.floor(now / q.width)
if f.first > f.current then f.first = here end
f.current = math.max(f.current, here)

local function count(part, s, calls)
  if q.calls == 0 or not counts(part) then return 0 end
  part = math.min(part, f.current)
  if calls < 0 then
    calls = math.max(calls, -(tonumber(redis.call('HGET', account, part .. ':' .. s)) or 0))
  end
  if calls == 0 then return 0 end
  redis.call('HINCRBY', account, part .. ':' .. s, calls)
  f.first = math.min(f.first, part)
  f['used:' .. s] = f['used:' .. s] + calls
  redis.call('HINCRBY', account, 'sum:' .. group(part), calls)
  return calls
end

local lost = not q.report and q.id ~= '' and q.id ~= f.id
-- A process reports what it has spent. The others that it knows must do so too, or a window must pass.
if q.report then
  for _, b in ipairs(q.spent) do count(b[1], b[2], b[3]) end
  for _, name in ipairs(q.known_processes) do
    local seen = redis.call('HGET', processes, name)
    if name ~= q.process and (not seen or (seen ~= 'expected' and now - tonumber(seen) > q.unseen)) then
      redis.call('HSET', processes, name, 'expected')
      f.wait = now + q.kept + q.width
    end
  end
end
if q.tick and not lost then -- one that has to report is not there yet
  redis.call('HSET', processes, q.process, now)
  local list = redis.call('HGETALL', processes)
  for i = 1, #list, 2 do
    if list[i + 1] ~= 'expected' and now - tonumber(list[i + 1]) > q.kept + 2 * q.width then
      redis.call('HDEL', processes, list[i])
    end
  end
end
if q.leave then redis.call('HDEL', processes, q.process) end
if f.wait > 0 then
  local list, expected = redis.call('HGETALL', processes), false
  for i = 1, #list, 2 do
    if list[i + 1] == 'expected' then
      if f.wait > now then expected = true else redis.call('HDEL', processes, list[i]) end
    end
  end
  if not expected then f.wait = 0 end
end

-- What the server has said.
local silent = tonumber(redis.call('GET', silence) or '0')
if q.silence > 0 and now + q.silence > silent then
  silent = now + q.silence
  redis.call('SET', silence, silent, 'PX', q.silence)
end
if q.quota > 0 then
  f.quota, f.quota_until = q.quota, now + 2 * (q.kept + q.width)
end
local function free()
  local limit = q.calls
  if f.quota_until > now then limit = math.min(limit, f.quota) end
  local left = limit - f['used:0'] - f['used:1'] - f['used:2']
  if f.others_until > now then left = left - f.others end
  return limit, left
end

-- How many of the free calls the spender may take; see account.available in Go.
local function available_of(spender, limit, left)
  local share, reserve = 0, 0
  for s = 0, 2 do
    local own = math.floor(limit * shares[s + 1] / 100)
    local asked = f['asked:' .. s]
    if s == spender then
    elseif s == 0 then
      share, reserve = share + own, reserve + math.floor(limit / q.people_reserve)
    elseif asked > 0 and f.current - asked <= q.asked_parts then
      share = share + own
      reserve = reserve + math.min(math.floor(own / q.waiting_reserve), math.max(0, own - f['used:' .. s]))
    end
  end
  local window, available, by_then = parts * q.width, left - reserve, left
  local fields = {}
  for g = group(f.first), group(f.current) do fields[#fields + 1] = 'sum:' .. g end
  for i, n in ipairs(redis.call('HMGET', account, unpack(fields))) do
    n = tonumber(n) or 0
    if n > 0 then
      local until_then = (group(f.first) + i) * q.group * q.width + q.kept - now
      available = math.min(available, by_then - reserve - math.floor(share * math.min(until_then, window) / window))
      by_then = by_then + n
    end
  end
  return math.min(available, by_then - reserve - share)
end

local jobs, wait, left = 0, 0, 0
if not lost then
  local exempt = 0
  for _, b in ipairs(q.back) do exempt = exempt - count(b[1], b[2], -b[3]) end
  if q.has_left and q.calls > 0 then
    f.others, f.others_until = 0, 0
    local _, now_free = free()
    if now_free > q.left then
      f.others, f.others_until = now_free - q.left, now + q.reset
    end
  end
  local limit
  limit, left = free()
  if q.jobs > 0 then
    f['asked:' .. q.spender] = f.current
    if silent > now then
      wait = silent - now
    elseif q.calls == 0 then
      jobs = q.jobs
    elseif now < f.since + q.settle then
      wait = f.since + q.settle - now
    elseif f.wait > now then
      wait = math.min(f.wait - now, 1000)
    else
      local available = math.max(available_of(q.spender, limit, left), math.min(left, exempt), 0)
      jobs = math.min(q.jobs, math.floor(available / q.job_calls))
      if jobs == 0 and left < q.job_calls then
        wait = (f.first + 1) * q.width + q.kept - now
        if f.others_until > now then wait = math.min(wait, f.others_until - now) end
      elseif jobs == 0 then
        wait = (f.current + 1) * q.width - now
      end
      count(f.current, q.spender, jobs * q.job_calls)
    end
  end
  left = math.max(left - jobs * q.job_calls, 0)
end

local save = {}
for _, name in ipairs(names) do
  save[#save + 1] = name
  save[#save + 1] = f[name]
end
redis.call('HSET', account, unpack(save))
redis.call('PEXPIRE', account, q.expiry)
redis.call('PEXPIRE', processes, q.expiry)
local answer = {lost and 1 or 0, jobs, now, f.current, wait, left, silent > now and silent or 0, f.id}
if q.tick then
  for _, name in ipairs(redis.call('HKEYS', processes)) do answer[#answer + 1] = name end
end
return answer
