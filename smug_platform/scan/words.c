/* Sorted arrays of 64-bit words: putting them in order, and looking words up in them. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default")))

enum { BITS = 11, BUCKETS = 1 << BITS, PASSES = 6, AHEAD = 16 };

struct pair {
    uint64_t word;
    int64_t number;
};

/* The numbers of words in the order of the words; of equal ones, as they came. Returns -1 where there
 * is no memory for it. A radix sort, which leaves out the digits that all words have in common. */
API int64_t smug_order(const uint64_t *words, int64_t count, int64_t *order) {
    struct pair *from = malloc(2 * (size_t)count * sizeof(struct pair) + 1);
    int64_t(*sizes)[BUCKETS] = calloc(PASSES, sizeof(*sizes));
    if (from == NULL || sizes == NULL) {
        free(from);
        free(sizes);
        return -1;
    }
    struct pair *to = from + count, *held = from;
    for (int64_t i = 0; i < count; i++) {
        from[i] = (struct pair){words[i], i};
        for (int pass = 0; pass < PASSES; pass++)
            sizes[pass][words[i] >> (BITS * pass) & (BUCKETS - 1)]++;
    }
    for (int pass = 0; pass < PASSES && count; pass++) {
        int64_t *places = sizes[pass], sum = 0;
        if (places[words[0] >> (BITS * pass) & (BUCKETS - 1)] == count) continue;
        for (int bucket = 0; bucket < BUCKETS; bucket++) {
            int64_t size = places[bucket];
            places[bucket] = sum;
            sum += size;
        }
        for (int64_t i = 0; i < count; i++)
            to[places[from[i].word >> (BITS * pass) & (BUCKETS - 1)]++] = from[i];
        struct pair *other = from;
        from = to;
        to = other;
    }
    for (int64_t i = 0; i < count; i++) order[i] = from[i].number;
    free(held);
    free(sizes);
    return 0;
}

/* Where the first word that is not below `word` stands, looked for from `at` on: in steps that
 * double, then between the last two. */
static int64_t not_below(const uint64_t *words, int64_t count, int64_t at, uint64_t word) {
    int64_t step = 1, low = at, high = at;
    while (high < count && words[high] < word) {
        low = high + 1;
        high += step;
        step *= 2;
    }
    if (high > count) high = count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (words[middle] < word)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Pairs of numbers (of what is asked for, of a word) where the two are equal. Both are sorted, what
 * is asked for differs. Returns how many there are; only as many are written as there is room for. */
API int64_t smug_matches(const uint64_t *words, int64_t count, const uint64_t *asked, int64_t queries,
                         int64_t *query, int64_t *found, int64_t room) {
    int64_t at = 0, pairs = 0;
    for (int64_t number = 0; number < queries && at < count; number++) {
        for (at = not_below(words, count, at, asked[number]);
             at < count && words[at] == asked[number]; at++, pairs++) {
            if (pairs < room) {
                query[pairs] = number;
                found[pairs] = at;
            }
        }
    }
    return pairs;
}

/* Values of so many bytes, 4 or 8, from those places: asked of memory before they are needed. */
API void smug_take(const uint8_t *values, int64_t size, const int64_t *places, int64_t count,
                   uint8_t *out) {
    for (int64_t i = 0; i < count; i++) {
        if (i + AHEAD < count) __builtin_prefetch(values + places[i + AHEAD] * size);
        if (size == 8)
            memcpy(out + 8 * i, values + 8 * places[i], 8);
        else
            memcpy(out + 4 * i, values + 4 * places[i], 4);
    }
}
