/* Values of a column: what the texts between these offsets say, as Arrow has it in memory.
 *
 * All take begin, stop and kind of each value, as `smug_objects` gives them, and write valid: 0 for a
 * null. They return 0, or -1 when one of the values is not what the column holds, or is written in a
 * way that is left to others to read.
 */

#include "tokens.h"

#define API __attribute__((visibility("default")))
#define VALUES at_t text, const int64_t *begin, const int64_t *stop, const uint8_t *kind, int64_t count

/* The digits of a number, or of a string of them, and whether a minus stood before; NULL for other
 * values. */
static at_t digits_of(at_t text, int64_t begin, int64_t stop, uint8_t kind, bool *minus) {
    if (kind != WHOLE && kind != REAL && kind != PLAIN) return NULL;
    *minus = begin < stop && text[begin] == '-';
    return text + begin + *minus;
}

/* Whole numbers from `low` to `high`, in digits or in a string of them. */
API int64_t smug_wholes(VALUES, int64_t low, int64_t high, int64_t *out, uint8_t *valid) {
    for (int64_t row = 0; row < count; row++) {
        out[row] = 0;
        valid[row] = kind[row] != NOTHING;
        if (!valid[row]) continue;
        bool minus;
        uint64_t value = 0;
        at_t at = digits_of(text, begin[row], stop[row], kind[row], &minus), end = text + stop[row];
        if (at == NULL || end - at < 1 || end - at > 19) return -1;
        for (; at < end; at++) {
            if (*at < '0' || *at > '9') return -1;
            value = value * 10 + (*at - '0');
        }
        if (value > (uint64_t)INT64_MAX + minus) return -1;
        out[row] = (int64_t)(minus ? 0 - value : value);
        if (out[row] < low || out[row] > high) return -1;
    }
    return 0;
}

/* Decimals of so many digits, `scale` of them behind the point: 128 bits each, the lower first. */
API int64_t smug_decimals(VALUES, int64_t precision, int64_t scale, __int128 *out, uint8_t *valid) {
    for (int64_t row = 0; row < count; row++) {
        out[row] = 0;
        valid[row] = kind[row] != NOTHING;
        if (!valid[row]) continue;
        bool minus;
        at_t at = digits_of(text, begin[row], stop[row], kind[row], &minus), end = text + stop[row];
        if (at == NULL) return -1;
        at_t point = digits_end(at, end);
        int64_t digits = point - at, behind = point < end ? end - point - 1 : 0;
        if (digits < 1 || behind > scale) return -1;
        if (point < end && (*point != '.' || behind < 1)) return -1;
        unsigned __int128 value = 0;
        for (; digits > 1 && *at == '0'; digits--) at++;
        if (digits > (*at == '0' ? 1 : precision - scale)) return -1;
        for (; at < end; at++) {
            if (at == point) continue;
            if (*at < '0' || *at > '9') return -1;
            value = value * 10 + (*at - '0');
        }
        for (int64_t more = behind; more < scale; more++) value *= 10;
        out[row] = minus ? -(__int128)value : (__int128)value;
    }
    return 0;
}

static int pair(at_t at) { return (int)count_of(at, at + 2, 2); }

/* Days from 1970-01-01 to a day of the proleptic Gregorian calendar.
 * Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil. */
static int64_t days_to(int64_t year, int month, int day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int days_in(int64_t year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* Instants, as 2026-01-31T12:00:00.123456Z with up to six digits of a second: microseconds. The year 0
 * is one of them: whoever calls knows what it stands for. */
API int64_t smug_instants(VALUES, int64_t *out, uint8_t *valid) {
    for (int64_t row = 0; row < count; row++) {
        out[row] = 0;
        valid[row] = kind[row] != NOTHING;
        if (!valid[row]) continue;
        at_t at = text + begin[row], end = text + stop[row];
        int64_t size = end - at;
        if (kind[row] != PLAIN || size < 20 || size == 21 || size > 27 || end[-1] != 'Z') return -1;
        if (at[4] != '-' || at[7] != '-' || at[10] != 'T' || at[13] != ':' || at[16] != ':')
            return -1;
        int64_t year = count_of(at, at + 4, 4), micros = 0;
        int month = pair(at + 5), day = pair(at + 8);
        int hour = pair(at + 11), minute = pair(at + 14), second = pair(at + 17);
        if (year < 0 || month < 1 || month > 12 || day < 1 || day > days_in(year, month)) return -1;
        if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
            return -1;
        if (size > 20) {
            micros = at[19] == '.' ? count_of(at + 20, end - 1, 6) : -1;
            if (micros < 0) return -1;
            for (int64_t digits = size - 21; digits < 6; digits++) micros *= 10;
        }
        int64_t minutes = (days_to(year, month, day) * 24 + hour) * 60 + minute;
        out[row] = (minutes * 60 + second) * 1000000 + micros;
    }
    return 0;
}

static int hex_of(at_t at) {
    int value = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t byte = at[i], low = byte | 0x20;
        int digit = byte >= '0' && byte <= '9' ? byte - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
        if (digit < 0) return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* The code point of the escape `\uXXXX` at `at`, a pair of them where it takes two; negative for one
 * that stands for none. */
static int32_t code_at(at_t at, at_t end, int *taken) {
    int32_t high = end - at >= 6 ? hex_of(at + 2) : -1;
    *taken = 6;
    if (high < 0xD800 || high > 0xDFFF) return high;
    if (high > 0xDBFF || !SAYS(at + 6, end, "\\u") || end - at < 12) return -1;
    int32_t low = hex_of(at + 8);
    *taken = 12;
    if (low < 0xDC00 || low > 0xDFFF) return -1;
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

static uint8_t *put_code(uint8_t *out, int32_t code) {
    if (code < 0x80) {
        *out++ = (uint8_t)code;
        return out;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t first[] = {0, 0xC0, 0xE0, 0xF0};
    *out++ = (uint8_t)(first[more] | code >> (6 * more));
    for (int left = more - 1; left >= 0; left--) *out++ = (uint8_t)(0x80 | (code >> (6 * left) & 0x3F));
    return out;
}

/* The string as it is without escapes, which is never longer; where it ends. */
static uint8_t *unescape(at_t at, at_t end, uint8_t *out) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    while (at < end) {
        if (*at != '\\') {
            *out++ = *at++;
            continue;
        }
        if (end - at < 2) return NULL;
        if (at[1] == 'u') {
            int taken;
            int32_t code = code_at(at, end, &taken);
            if (code < 0) return NULL;
            out = put_code(out, code);
            at += taken;
        } else {
            const char *found = at[1] ? strchr(from, at[1]) : NULL;
            if (found == NULL) return NULL;
            *out++ = (uint8_t)to[found - from];
            at += 2;
        }
    }
    return out;
}

/* Texts, one after the other: `out` has room for all of them with their escapes. Kinds other than
 * strings are texts as they stand, where `any` is not 0. offsets: where each begins, and the end. */
API int64_t smug_texts(VALUES, int64_t any, uint8_t *out, int32_t *offsets, uint8_t *valid) {
    uint8_t *to = out;
    for (int64_t row = 0; row < count; row++) {
        offsets[row] = (int32_t)(to - out);
        valid[row] = kind[row] != NOTHING;
        if (!valid[row]) continue;
        at_t at = text + begin[row], end = text + stop[row];
        if (kind[row] == ESCAPED) {
            to = unescape(at, end, to);
            if (to == NULL) return -1;
        } else {
            if (kind[row] != PLAIN && (!any || kind[row] == NESTED || kind[row] == ABSENT)) return -1;
            memcpy(to, at, (size_t)(end - at));
            to += end - at;
        }
    }
    offsets[count] = (int32_t)(to - out);
    return 0;
}

/* Positions of the binlog as one number, 128 bits each: epoch, file (10 digits), offset (14), row (9).
 * `capture.position` says it too. */
API void smug_positions(const int64_t *epoch, const int64_t *file, const int64_t *offset,
                        const int64_t *row, int64_t count, __int128 *out) {
    for (int64_t i = 0; i < count; i++) {
        __int128 whole = ((__int128)epoch[i] * 10000000000 + file[i]) * 100000000000000 + offset[i];
        out[i] = whole * 1000000000 + row[i];
    }
}
