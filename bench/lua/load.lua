-- The requests of compare.sh, for wrk. Arguments: target (tandem or etcd), what to do (fill, create, update, read), a number
-- that sets apart the fresh ids of this run, how many users are there from the fill, and the number of threads.
--
-- Both targets get the same JSON as value. An etcd key and value travel in base64; an id starts at a multiple of three bytes and
-- is made of groups of three digits, so that its base64 is put together from pieces made beforehand.

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(text)
  return (text:gsub("..?.?", function(group)
    local a, b, c = group:byte(1, 3)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    local out = ""
    for shift = 18, 0, -6 do
      local k = math.floor(n / 2 ^ shift) % 64
      out = out .. alphabet:sub(k + 1, k + 1)
    end
    return out:sub(1, #group + 1) .. ("="):rep(3 - #group)
  end))
end

local head, tail = '{ "id": "', '", "name": "Ada Lovelace", "email": "ada.lovelace@example.org", "group": 7 }'
local changed = '", "email": "countess@example.org" }'
local prefix = "bench-"
local plain, coded = {}, {}
for i = 0, 999 do
  plain[i] = ("%03d"):format(i)
  coded[i] = base64(plain[i])
end
local coded_prefix, coded_head, coded_tail = base64(prefix), base64(head), base64(tail)
local coded_changed = base64('", "name": "Ada Lovelace", "email": "countess@example.org", "group": 7 }')

local function name(n, digits, first)
  return first .. digits[math.floor(n / 1000000)] .. digits[math.floor(n / 1000) % 1000] .. digits[n % 1000]
end

local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  target, act, run, users = args[1], args[2], tonumber(args[3]), tonumber(args[4])
  done_here, sent = 0, 0
  fresh = (number + 1) * 100000000 + run * 10000000 -- each thread and run has ids of its own
  share = math.ceil(users / tonumber(args[5]))
  if act == "fill" then
    fresh = number * share
  end
  math.randomseed(number + 17 * run)
  json = { ["Content-Type"] = "application/json" }
  if act == "fill" then
    response = function()
      done_here = done_here + 1
      if done_here == share + 256 then -- the last of the share have long been answered
        wrk.thread:stop()
      end
    end
  end
end

function request()
  if number == 0 and not tried then -- wrk asks its first thread for one request more than it sends
    tried, sent = true, sent - 1
  end
  local n = fresh + math.max(sent, 0)
  if act == "update" or act == "read" then
    n = math.random(0, users - 1)
  elseif act == "fill" and sent >= share then
    n = 900000000 + number * 1000000 + sent -- under way when the fill is whole: outside of what is read
  end
  sent = sent + 1
  if target == "etcd" then
    local id = name(n, coded, coded_prefix)
    if act == "read" then
      return wrk.format("POST", "/v3/kv/range", json, '{"key":"' .. id .. '"}')
    end
    local rest = act == "update" and coded_changed or coded_tail
    return wrk.format("POST", "/v3/kv/put", json, '{"key":"' .. id .. '","value":"' .. coded_head .. id .. rest .. '"}')
  end
  local id = name(n, plain, prefix)
  if act == "read" then
    return wrk.format("GET", "/api/user/" .. id)
  elseif act == "update" then
    return wrk.format("PUT", "/api/user/", json, head .. id .. changed)
  end
  return wrk.format("POST", "/api/user/", json, head .. id .. tail)
end

function done(summary, latency)
  local e = summary.errors
  for _, thread in ipairs(threads) do
    if thread:get("act") == "fill" and thread:get("done_here") < thread:get("share") then
      print(("UNFINISHED %d of %d users of a thread"):format(thread:get("done_here"), thread:get("share")))
    end
  end
  print(("RESULT %d %.0f %d %d %.2f %.2f %.2f"):format(summary.requests, summary.requests / summary.duration * 1e6,
    e.status, e.connect + e.read + e.write + e.timeout, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
