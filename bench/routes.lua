-- SPDX-License-Identifier: Apache-2.0
-- A request to one of many routes, each as likely: wrk … -- COUNT
local count = 10

function init(args)
    count = tonumber(args[1]) or count
    math.randomseed(42)
end

function request()
    return wrk.format("GET", "/api/r" .. math.random(0, count - 1) .. "/items")
end
