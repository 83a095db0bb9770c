/* Envelopes of the stream: three lines of JSON, as `capture.change` writes them, and of the third
 * what follows the row images, which says what change it is and where its place in the binlog is.
 */

#include "tokens.h"

#define API __attribute__((visibility("default")))

enum field {
    TOPIC, EPOCH, NUMBER, KEY_BEGIN, KEY_END, VALUE_BEGIN, VALUE_END, OP, FILE_NUMBER, OFFSET,
    ROW_NUMBER, COMMITTED, CAPTURED, FIELDS
};
#define NONE INT64_MIN
#define TOPICS 256
#define SIZES 8
#define SOURCE ",\"source\":{"

/* What is told of one envelope, and what was learned of those before it. */
struct reading {
    at_t text;
    int64_t values[FIELDS];
    int64_t sizes[SIZES]; /* of what follows the images: of few sizes, so it is looked for there */
    int64_t next_size;
    int64_t *topics; /* begin and end of each topic, where it came first */
    int64_t known;
};

static bool put(struct reading *reading, enum field field, int64_t value) {
    if (value < 0 || reading->values[field] != NONE) return false;
    reading->values[field] = value;
    return true;
}

static bool put_number(struct reading *reading, enum field field, at_t at, at_t stop,
                       enum kind kind, int digits) {
    if (kind == NOTHING) return true;
    return kind == WHOLE && put(reading, field, count_of(at, stop, digits));
}

static int64_t topic_number(struct reading *reading, at_t at, at_t stop) {
    for (int64_t topic = reading->known - 1; topic >= 0; topic--) {
        int64_t *span = reading->topics + 2 * topic;
        if (span[1] - span[0] == stop - at &&
            memcmp(reading->text + span[0], at, (size_t)(stop - at)) == 0)
            return topic;
    }
    if (reading->known == TOPICS) return -1;
    reading->topics[2 * reading->known] = at - reading->text;
    reading->topics[2 * reading->known + 1] = stop - reading->text;
    return reading->known++;
}

/* The first line: `{"epoch":1,"topic":"shard_0.flickr.photos",`, with a number or without. */
static at_t head_end(struct reading *reading, at_t at, at_t end) {
    bool escaped;
    if (!SAYS(at, end, "{\"epoch\":")) return NULL;
    at_t stop = digits_end(at + 9, end);
    if (!put(reading, EPOCH, count_of(at + 9, stop, 9))) return NULL;
    if (!SAYS(stop, end, ",\"topic\":\"")) return NULL;
    at = stop + 10;
    stop = string_end(at, end, &escaped);
    if (stop == NULL || escaped) return NULL;
    if (!put(reading, TOPIC, topic_number(reading, at, stop))) return NULL;
    at = stop + 1;
    if (SAYS(at, end, ",\"number\":")) {
        stop = digits_end(at + 10, end);
        if (!put(reading, NUMBER, count_of(at + 10, stop, 9))) return NULL;
        at = stop;
    }
    return SAYS(at, end, ",\n") ? at + 2 : NULL;
}

/* The end of an object of plain values that begins at `at`, or of null. */
static at_t key_end(at_t at, at_t end) {
    bool escaped;
    enum kind kind;
    if (SAYS(at, end, "null")) return at + 4;
    if (at >= end || *at != '{') return NULL;
    do {
        at++;
        if (at >= end || *at != '"') return NULL;
        at = string_end(at + 1, end, &escaped);
        if (at == NULL || escaped || !SAYS(at, end, "\":")) return NULL;
        at = value_end(at + 2, end, &kind);
        if (at == NULL || at >= end || kind == NESTED || kind == ESCAPED) return NULL;
    } while (*at == ',');
    return *at == '}' ? at + 1 : NULL;
}

/* What follows the last image of a payload, from the comma on. */
static at_t about_begin(struct reading *reading, at_t at, at_t end) {
    const int64_t size = sizeof(SOURCE) - 1;
    if (!SAYS(at, end, "{\"before\":")) return NULL;
    for (int i = 0; i < SIZES; i++) {
        int64_t tail = reading->sizes[i];
        if (tail && tail < end - at && SAYS(end - tail, end, SOURCE)) return end - tail;
    }
    for (at_t found = end - size; found > at; found--) {
        if (SAYS(found, end, SOURCE)) {
            reading->sizes[reading->next_size++ % SIZES] = end - found;
            return found;
        }
    }
    return NULL;
}

/* The number that ends the name of a binlog file, behind its last point. */
static int64_t file_number(at_t at, at_t stop) {
    at_t begin = stop;
    while (begin > at && begin[-1] >= '0' && begin[-1] <= '9') begin--;
    return begin > at && begin[-1] == '.' ? count_of(begin, stop, 18) : -1;
}

static bool source_value(struct reading *reading, at_t name, int64_t size, at_t at, at_t stop,
                         enum kind kind) {
    if (size == 3 && memcmp(name, "pos", 3) == 0)
        return put_number(reading, OFFSET, at, stop, kind, 18);
    if (size == 3 && memcmp(name, "row", 3) == 0)
        return put_number(reading, ROW_NUMBER, at, stop, kind, 9);
    if (size == 5 && memcmp(name, "ts_us", 5) == 0)
        return put_number(reading, COMMITTED, at, stop, kind, 18);
    if (size == 4 && memcmp(name, "file", 4) == 0)
        return kind == PLAIN && put(reading, FILE_NUMBER, file_number(at + 1, stop - 1));
    return kind != NESTED;
}

static bool about_value(struct reading *reading, at_t name, int64_t size, at_t at, at_t stop,
                        enum kind kind) {
    if (size == 2 && memcmp(name, "op", 2) == 0)
        return kind == PLAIN && stop - at == 3 && at[1] < 0x80 && put(reading, OP, at[1]);
    if (size == 5 && memcmp(name, "ts_ms", 5) == 0)
        return put_number(reading, CAPTURED, at, stop, kind, 15);
    return kind != NESTED;
}

/* The end of the members from `at` on, of the source object or of what stands around it. */
static at_t members_end(struct reading *reading, at_t at, at_t end, bool of_source) {
    for (;; at++) {
        bool escaped;
        enum kind kind;
        if (at >= end || *at != '"') return NULL;
        at_t name = at + 1;
        at = string_end(name, end, &escaped);
        if (at == NULL || escaped || !SAYS(at, end, "\":")) return NULL;
        int64_t size = at - name;
        at_t value = at + 2;
        if (!of_source && size == 6 && memcmp(name, "source", 6) == 0) {
            if (value >= end || *value != '{') return NULL;
            at = members_end(reading, value + 1, end, true);
        } else {
            at = value_end(value, end, &kind);
            if (at == NULL || kind == ESCAPED) return NULL;
            bool fits = of_source ? source_value(reading, name, size, value, at, kind)
                                  : about_value(reading, name, size, value, at, kind);
            if (!fits) return NULL;
        }
        if (at == NULL || at >= end || (*at != ',' && *at != '}')) return NULL;
        if (*at == '}') return at + 1;
    }
}

static bool read_one(struct reading *reading, at_t at, at_t end) {
    at_t text = reading->text;
    at = head_end(reading, at, end);
    if (at == NULL || !SAYS(at, end, "\"key\":")) return false;
    at_t stop = key_end(at + 6, end);
    if (stop == NULL || !SAYS(stop, end, ",\n\"value\":")) return false;
    reading->values[KEY_BEGIN] = at + 6 - text;
    reading->values[KEY_END] = stop - text;
    at = stop + 10;
    if (at >= end || *--end != '}') return false;
    reading->values[VALUE_BEGIN] = at - text;
    reading->values[VALUE_END] = end - text;
    at_t about = about_begin(reading, at, end);
    if (about == NULL || members_end(reading, about + 1, end, false) != end) return false;
    return reading->values[OP] != NONE && reading->values[FILE_NUMBER] != NONE &&
           reading->values[OFFSET] != NONE;
}

/* What each envelope says: `fields` of them, one after the other, INT64_MIN for what is not there.
 *
 * topics: begin and end of each topic that is met, room for TOPICS of them. is_read: 0 for an envelope
 * that is left to others. Returns how many topics there are. Source objects nest no objects.
 */
API int64_t smug_envelopes(at_t text, const int64_t *bounds, int64_t count, int64_t *fields,
                           int64_t *topics, uint8_t *is_read) {
    struct reading reading = {.text = text, .topics = topics};
    for (int64_t row = 0; row < count; row++) {
        for (int field = 0; field < FIELDS; field++) reading.values[field] = NONE;
        is_read[row] = read_one(&reading, text + bounds[row], text + bounds[row + 1]);
        for (int field = 0; field < FIELDS; field++)
            fields[field * count + row] = reading.values[field];
    }
    return reading.known;
}
