-- wrk: GET one path, each request with the next token of a file; ends with one line of JSON.
-- Arguments: PATH TOKENS. Requests are built before the clock starts, so that the generator takes little of the cores.

local requests, turn = {}, 0

function init(arguments)
  local path, tokens = arguments[1], arguments[2]
  for token in io.lines(tokens) do
    requests[#requests + 1] = wrk.format("GET", path, { ["Authorization"] = "Bearer " .. token })
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"rate":%.3f,"count":%d,"mean_ms":%.4f,"p50_ms":%.4f,"p99_ms":%.4f,"max_ms":%.4f,"errors":%d}\n',
    summary.requests / summary.duration * 1e6, summary.requests, latency.mean / 1e3,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
