/* The values of JSON, found byte by byte. Source of the grammar: RFC 8259.
 *
 * A text is given by a pointer and the pointer behind it; nothing behind that is read. The bytes are
 * UTF-8 throughout: whoever calls has looked. What can't be read gives NULL.
 */

#ifndef SMUG_TOKENS_H
#define SMUG_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef const uint8_t *at_t;

/* What a value is: a string without or with escapes, a number without or with fraction or exponent,
 * a literal, an object or array. `native.py` has the same numbers. */
enum kind { ABSENT, PLAIN, ESCAPED, WHOLE, REAL, TRUTH, LIE, NOTHING, NESTED };

#define REPEAT(byte) (0x0101010101010101ULL * (byte))

/* Whether one of eight bytes is below `byte`, which is at most 128; true for some others as well. */
static inline uint64_t has_less(uint64_t word, uint8_t byte) {
    return (word - REPEAT(byte)) & ~word & REPEAT(0x80);
}

static inline uint64_t has_zero(uint64_t word) { return has_less(word, 1); }

/* The closing quote of the string that begins at `at`, behind its first quote. */
static inline at_t string_end(at_t at, at_t end, bool *escaped) {
    *escaped = false;
    for (;;) {
        while (end - at >= 8) { /* eight bytes at once, while none of them is a special one */
            uint64_t word;
            memcpy(&word, at, 8);
            if (has_zero(word ^ REPEAT('"')) | has_zero(word ^ REPEAT('\\')) | has_less(word, 0x20))
                break;
            at += 8;
        }
        for (int left = 8; left > 0; left--, at++) {
            if (at >= end || *at < 0x20) return NULL;
            if (*at == '"') return at;
            if (*at == '\\') {
                *escaped = true;
                at++; /* what is escaped is no end, and is read by `unescape` */
            }
        }
    }
}

static inline at_t digits_end(at_t at, at_t end) {
    while (at < end && *at >= '0' && *at <= '9') at++;
    return at;
}

static inline at_t number_end(at_t at, at_t end, enum kind *kind) {
    *kind = WHOLE;
    if (at < end && *at == '-') at++;
    at_t stop = digits_end(at, end);
    if (stop == at || (*at == '0' && stop - at > 1)) return NULL;
    if (stop < end && *stop == '.') {
        *kind = REAL;
        at = stop + 1;
        stop = digits_end(at, end);
        if (stop == at) return NULL;
    }
    if (stop < end && (*stop | 0x20) == 'e') {
        *kind = REAL;
        at = stop + 1;
        if (at < end && (*at == '+' || *at == '-')) at++;
        stop = digits_end(at, end);
        if (stop == at) return NULL;
    }
    return stop;
}

static inline bool says(at_t at, at_t end, const char *word, size_t size) {
    return (size_t)(end - at) >= size && memcmp(at, word, size) == 0;
}
#define SAYS(at, end, word) says(at, end, word, sizeof(word) - 1)

/* The end of the object or array that begins at `at`: by its brackets and strings alone. */
static inline at_t nested_end(at_t at, at_t end) {
    int64_t depth = 0;
    bool escaped;
    for (; at < end; at++) {
        if (*at == '"') {
            at = string_end(at + 1, end, &escaped);
            if (at == NULL) return NULL;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if ((*at == '}' || *at == ']') && --depth == 0) {
            return at + 1;
        }
    }
    return NULL;
}

/* Where the value that begins at `at` ends, and what it is. */
static inline at_t value_end(at_t at, at_t end, enum kind *kind) {
    bool escaped;
    if (at >= end) return NULL;
    switch (*at) {
    case '"':
        at = string_end(at + 1, end, &escaped);
        *kind = escaped ? ESCAPED : PLAIN;
        return at == NULL ? NULL : at + 1;
    case '{':
    case '[':
        *kind = NESTED;
        return nested_end(at, end);
    case 'n':
        *kind = NOTHING;
        return SAYS(at, end, "null") ? at + 4 : NULL;
    case 't':
        *kind = TRUTH;
        return SAYS(at, end, "true") ? at + 4 : NULL;
    case 'f':
        *kind = LIE;
        return SAYS(at, end, "false") ? at + 5 : NULL;
    default:
        return number_end(at, end, kind);
    }
}

/* A whole number without a sign, of at most so many digits (18 at most); negative where it is none. */
static inline int64_t count_of(at_t at, at_t stop, int digits) {
    int64_t value = 0;
    if (stop - at < 1 || stop - at > digits) return -1;
    for (; at < stop; at++) {
        if (*at < '0' || *at > '9') return -1;
        value = value * 10 + (*at - '0');
    }
    return value;
}

#endif
