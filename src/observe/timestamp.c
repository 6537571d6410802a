/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/timestamp.h"

enum { NS_PER_S = 1000000000, S_PER_DAY = 86400 };

static void digits(char *to, uint64_t value, int count)
{
    for (int i = count - 1; i >= 0; i--) {
        to[i] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* Days since 1970-01-01 as a date of the proleptic Gregorian calendar. Years are counted from
 * March, so that the leap day is the last of its year; 400 years have 146,097 days.
 * Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days. */
static void put_date(char *to, uint64_t days)
{
    uint64_t shifted = days + 719468; /* since 0000-03-01 */
    uint64_t era = shifted / 146097;
    uint64_t day_of_era = shifted % 146097;
    uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t from_march = (5 * day_of_year + 2) / 153;
    uint64_t month = from_march < 10 ? from_march + 3 : from_march - 9;

    digits(to, era * 400 + year_of_era + (month <= 2), 4);
    digits(to + 5, month, 2);
    digits(to + 8, day_of_year - (153 * from_march + 2) / 5 + 1, 2);
}

struct nr_span nr_timestamp_text(struct nr_timestamp *timestamp, uint64_t wall_ns)
{
    uint64_t second = wall_ns / NS_PER_S;

    if (timestamp->second != second + 1) {
        uint64_t of_day = second % S_PER_DAY;

        memcpy(timestamp->text, "0000-00-00T00:00:00.000Z", NR_TIMESTAMP_BYTES + 1);
        put_date(timestamp->text, second / S_PER_DAY);
        digits(timestamp->text + 11, of_day / 3600, 2);
        digits(timestamp->text + 14, of_day / 60 % 60, 2);
        digits(timestamp->text + 17, of_day % 60, 2);
        timestamp->second = second + 1;
    }
    digits(timestamp->text + 20, wall_ns % NS_PER_S / 1000000, 3);
    return (struct nr_span){timestamp->text, NR_TIMESTAMP_BYTES};
}
