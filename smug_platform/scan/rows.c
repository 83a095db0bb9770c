/* Row images: where they stand in a change's JSON, and where the values stand in them. */

#include "tokens.h"

#define API __attribute__((visibility("default")))

/* The images of payloads that begin `{"before":...,"after":...,"source":{`.
 *
 * spans: of each payload the offsets in `text` at which before begins and ends, and after; both -1
 * for null. is_read: 0 for a payload that is made in another way.
 */
API void smug_images(at_t text, const int64_t *bounds, int64_t count, int64_t *spans,
                     uint8_t *is_read) {
    for (int64_t row = 0; row < count; row++, spans += 4) {
        at_t at = text + bounds[row], end = text + bounds[row + 1];
        const char *marks[2] = {"{\"before\":", ",\"after\":"};
        const size_t sizes[2] = {10, 9};
        is_read[row] = 0;
        for (int image = 0; image < 2; image++) {
            enum kind kind;
            if (!says(at, end, marks[image], sizes[image])) goto next;
            at_t begin = at + sizes[image];
            at = value_end(begin, end, &kind);
            if (at == NULL || (kind != NOTHING && (kind != NESTED || *begin != '{'))) goto next;
            spans[2 * image] = kind == NOTHING ? -1 : begin - text;
            spans[2 * image + 1] = kind == NOTHING ? -1 : at - text;
        }
        is_read[row] = SAYS(at, end, ",\"source\":{") && (spans[0] >= 0 || spans[2] >= 0);
    next:;
    }
}

/* Which of some pairs of spans hold the same bytes; a span that begins at -1 equals none. */
API void smug_same(at_t text, const int64_t *spans, int64_t count, uint8_t *same) {
    for (int64_t row = 0; row < count; row++, spans += 4) {
        int64_t size = spans[1] - spans[0];
        same[row] = spans[0] >= 0 && spans[2] >= 0 && size == spans[3] - spans[2] &&
                    memcmp(text + spans[0], text + spans[2], (size_t)size) == 0;
    }
}

static int64_t name_at(at_t at, at_t end, at_t names, const int64_t *bounds, int64_t known,
                       int64_t first) {
    for (int64_t tried = 0; tried < known; tried++) {
        int64_t name = first + tried < known ? first + tried : first + tried - known;
        size_t size = (size_t)(bounds[name + 1] - bounds[name]);
        if (says(at, end, (const char *)names + bounds[name], size)) return name;
    }
    return -1;
}

/* The values of objects, by name.
 *
 * names: each as it stands before a value, as `"id":`, one after the other; bounds: where each
 * begins, and the end. begin, stop, kind: of each name the values of all objects, strings without
 * their quotes; ABSENT where an object lacks it. found: how many of the names it has, -1 for what is
 * no object, or has a name twice, or a value that can't be read. others: whether it may have other
 * names than these; they are passed over.
 */
API void smug_objects(at_t text, const int64_t *starts, const int64_t *ends, int64_t count,
                      at_t names, const int64_t *bounds, int64_t known, int64_t others,
                      int64_t *begin, int64_t *stop, uint8_t *kinds, int32_t *found) {
    for (int64_t row = 0; row < count; row++) {
        found[row] = -1;
        for (int64_t name = 0; name < known; name++) kinds[name * count + row] = ABSENT;
        if (starts[row] < 0) continue;
        at_t at = text + starts[row], end = text + ends[row];
        int64_t name = -1;
        int32_t has = 0;
        if (at >= end || *at != '{') continue;
        do {
            at++;
            int64_t next = name + 1 < known ? name + 1 : 0;
            int64_t here = name_at(at, end, names, bounds, known, next);
            if (here >= 0) {
                at += bounds[here + 1] - bounds[here];
                name = here;
            } else {
                bool escaped;
                if (!others || at >= end || *at != '"') goto next;
                at = string_end(at + 1, end, &escaped);
                if (at == NULL || escaped || end - at < 2 || at[1] != ':') goto next;
                at += 2;
            }
            enum kind kind;
            at_t value = at;
            at = value_end(at, end, &kind);
            if (at == NULL || at >= end) goto next;
            if (here < 0) continue;
            int64_t place = here * count + row;
            bool is_text = kind == PLAIN || kind == ESCAPED;
            if (kinds[place] != ABSENT) goto next;
            kinds[place] = (uint8_t)kind;
            begin[place] = value - text + is_text;
            stop[place] = at - text - is_text;
            has++;
        } while (*at == ',');
        if (*at == '}' && at + 1 == end) found[row] = has;
    next:;
    }
}
