-- Sends the tokens of a file in turn, each as a request that was put together before the load begins, so that the load
-- costs the same whatever it carries. The answers' head and body are not looked at: wrk counts their status.
--
-- wrk -s walk.lua URL -- FILE COUNT     (FILE "-": requests without a token)

local requests, turn = {}, 0
local body = '{"to":"ada@example.org","template":"welcome","text":"' .. string.rep("x", 970) .. '"}'

function init(arguments)
   local file, count = arguments[1], tonumber(arguments[2])
   local headers = { ["Content-Type"] = "application/json", ["User-Agent"] = "billing/1.0", ["Accept"] = "*/*" }
   if file == "-" then
      requests[1] = wrk.format("POST", "/send", headers, body)
      return
   end
   for token in io.lines(file) do
      headers["Authorization"] = "Bearer " .. token
      requests[#requests + 1] = wrk.format("POST", "/send", headers, body)
      if #requests == count then break end
   end
end

function request()
   turn = turn == #requests and 1 or turn + 1
   return requests[turn]
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '\nresult {"requests":%d,"seconds":%.6f,"p50":%.1f,"p99":%.1f,"refused":%d,"broken":%d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
      errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
