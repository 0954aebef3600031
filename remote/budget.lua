-- One account of calls, shared by all processes. KEYS: the account, the silence of its limit scope, the
-- processes that spend, with their leases. ARGV[1] is a JSON object; see sharedRequest in Go. Times are in
-- milliseconds. Numbers stay below 10^14, which Lua and cjson write without an exponent.
local q = cjson.decode(ARGV[1])
local account, silence, processes = KEYS[1], KEYS[2], KEYS[3]
local parts, shares = q.parts, q.shares
local now = q.now
if now == 0 then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end

local names = {'id', 'run', 'since', 'at', 'first', 'current', 'wait', 'others', 'others_until', 'quota', 'quota_until',
  'used:0', 'used:1', 'used:2', 'asked:0', 'asked:1', 'asked:2', 'aside', 'aside_part', 'aside_at'}
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
local settled = function() return now >= f.since + q.settle and f.wait <= now end

-- Leases. An entry has the process's name and that of its engine, when it was seen, the calls that it may
-- make in a window without Redis (at once, and later: see lease in Go), what it has told that it has spent,
-- and how many calls it would like to have. The account sets aside what a lease is above what was spent.
local entries
local function load_entries()
  if entries then return end
  entries = {}
  local list = redis.call('HGETALL', processes)
  for i = 1, #list, 2 do entries[list[i]] = cjson.decode(list[i + 1]) end
end
local function save_entry(name) redis.call('HSET', processes, name, cjson.encode(entries[name])) end
local function drop_entry(name)
  redis.call('HDEL', processes, name)
  redis.call('HDEL', account, 'aside:' .. name, 'since:' .. name)
  entries[name] = nil
end
local function absent(e) return now - e.seen > q.unseen end
local function right(e) return math.max(e.now, absent(e) and e.later or 0) end
-- What a process has spent is at least what it has told, less what it has given back since then.
local function spent(e, name)
  local n = 0
  for _, c in ipairs(e.spent) do
    if counts(c[1]) then n = n + c[2] end
  end
  local since = tonumber(redis.call('HGET', account, 'since:' .. name) or '0')
  if since < 0 or (not absent(e) and now - e.seen < q.kept) then n = n + since end
  return n
end
local function set_aside()
  load_entries()
  f.aside, f.aside_part, f.aside_at = 0, f.current, now
  for name, e in pairs(entries) do
    local n = math.max(0, right(e) - math.max(0, spent(e, name)))
    redis.call('HSET', account, 'aside:' .. name, n)
    f.aside = f.aside + n
  end
end

if q.report then
  for _, b in ipairs(q.spent) do count(b[1], b[2], b[3]) end
  load_entries()
  for _, text in ipairs(q.known) do -- empty unless the account was lost
    local e = cjson.decode(text)
    if e.name ~= q.process and not entries[e.name] then
      e.seen, e.spent, e.wants, e.expected = 0, {}, 0, true
      entries[e.name] = e
      save_entry(e.name)
      f.wait = now + q.kept + q.width -- it must report what it has spent, or a window must pass
    end
  end
end
if q.tick and not lost then
  load_entries()
  local e = {name = q.process, owner = q.owner, seen = now, now = q.lease_now, later = q.lease_later, spent = q.own, wants = 0}
  entries[q.process] = e
  redis.call('HSET', account, 'since:' .. q.process, 0)
  save_entry(q.process)
  if q.live_known then
    local live = {}
    for _, name in ipairs(q.live) do live[name] = true end
    for name, other in pairs(entries) do
      if not absent(other) or live[other.owner] then
        if other.dead then
          other.dead = nil
          save_entry(name)
        end
      elseif not other.dead then
        other.dead = now
        save_entry(name)
      elseif now - other.dead > q.kept + 2 * q.width + q.unseen then -- it has ended, and its calls too
        drop_entry(name)
      end
    end
  end
end
if q.leave then
  load_entries()
  local e = entries[q.process]
  if e and #q.own > 0 then -- what it has spent must be known if Redis loses its data
    e.now, e.later, e.wants, e.dead = 0, 0, 0, now
    save_entry(q.process)
  elseif e then
    drop_entry(q.process)
  end
end
if f.wait > 0 then
  load_entries()
  local expected = false
  for name, e in pairs(entries) do
    if e.expected then expected = true end
  end
  if not expected or f.wait <= now then f.wait = 0 end
end
if q.tick or q.leave or f.aside_part ~= f.current or now - f.aside_at >= 1000 then set_aside() end

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

-- What a spender leaves to the others; see account.available in Go. -1 leaves only what people have.
local function left_to_others(spender, limit)
  local share, reserve = 0, 0
  for s = 0, 2 do
    local own = math.floor(limit * shares[s + 1] / 100)
    local asked = f['asked:' .. s]
    if s == spender then
    elseif s == 0 then
      share, reserve = share + own, reserve + math.floor(limit / q.people_reserve)
    elseif spender >= 0 and asked > 0 and f.current - asked <= q.asked_parts then
      share = share + own
      reserve = reserve + math.min(math.floor(own / q.waiting_reserve), math.max(0, own - f['used:' .. s]))
    end
  end
  return share, reserve
end

-- How many of the free calls the spender may take; see account.available in Go.
local function available_of(spender, limit, left)
  local share, reserve = left_to_others(spender, limit)
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

local jobs, wait, left, unsettled = 0, 0, 0, 0
local lease_now, lease_later = -1, -1
if not lost then
  local exempt = 0
  for _, b in ipairs(q.back) do exempt = exempt - count(b[1], b[2], -b[3]) end
  local mine = tonumber(redis.call('HGET', account, 'aside:' .. q.process) or '0')
  local joined = redis.call('HEXISTS', processes, q.process) == 1
  if joined and exempt > 0 and not q.tick then -- a tick has told it
    redis.call('HINCRBY', account, 'since:' .. q.process, -exempt)
    redis.call('HINCRBY', account, 'aside:' .. q.process, exempt)
    f.aside, mine = f.aside + exempt, mine + exempt
  end
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
    elseif not settled() then
      unsettled = 1
      wait = math.max(f.since + q.settle - now, math.min(f.wait - now, 1000))
    else
      local for_me = left - (f.aside - mine)
      local available = math.max(math.min(available_of(q.spender, limit, left), for_me), math.min(for_me, exempt), 0)
      jobs = math.min(q.jobs, math.floor(available / q.job_calls))
      if jobs == 0 and left < q.job_calls then
        wait = (f.first + 1) * q.width + q.kept - now
        if f.others_until > now then wait = math.min(wait, f.others_until - now) end
      elseif jobs == 0 then
        wait = (f.current + 1) * q.width - now
      end
      local n = count(f.current, q.spender, jobs * q.job_calls)
      if joined and n > 0 then
        redis.call('HINCRBY', account, 'since:' .. q.process, n)
        local less = math.min(mine, n)
        if less > 0 then -- HINCRBY refuses -0
          redis.call('HINCRBY', account, 'aside:' .. q.process, -less)
          f.aside, mine = f.aside - less, mine - less
        end
      end
    end
  end
  if q.tick then
    local e = entries[q.process]
    lease_now, lease_later = e.now, e.later
    if q.calls > 0 and settled() then
      local _, free_now = free()
      local present, others, wanted, own = 0, 0, 0, math.max(0, spent(e, q.process))
      for name, other in pairs(entries) do
        if not absent(other) then present = present + 1 end
        if name ~= q.process then
          others, wanted = others + math.max(other.now, other.later), wanted + math.max(other.now, other.wants)
        end
      end
      -- It may go on as in the last window, with its part of what is kept for people.
      -- The rest of that is for whoever asks, and at least one action. A part is at least one, too.
      local kept = math.min(free_now, free_now - available_of(-1, limit, free_now))
      local leased = math.min(math.floor(kept * q.leased / 100), kept - q.action)
      local room = math.min(free_now, leased) - (f.aside - mine)
      local most = math.max(0, limit - others)
      e.wants = own + math.max(0, math.min(room, math.max(math.floor(leased / present), q.action)))
      lease_now = math.min(e.wants, most)
      lease_later = math.min(most, e.wants + math.max(0, math.floor((limit - wanted - e.wants) / present)))
    end
    -- Until the process says which it knows, it may have either.
    e.now, e.later = math.max(e.now, lease_now), math.max(e.later, lease_later)
    save_entry(q.process)
    set_aside()
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
local answer = {lost and 1 or 0, jobs, now, f.current, wait, left, silent > now and silent or 0, unsettled, lease_now, lease_later, f.id}
if q.tick and not lost then
  for name, e in pairs(entries) do
    if name ~= q.process then
      answer[#answer + 1] = cjson.encode({name = name, owner = e.owner, now = e.now, later = e.later, dead = e.dead})
    end
  end
end
return answer
