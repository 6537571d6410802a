/* SPDX-License-Identifier: Apache-2.0 */
/* essays.c - for each rule of `naru check`: why it hurts, how to mend it, and a configuration that
 * is sound. The examples are loaded and reviewed by the tests. */
#include <string.h>

#include "base/compiler.h"
#include "foresight/review.h"

static const struct nr_review_essay essays[] = {
    {
        .code = "limit-tier-untold",
        .why = "Whoever may say which tier he is in chooses how much he may use. So what a field, "
               "a cookie or a parameter says of it is believed only when a proxy of the "
               "listener's trusted_proxies has sent it; without such proxies every request has "
               "the limit's own rate, the paying clients' too.",
        .mend = "Name the proxy that checks who the client is and sets the field.",
        .example = "gateway:\n"
                   "  listen: [{ address: \":8080\", trusted_proxies: [10.0.0.0/8] }]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders, limits: [per_user] }]\n"
                   "limits:\n"
                   "  per_user: { key: \"header:X-User\", rate: 100/min, "
                   "tiers: { paid: 1000/min }, tier_key: \"header:X-Tier\" }\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz }",
    },
    {
        .code = "faults-on",
        .why = "Faults on purpose show how policies and clients bear an outage. Left in after the "
               "exercise "
               "they are an outage.",
        .mend =
            "Remove `faults` from the route or service, or narrow them to requests with a header "
            "that only the exercise sends; the warning stays until they are gone.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz }",
    },
    {
        .code = "timeouts-inverted",
        .why = "When an inner layer waits longer than the layer around it, it goes on working "
               "for somebody who has already left: the work is lost, its connections and memory "
               "are held, and the client repeats the request on top of it. When an outer layer "
               "waits longer than the inner one, it can turn the inner one's clear answer into "
               "a timeout of its own.",
        .mend = "Let limits grow from outside to inside, each with some room: client 3 s, "
                "gateway 5 s, service 15 s, its database 20 s.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  deadline: 5s\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "callers: { timeout: 3s }\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz, "
                   "own_timeout: 15s }",
    },
    {
        .code = "attempts-beyond-deadline",
        .why = "The deadline holds for all attempts together. An attempt that begins when it is "
               "almost over cannot succeed, so the retry that the configuration promises is "
               "only written, never made; it costs the service work all the same.",
        .mend = "Divide: deadline >= attempts x timeouts.attempt + back-off. A shorter attempt "
                "is usually right: twice the p99 of the service.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  deadline: 5s\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz, "
                   "timeouts: { attempt: 2s }, retry: { attempts: 2 } }",
    },
    {
        .code = "fallback-without-time",
        .why =
            "A service that stands in is asked within the deadline of the request. A service that "
            "refuses leaves nearly all of it; one that is slow may use it up, and the fallback is "
            "only good for half of all outages.",
        .mend = "Let timeouts.attempt, times the attempts, end well before the deadline.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  deadline: 5s\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz,\n"
                   "    timeouts: { attempt: 1s }, fallback: { service: archive } }\n"
                   "  archive: { instances: [\"10.0.0.2:80\", \"10.0.1.2:80\"], health: /healthz }",
    },
    {
        .code = "idle-outlives-service",
        .why = "Both sides may close an idle connection. If the service does it first, a "
               "request can be on its way at that very moment: it meets a reset, and if it is "
               "not safe to repeat, the client sees an error. This is the classic cause of rare "
               "502s.",
        .mend = "Let naru close first: pool.idle_timeout a few seconds below the service's "
                "keep-alive timeout.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz, "
                   "own_idle_timeout: 60s, pool: { idle_timeout: 50s } }",
    },
    {
        .code = "retries-multiply",
        .why = "Attempts multiply along a chain. Clients that try twice, a gateway that tries "
               "three times and a service that tries twice send a failing database twelve "
               "requests for one: what was slow goes down, and stays down when it comes back. "
               "Retry budgets bound the average, not this worst case.",
        .mend = "Let one layer retry, best the one next to the failure, and set attempts: 1 in "
                "the others. naru tells services the number of the attempt, so that they can "
                "hold back.",
        .example =
            "gateway:\n"
            "  listen: [\":8080\"]\n"
            "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
            "callers: { attempts: 2 }\n"
            "services:\n"
            "  orders:  { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], calls: [payment], retry: "
            "{ attempts: 2 } }\n"
            "  payment: { instances: [\"10.0.0.2:80\", \"10.0.1.2:80\"], retry: { attempts: 1 } }",
    },
    {
        .code = "calls-in-circle",
        .why = "Services that call each other in a circle can wait for each other with all "
               "their workers taken: a deadlock that only timeouts end. A slow one slows all of "
               "them.",
        .mend = "Break the circle: an event instead of a call, or a third service that both use. "
                "If the edge does not exist, take it out of calls.",
        .example =
            "gateway:\n"
            "  listen: [\":8080\"]\n"
            "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
            "services:\n"
            "  orders:  { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], calls: [payment] }\n"
            "  payment: { instances: [\"10.0.0.2:80\", \"10.0.1.2:80\"] }",
    },
    {
        .code = "retry-unsafe",
        .why = "A POST that broke off may have been carried out: sent again it charges a card "
               "twice. naru repeats such methods by itself only when nothing was processed for "
               "certain.",
        .mend = "Leave POST and PATCH out of retry.methods; let clients send an Idempotency-Key, "
                "and the service remember it.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz, "
                   "retry: { attempts: 2, methods: [GET, HEAD, PUT, DELETE] } }",
    },
    {
        .code = "retry-without-time",
        .why = "Without timeouts.attempt the first attempt may use the whole deadline, so there "
               "is never time for the second: the retry after a timeout does not exist.",
        .mend = "Give an attempt a share of the deadline.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  deadline: 5s\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz, "
                   "timeouts: { attempt: 2s }, retry: { attempts: 2, on: [connect, timeout] } }",
    },
    {
        .code = "retry-in-lockstep",
        .why = "Calls that fail at the same moment wait for the same time and come back at the "
               "same moment: waves that keep a recovering service down.",
        .mend = "Leave the jitter on: full spreads the pauses between 0 and the delay.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz, "
                   "retry: { attempts: 2, backoff: { jitter: full } } }",
    },
    {
        .code = "retry-budget-wide",
        .why = "When a service is down, every request fails and asks for a repeat. The budget "
               "is what keeps them from doubling the load; above one half it no longer does.",
        .mend = "20 % hides single faults and cannot cause a storm.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz, "
                   "retry: { attempts: 2, budget: { ratio: 20% } } }",
    },
    {
        .code = "single-zone",
        .why = "A failure zone is what fails together: a rack, a room, a power line. With all "
               "instances in one the service is only as available as the zone.",
        .mend = "Run one instance elsewhere and name its zone; balance.zone keeps traffic near "
                "while the near ones are healthy.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [{ address: \"10.0.0.1:80\", zone: a }, { address: "
                   "\"10.0.1.1:80\", zone: b }] }",
    },
    {
        .code = "single-host",
        .why = "Instances on one machine survive a crash of the process, not of the machine, "
               "its kernel or its disk.",
        .mend = "Run one of them on another machine.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz }",
    },
    {
        .code = "health-slow",
        .why = "Until so many checks in a row have failed, a dead instance still gets its share "
               "of requests, and each of them needs a second attempt or fails. With a few "
               "instances half a minute of that is more than 99.9 % allows for a month of such "
               "faults.",
        .mend = "interval + fall x timeout of about 5 s is safe; a cheap health path can be "
                "asked every second.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: { path: "
                   "/healthz, interval: 2s, fall: 3 } }",
    },
    {
        .code = "no-second-chance",
        .why = "When an instance dies, the requests that were on their way to it fail. A second "
               "attempt on another one hides that from clients.",
        .mend = "retry: { attempts: 2 }, which is the default, repeats only what is safe to "
                "repeat.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz, "
                   "retry: { attempts: 2 } }",
    },
    {
        .code = "deadline-off",
        .why = "A service that accepts and never answers keeps each request, with its memory "
               "and its connections on both sides, until the client gives up. Deadlines are "
               "what turns a hang into an error.",
        .mend = "Set a deadline for all, and deadline: none only at routes that stream without "
                "end.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  deadline: 5s\n"
                   "  routes:\n"
                   "    - { match: { path: \"/*\" }, service: orders }\n"
                   "    - { match: { path: \"/events\" }, service: orders, deadline: none }\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz }",
    },
    {
        .code = "heads-slow",
        .why = "Clients that send a byte now and then hold a connection each (the Slowloris "
               "attack). The header timeout is the only thing that ends them.",
        .mend = "10 s is enough for honest clients on bad networks.",
        .example = "gateway:\n"
                   "  listen: [{ address: \":8080\", limits: { header_timeout: 10s } }]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz }",
    },
    {
        .code = "workers-above-cores",
        .why = "A worker is a loop that never waits, so more of them than cores only take "
               "turns: latency rises and nothing is gained. (The machine that is checked on may "
               "be smaller than the one that it runs on.)",
        .mend = "workers: auto takes one for each core that the process may use.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  workers: auto\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz }",
    },
    {
        .code = "no-health-check",
        .why = "Without checks a dead instance is found by the requests that fail on it, again "
               "and again, and one that is back is not noticed before somebody is sent there.",
        .mend = "Any cheap path that answers 200 will do; tcp: true if there is none.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz }",
    },
    {
        .code = "single-instance",
        .why = "When it restarts, is deployed or crashes, the service is down, and no retry can "
               "help.",
        .mend = "Run a second one. Two small instances are better than a big one.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz }",
    },
    {
        .code = "instance-repeated",
        .why = "An instance that is listed twice gets twice its share, and a retry on another "
               "instance comes back to it.",
        .mend = "Write it once; weight: 2 gives it a double share.",
        .example =
            "gateway:\n"
            "  listen: [\":8080\"]\n"
            "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
            "services:\n"
            "  orders: { instances: [{ address: \"10.0.0.1:80\", weight: 2 }, \"10.0.1.1:80\"] }",
    },
    {
        .code = "balance-idle",
        .why = "A setting without effect misleads whoever reads the file next: a key with one "
               "instance, a zone that none is in, a panic threshold without health checks.",
        .mend = "Complete it or take it out.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz, "
                   "balance: p2c }",
    },
    {
        .code = "sticky-without-secret",
        .why = "The cookie is signed with a secret. Without one of your own it is made at "
               "start, so all sessions move after a restart, and other gateways do not know the "
               "cookies of this one.",
        .mend = "Give all gateways the same secret, by the environment.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz, "
                   "balance: { algorithm: sticky, cookie: { secret: \"${STICKY_SECRET}\" } } }",
    },
    {
        .code = "service-unused",
        .why = "A service that nothing leads to is a leftover, or its route has a slip of the "
               "pen and its users get 404.",
        .mend = "Add the route, name it in the calls of the service that uses it, or remove it.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz }",
    },
    {
        .code = "route-unreachable",
        .why = "Earlier routes take all of its requests, so it is never asked: usually a copy "
               "that was meant to be changed.",
        .mend = "Remove one of them, or make them differ. naru explain --route shows who takes a "
                "request.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes:\n"
                   "    - { match: { path: \"/a\", methods: [GET] }, service: orders }\n"
                   "    - { match: { path: \"/a\", methods: [POST] }, service: orders }\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz }",
    },
    {
        .code = "regex-unneeded",
        .why = "Regular expressions are asked one after the other; paths are found at once, "
               "whatever their number, and are easier to read.",
        .mend = "Write the path; where a part of it needs an expression, give a path that it "
                "lies in as well.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/users/{id}\", path_regex: \"/users/[0-9]+\" }, "
                   "service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz }",
    },
    {
        .code = "secret-in-clear",
        .why = "Configurations are copied, committed, mailed and shown on screens. A secret in "
               "one of them is known to everybody who ever saw a copy, and cannot be changed "
               "without a release.",
        .mend = "Write ${NAME} and set it in the environment (systemd: LoadCredential or "
                "EnvironmentFile; Kubernetes: a secret). Then change the secret: it has been "
                "seen.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz, "
                   "balance: { algorithm: sticky, cookie: { secret: \"${STICKY_SECRET}\" } } }",
    },
    {
        .code = "admin-open",
        .why = "Whoever reaches the admin listener and learns the token commands naru. HTTP "
               "without TLS "
               "shows the token to everybody on the way, and a slip in a firewall is enough.",
        .mend =
            "Listen on loopback or a Unix socket. From elsewhere: ssh -L, or a proxy with TLS on "
            "the same machine.",
        .example = "gateway: { listen: [\":8080\"] }\n"
                   "admin: { listen: \"127.0.0.1:9900\" }",
    },
    {
        .code = "limit-above-capacity",
        .why = "A limit is there so that the service survives what clients do. If it lets more "
               "through "
               "than the service bears, the service goes down first and the limit never speaks.",
        .mend = "Below capacity x instances, with room for one instance being down; per client "
                "much less "
                "than that.",
        .example =
            "gateway:\n"
            "  listen: [\":8080\"]\n"
            "  routes: [{ match: { path: \"/*\" }, service: orders, limits: [all, per_client] }]\n"
            "limits:\n"
            "  all: { key: global, rate: 300/s }\n"
            "  per_client: { key: ip, rate: 600/min }\n"
            "services:\n"
            "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz, "
            "capacity: 200/s }",
    },
    {
        .code = "limit-unused",
        .why = "A limit does nothing until a list names it: whoever wrote it believes to be "
               "protected.",
        .mend = "Name it in `limits` of a route, of a listener or of the gateway.",
        .example =
            "gateway:\n"
            "  listen: [\":8080\"]\n"
            "  routes: [{ match: { path: \"/*\" }, service: orders, limits: [per_client] }]\n"
            "limits:\n"
            "  per_client: { key: ip, rate: 600/min }\n"
            "services:\n"
            "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz }",
    },
    {
        .code = "observe-only",
        .why = "A policy that only observes is a good beginning: metrics and records show what it "
               "would "
               "do. As an end it protects nobody.",
        .mend = "Look at what it would have refused, then take observe_only out.",
        .example =
            "gateway:\n"
            "  listen: [\":8080\"]\n"
            "  routes: [{ match: { path: \"/*\" }, service: orders, limits: [per_client] }]\n"
            "limits:\n"
            "  per_client: { key: ip, rate: 600/min }\n"
            "services:\n"
            "  orders: { instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"], health: /healthz }",
    },
    {
        .code = "breaker-opens-all",
        .why = "A circuit for the whole service counts the calls of all its instances together. If "
               "one of two is "
               "dead, half of the calls fail, the circuit opens, and the healthy instance is not "
               "called either: one fault becomes an outage.",
        .mend =
            "Leave the scope at instance: only the dead one is left out. A circuit for the whole "
            "service suits one address behind which a balancer stands.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders:\n"
                   "    instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"]\n"
                   "    health: /healthz\n"
                   "    breaker: { scope: instance }",
    },
    {
        .code = "bulkhead-above-capacity",
        .why = "By Little's law a service that answers R requests/s with C calls in progress takes "
               "C/R seconds for "
               "each. If naru gives calls up before that, the bulkhead never fills: overload is "
               "seen as timeouts, not as quick refusals.",
        .mend = "concurrent = capacity x instances x the time that a call may take: 2 instances x "
                "200/s x 0.1 s = 40.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders:\n"
                   "    instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"]\n"
                   "    health: /healthz\n"
                   "    capacity: 200/s\n"
                   "    timeouts: { attempt: 2s }\n"
                   "    bulkhead: { concurrent: 40 }",
    },
    {
        .code = "bulkhead-below-instances",
        .why = "With fewer permits than instances some of them are always idle, though they are "
               "paid for.",
        .mend = "A permit for each instance is the least; capacity x instances x latency is right.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders:\n"
                   "    instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"]\n"
                   "    health: /healthz\n"
                   "    bulkhead: { concurrent: 30 }",
    },
    {
        .code = "pool-below-bulkhead",
        .why = "Over HTTP/1.1 each call in progress needs a connection of its own. Whoever has a "
               "permit but no "
               "connection waits a second time, in a line that the bulkhead does not manage.",
        .mend = "pool.max_connections (for each instance and worker) x instances x workers should "
                "be above bulkhead.concurrent.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders:\n"
                   "    instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"]\n"
                   "    health: /healthz\n"
                   "    pool: { max_connections: 100 }\n"
                   "    bulkhead: { concurrent: 30 }",
    },
    {
        .code = "queue-beyond-deadline",
        .why = "A request that waits in the queue for as long as its deadline has nothing left for "
               "the call: it "
               "held its place for nothing, and so did those behind it.",
        .mend = "A wait of a tenth of the deadline takes up bursts; longer queues only make "
                "everything slow.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders:\n"
                   "    instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"]\n"
                   "    health: /healthz\n"
                   "    bulkhead: { concurrent: 30, queue: 100, wait: 500ms }",
    },
    {
        .code = "breaker-slow-unseen",
        .why = "Attempts end before a call would count as slow, so the slow-call rate is always 0. "
               "(Calls that run "
               "into their limit count as failures.)",
        .mend = "Make slow clearly shorter than timeouts.attempt: what is slow for this service, "
                "not what is unbearable.",
        .example = "gateway:\n"
                   "  listen: [\":8080\"]\n"
                   "  routes: [{ match: { path: \"/*\" }, service: orders }]\n"
                   "services:\n"
                   "  orders:\n"
                   "    instances: [\"10.0.0.1:80\", \"10.0.1.1:80\"]\n"
                   "    health: /healthz\n"
                   "    timeouts: { attempt: 2s }\n"
                   "    breaker: { slow: 1s }",
    },
};

const struct nr_review_essay *nr_review_essay(const char *code)
{
    for (size_t i = 0; i < NR_COUNT(essays); i++)
        if (strcmp(essays[i].code, code) == 0)
            return &essays[i];
    return NULL;
}
