/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "codec/h1.h"

/* clang-format off */
static const struct {
    uint16_t status;
    const char *text;
} reasons[NR_H1_REASONS] = {
    [NR_H1_OK]                  = {200, "ok"},
    [NR_H1_HEAD_TOO_LARGE]      = {431, "head_too_large"},
    [NR_H1_TARGET_TOO_LONG]     = {414, "target_too_long"},
    [NR_H1_TOO_MANY_FIELDS]     = {431, "too_many_fields"},
    [NR_H1_BAD_REQUEST_LINE]    = {400, "bad_request_line"},
    [NR_H1_BAD_METHOD]          = {400, "bad_method"},
    [NR_H1_METHOD_REFUSED]      = {501, "method_refused"},
    [NR_H1_BAD_TARGET]          = {400, "bad_target"},
    [NR_H1_BAD_PATH]            = {400, "bad_path"},
    [NR_H1_BAD_VERSION]         = {400, "bad_version"},
    [NR_H1_UNSUPPORTED_VERSION] = {505, "unsupported_version"},
    [NR_H1_BAD_STATUS_LINE]     = {400, "bad_status_line"},
    [NR_H1_BARE_LF]             = {400, "bare_lf"},
    [NR_H1_BARE_CR]             = {400, "bare_cr"},
    [NR_H1_OBS_FOLD]            = {400, "obs_fold"},
    [NR_H1_BAD_FIELD_NAME]      = {400, "bad_field_name"},
    [NR_H1_BAD_FIELD_VALUE]     = {400, "bad_field_value"},
    [NR_H1_MISSING_HOST]        = {400, "missing_host"},
    [NR_H1_DUPLICATE_HOST]      = {400, "duplicate_host"},
    [NR_H1_BAD_HOST]            = {400, "bad_host"},
    [NR_H1_BAD_CONNECTION]      = {400, "bad_connection"},
    [NR_H1_BAD_LENGTH]          = {400, "bad_content_length"},
    [NR_H1_DUPLICATE_LENGTH]    = {400, "duplicate_content_length"},
    [NR_H1_LENGTH_AND_CODING]   = {400, "length_with_transfer_encoding"},
    [NR_H1_BAD_CODING]          = {400, "bad_transfer_encoding"},
    [NR_H1_UNKNOWN_CODING]      = {501, "bad_transfer_encoding"},
    [NR_H1_CODING_IN_10]        = {400, "transfer_encoding_in_http10"},
    [NR_H1_BAD_EXPECT]          = {417, "bad_expectation"},
    [NR_H1_BAD_CHUNK_SIZE]      = {400, "bad_chunk_size"},
    [NR_H1_BAD_CHUNK_EXT]       = {400, "bad_chunk_extension"},
    [NR_H1_BAD_CHUNK_END]       = {400, "bad_chunk_end"},
    [NR_H1_BAD_TRAILER]         = {400, "bad_trailer"},
    [NR_H1_TRAILERS_TOO_LARGE]  = {431, "trailers_too_large"},
};
/* clang-format on */

uint16_t nr_h1_reason_status(enum nr_h1_reason reason)
{
    nr_assert(reason < NR_H1_REASONS);
    return reasons[reason].status;
}

const char *nr_h1_reason_text(enum nr_h1_reason reason)
{
    nr_assert(reason < NR_H1_REASONS);
    return reasons[reason].text;
}
