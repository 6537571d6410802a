-- SPDX-License-Identifier: Apache-2.0
-- Each request from one of 100,000 users, who are known by a field: wrk … -- [COUNT]
local count = 100000

function init(args)
    count = tonumber(args[1]) or count
    math.randomseed(42)
end

function request()
    wrk.headers["X-User"] = "user-" .. math.random(1, count)
    return wrk.format("GET")
end
