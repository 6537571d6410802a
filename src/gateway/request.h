/* SPDX-License-Identifier: Apache-2.0 */
/* request.h - one request on its way through the gateway. Internal to src/gateway.
 *
 * It lives in the arena of the serving exchange (`down`), which it holds until both sides are over:
 *
 *   request() --route--> call opened -----> both ended --> record --> released
 *                  '---> local answer ----> down ended -'
 *
 * `down` is the client's exchange, `up` the call towards a service. Bytes move from one's pending
 * to the other's send_body and are consumed only as far as they were taken: no byte is stored in
 * between, so either side's back-pressure reaches the other. */
#ifndef NR_GATEWAY_REQUEST_H
#define NR_GATEWAY_REQUEST_H

#include "base/compiler.h"
#include "base/reason.h"
#include "base/record.h"
#include "call/call.h"
#include "gateway/gateway.h"
#include "gateway/gateway_conf.h"
#include "gateway/living.h"
#include "gateway/router.h"
#include "gateway/routes.h"
#include "http/date.h"

struct nr_request {
    struct nr_gateway_port *port;
    struct nr_gateway_view *view;         /* held; NULL once it is a tunnel */
    struct nr_gateway_pools *pools;       /* held by a tunnel alone */
    const struct nr_gateway_route *route; /* in the view; NULL: none, or no view any more */
    struct nr_exchange *down;
    struct nr_exchange *up;        /* NULL: none, or over */
    struct nr_head *head;          /* the request's */
    struct nr_head *down_trailers; /* wait for the body before them to be taken; NULL: none */
    struct nr_head *up_trailers;
    struct nr_span local; /* what is left of a body of our own */
    struct nr_deadline deadline;
    struct nr_span request_id;
    struct nr_span path; /* as received, before a prefix was stripped */
    struct nr_record record;
    uint64_t body_bytes_max;
    uint32_t service;                 /* in the view: the one that was chosen */
    uint32_t asked;                   /* … and the one that is asked: it may stand in */
    uint8_t hops;                     /* how often that has changed */
    uint16_t fell_for;                /* enum nr_reason: why it first did */
    const struct nr_plan *plan;       /* of the route; NULL: none, or no route yet */
    struct nr_hold *hold;             /* it waits for its turn; NULL: it doesn't */
    struct nr_call_faults *faults;    /* that may strike its attempts; NULL: none */
    const struct nr_call_fault *live; /* by hand, and its services'; NULL: as the guard says */
    uint32_t live_count;
    struct nr_throttle *throttle;       /* its answer is passed on slowly; NULL: it isn't */
    const struct nr_limit_notice *told; /* what answers say of limits; NULL: nothing */
    const struct nr_limit_rule *aimed;  /* whose key is known already; NULL: none */
    struct nr_hash128 aimed_key;
    bool tls;            /* the client's connection */
    uint64_t token;      /* of the client's sticky cookie; 0: none */
    bool sticky;         /* the service wants one */
    bool local_answer;   /* we answer ourselves */
    bool head_sent;      /* the final one */
    bool request_ended;  /* the client's side: nothing but `pending` is to come */
    bool request_passed; /* … and all of it was handed to the call */
    bool answer_ended;   /* the upstream's side, likewise */
    bool answer_passed;
    bool down_over; /* `end` was seen */
    bool tunnel;
};

/* The handler of every port. */
void nr_proxy_request(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                      bool ended);
void nr_proxy_refused(struct nr_handler *handler, struct nr_exchange *x, struct nr_head *head,
                      uint16_t status, const char *reason);

/* Nothing holds the request any more: answer it, or call the service. */
void nr_proxy_resume(struct nr_request *request);

/* Pass on what there is of the answer. */
void nr_proxy_pump_answer(struct nr_request *request);

/* This service of the view's snapshot will answer. */
void nr_proxy_choose(struct nr_request *request, uint32_t service);

/* Make a client's head fit for the service: X-Forwarded-*, Via, X-Request-Id, prefix stripped. Sets
 * request->request_id and record.id. */
void nr_forward_request(struct nr_request *request, const struct nr_peer *peer);

/* Make a service's answer fit for the client: Via, Date, X-Request-Id. */
void nr_forward_response(struct nr_request *request, struct nr_head *head);

/* Only the request id, for an answer of our own; the rest of the head stays. */
void nr_forward_identify(struct nr_request *request, const struct nr_peer *peer);

/* How many hops that call themselves naru the request has been through. */
uint32_t nr_forward_hops(const struct nr_head *head);

/* The least of the deadlines that the client may set: X-Request-Deadline and
 * X-Envoy-Expected-Rq-Timeout-Ms from a trusted peer, grpc-timeout from anyone. 0: none. */
uint64_t nr_forward_client_limit_ns(const struct nr_request *request, const struct nr_peer *peer);

/* Answer with problem+json (RFC 9457). extra may name one more field ("Allow"), or be empty. */
struct nr_problem {
    uint16_t status;
    const char *reason;
    const char *detail;
    struct nr_span extra_name;
    struct nr_span extra_value;
};
void nr_problem_answer(struct nr_request *request, const struct nr_problem *problem);

/* The service's fallback, if it has one for a call that ended so. False: nothing is answered. */
bool nr_fallback_answer(struct nr_request *request, enum nr_reason reason);

/* The same without a call, because an operator says so. False: nothing is answered. */
bool nr_fallback_by_hand(struct nr_request *request);

/* For the call: the service whose fallback is another one has no answer. */
bool nr_fallback_ask(struct nr_exchange *call, enum nr_reason reason,
                     struct nr_call_next *ret_next);

/* The head of its answer is there. */
void nr_fallback_stood_in(struct nr_request *request, struct nr_head *head);

/* What the call tells from then on. */
extern const struct nr_exchange_events nr_proxy_stand_in_events;

/* The same for a call that brought no answer, whose reason goes into the record. */
void nr_problem_call(struct nr_request *request, const struct nr_exchange *call);

/* The same for one of naru's own reasons; sets it in the record. */
void nr_problem_reason(struct nr_request *request, enum nr_reason reason);

#endif
