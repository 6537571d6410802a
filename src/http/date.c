/* SPDX-License-Identifier: Apache-2.0 */
#include "http/date.h"

#include <stdio.h>

static const char days[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* Days since 1970-01-01 to the civil date, counting years from March, so that the leap day is a
 * year's last: 146,097 days make the 400 years after which the calendar repeats. */
static void civil_of(uint64_t days_since_epoch, unsigned *ret_year, unsigned *ret_month,
                     unsigned *ret_day)
{
    uint64_t z = days_since_epoch + 719468; /* from 0000-03-01 */
    uint64_t era = z / 146097;
    unsigned day_of_era = (unsigned)(z % 146097);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month_from_march = (5 * day_of_year + 2) / 153;

    *ret_day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    *ret_month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    *ret_year = (unsigned)(era * 400) + year_of_era + (*ret_month <= 2);
}

struct nr_span nr_date_text(struct nr_date *date, uint64_t wall_ns)
{
    uint64_t second = wall_ns / 1000000000u;

    if (second != date->second || date->text[0] == '\0') {
        unsigned year, month, day, of_day = (unsigned)(second % 86400);

        civil_of(second / 86400, &year, &month, &day);
        snprintf(date->text, sizeof(date->text), "%s, %02u %s %04u %02u:%02u:%02u GMT",
                 days[second / 86400 % 7], day % 100, months[month - 1], year % 10000,
                 of_day / 3600, of_day / 60 % 60, of_day % 60);
        date->second = second;
    }
    return (struct nr_span){date->text, NR_DATE_BYTES};
}
