/* SPDX-License-Identifier: Apache-2.0 */
#include "http/exchange.h"

#include "base/assert.h"

static const char *const end_texts[NR_ENDS] = {
    [NR_END_DONE] = "done",
    [NR_END_RESET] = "reset",
    [NR_END_CONNECT_REFUSED] = "connect_refused",
    [NR_END_CONNECT_FAILED] = "connect_failed",
    [NR_END_CONNECT_TIMEOUT] = "connect_timeout",
    [NR_END_POOL_EXHAUSTED] = "pool_exhausted",
    [NR_END_UNPROCESSED] = "unprocessed",
    [NR_END_PEER_CLOSED] = "peer_closed",
    [NR_END_PEER_RESET] = "peer_reset",
    [NR_END_PROTOCOL] = "protocol",
    [NR_END_HEAD_TIMEOUT] = "head_timeout",
    [NR_END_BODY_TIMEOUT] = "body_timeout",
    [NR_END_WRITE_TIMEOUT] = "write_timeout",
    [NR_END_IDLE_TIMEOUT] = "idle_timeout",
    [NR_END_SHUTDOWN] = "shutdown",
};

const char *nr_end_text(enum nr_end end)
{
    nr_assert(end < NR_ENDS && end_texts[end] != NULL);
    return end_texts[end];
}

bool nr_end_may_have_processed(enum nr_end end)
{
    switch (end) {
    case NR_END_CONNECT_REFUSED:
    case NR_END_CONNECT_FAILED:
    case NR_END_CONNECT_TIMEOUT:
    case NR_END_POOL_EXHAUSTED:
    case NR_END_UNPROCESSED: return false;
    default: return true;
    }
}

const struct nr_peer *nr_exchange_peer(const struct nr_exchange *x)
{
    nr_assert(x->verbs->peer != NULL);
    return x->verbs->peer(x);
}
