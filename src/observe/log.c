/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/json_text.h"
#include "observe/timestamp.h"

enum { MESSAGE_BYTES = 1024, LINE_BYTES = 16 * 1024, FIELD_BYTES = 512 };

const char *nr_log_level_name(enum nr_log_level level)
{
    static const char *const names[] = {
        [NR_LOG_DEBUG] = "debug",
        [NR_LOG_INFO] = "info",
        [NR_LOG_WARN] = "warn",
        [NR_LOG_ERROR] = "error",
    };

    return names[level];
}

static void put_fields(struct nr_json_text *line, const struct nr_log_field *field)
{
    for (; field != NULL && field->name != NULL; field++) {
        NR_JSON_TEXT_LIT(line, ",");
        nr_json_text_string(line, nr_span_of(field->name), FIELD_BYTES);
        NR_JSON_TEXT_LIT(line, ":");
        if (field->text.ptr != NULL) {
            nr_json_text_string(line, field->text, FIELD_BYTES);
            continue;
        }
        if (field->number < 0)
            NR_JSON_TEXT_LIT(line, "-");
        nr_json_text_u64(line,
                         field->number < 0 ? -(uint64_t)field->number : (uint64_t)field->number);
    }
}

static void write_line(const struct nr_log *log, enum nr_log_level level,
                       const struct nr_log_field *fields, const char *format, va_list args)
{
    char message[MESSAGE_BYTES], bytes[LINE_BYTES];
    struct nr_json_text line = {.at = bytes, .end = bytes + sizeof(bytes) - 2};
    struct nr_timestamp timestamp = {0};

    vsnprintf(message, sizeof(message), format, args);
    NR_JSON_TEXT_LIT(&line, "{\"timestamp\":\"");
    nr_json_text_raw(&line, nr_timestamp_text(&timestamp, log->wall_ns()));
    NR_JSON_TEXT_LIT(&line, "\",\"level\":\"");
    nr_json_text_raw(&line, nr_span_of(nr_log_level_name(level)));
    NR_JSON_TEXT_LIT(&line, "\",\"service\":\"naru\",\"message\":");
    nr_json_text_string(&line, nr_span_of(message), sizeof(message));
    put_fields(&line, fields);
    line.end += 2;
    NR_JSON_TEXT_LIT(&line, "}\n");
    if (!line.cut)
        (void)nr_logpipe_put_shared(log->pipe, 0,
                                    (struct nr_span){bytes, (size_t)(line.at - bytes)});
}

void nr_log_write(const struct nr_log *log, enum nr_log_level level,
                  const struct nr_log_field *fields, const char *format, ...)
{
    va_list args;

    if (level < __atomic_load_n(&log->level, __ATOMIC_RELAXED)) /* a reload may change it */
        return;
    va_start(args, format);
    write_line(log, level, fields, format, args);
    va_end(args);
}

void nr_log_audit(const struct nr_log *log, const struct nr_log_field *fields, const char *format,
                  ...)
{
    va_list args;

    va_start(args, format);
    write_line(log, NR_LOG_INFO, fields, format, args);
    va_end(args);
}
