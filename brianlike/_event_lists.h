/* The input events of a batch as the lists that training runs deliver: in the order of tiles, rows (steps), members and neurons, whatever order they came in.

   Threads share the work twice, and what they find does not depend on how: each takes pieces of the events and brings those of each tile together
   (`bl_split`); when all are done, each takes tiles and brings their events into order (`bl_order`), piece after piece. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const int32_t *t, *b, *n; /* of each event: step, member, neuron */
    const void *value;        /* or NULL: 1 */
    int64_t count, rows, members, tile, size, shift; /* step 0 is row `shift` */
    int64_t pieces, piece; /* of so many events each */
    int64_t *first;  /* (tiles, rows, tile + 1): where the events of a member in a row begin; the last entry: where they end */
    int32_t *index;  /* room for `count` */
    void *values;    /* the same; written where a tile is graded */
    int32_t *graded; /* (tiles), 0: whether values are to be read: others are 1 */
    /* between the two */
    int32_t *cuts;    /* (pieces, tiles + 1): where in a piece the events of each tile begin */
    uint64_t *events; /* count: row*tile + member in the upper half, neuron in the lower one */
    void *amounts;    /* count, if there are values */
    int64_t *begins;  /* (tiles + 1): where the entries of a tile begin */
} bl_event_lists;

typedef struct { /* what a thread has for itself */
    int32_t *places;  /* tiles, or rows*tile + 1 */
    int32_t *neurons; /* as many as a tile has events */
    void *amounts;    /* the same, if there are values */
    uint64_t *bits;   /* (size + 63)/64, all 0 */
    uint64_t *words;  /* (size + 4095)/4096, all 0: which words of `bits` are not 0 */
    void *sums;       /* size */
} bl_event_desk;

static inline uint32_t bl_tile_of(uint32_t member, uint32_t tile, int power) { return power >= 0 ? member >> power : member / tile; }

/* the neurons of a cell, each once, in order */
static inline int64_t bl_in_order(const bl_event_desk *desk, const int32_t *neurons, int64_t count, int32_t *index, int64_t words) {
    int64_t k, word, used = 0;
    for (k = 1; k < count && neurons[k] > neurons[k - 1]; k++);
    if (k >= count) { memcpy(index, neurons, count * sizeof *index); return count; }
    for (k = 0; k < count; k++) {
        desk->bits[neurons[k] / 64] |= (uint64_t)1 << neurons[k] % 64;
        desk->words[neurons[k] / 4096] |= (uint64_t)1 << neurons[k] / 64 % 64;
    }
    for (word = 0; word < words; word++) {
        uint64_t some = desk->words[word];
        desk->words[word] = 0;
        for (; some; some &= some - 1) {
            const int64_t place = 64 * word + lowest_bit(some);
            uint64_t left = desk->bits[place];
            desk->bits[place] = 0;
            for (; left; left &= left - 1) index[used++] = (int32_t)(64 * place + lowest_bit(left));
        }
    }
    return used;
}

#define BL_EVENT_LISTS(T, S) \
/* The events of each tile in a piece together; 0 if some are outside the run. */ \
static int bl_split_##S(const bl_event_lists *o, const bl_event_desk *desk, int64_t piece) { \
    const int64_t tiles = (o->members + o->tile - 1) / o->tile, from = piece * o->piece, rest = o->count - from, count = rest < o->piece ? rest : o->piece; \
    const int32_t *t = o->t + from, *b = o->b + from, *n = o->n + from; \
    const uint32_t shift = (uint32_t)o->shift, rows = (uint32_t)o->rows, members = (uint32_t)o->members, size = (uint32_t)o->size, tile = (uint32_t)o->tile; \
    const int power = tile & (tile - 1) ? -1 : lowest_bit(tile); \
    int32_t *cuts = o->cuts + piece * (tiles + 1), *places = desk->places; \
    uint64_t *events = o->events + from; \
    int64_t k; \
    uint32_t outside = 0; \
    for (k = 0; k < count; k++) /* a negative number is a large one without its sign */ \
        outside |= ((uint32_t)b[k] >= members) | ((uint32_t)n[k] >= size) | ((uint32_t)t[k] + shift >= rows); \
    if (outside) return 0; \
    memset(cuts, 0, (tiles + 1) * sizeof *cuts); \
    for (k = 0; k < count; k++) cuts[bl_tile_of((uint32_t)b[k], tile, power) + 1]++; \
    for (k = 0; k < tiles; k++) { places[k] = cuts[k]; cuts[k + 1] += cuts[k]; } \
    for (k = 0; k < count; k++) { \
        const uint32_t number = bl_tile_of((uint32_t)b[k], tile, power); \
        const int32_t to = places[number]++; \
        events[to] = (uint64_t)(((uint32_t)t[k] + shift) * tile + ((uint32_t)b[k] - number * tile)) << 32 | (uint32_t)n[k]; \
        if (o->value) ((T *)o->amounts)[from + to] = ((const T *)o->value)[from + k]; \
    } \
    return 1; \
} \
/* The lists of a tile. A neuron that is there twice counts as often, or as much as its amounts say; entries that are 0 are left out. */ \
static void bl_order_##S(const bl_event_lists *o, const bl_event_desk *desk, int64_t tile) { \
    const int64_t tiles = (o->members + o->tile - 1) / o->tile, cells = o->rows * o->tile, begin = o->begins[tile], words = (o->size + 4095) / 4096; \
    T *values = (T *)o->values, *amounts = (T *)desk->amounts, *sums = (T *)desk->sums; \
    int32_t *places = desk->places, *neurons = desk->neurons, *index = o->index; \
    int64_t *first = o->first + tile * o->rows * (o->tile + 1); \
    int64_t piece, k, cell, row, m, used = begin, start = 0; \
    uint64_t last = 0; \
    uint32_t ordered = 1; \
    memset(places, 0, (cells + 1) * sizeof *places); \
    for (piece = 0; piece < o->pieces; piece++) { \
        const int32_t *cuts = o->cuts + piece * (tiles + 1) + tile; \
        const uint64_t *events = o->events + piece * o->piece; \
        for (k = cuts[0]; k < cuts[1]; k++) { \
            ordered &= events[k] + 1 > last; \
            last = events[k] + 1; \
            index[used++] = (int32_t)events[k]; \
            places[(events[k] >> 32) + 1]++; \
        } \
    } \
    for (k = 0; k < cells; k++) places[k + 1] += places[k]; \
    if (ordered && o->value == NULL) { \
        for (row = 0; row < o->rows; row++) for (m = 0; m <= o->tile; m++) *first++ = begin + places[row * o->tile + m]; \
        return; \
    } \
    for (piece = 0; piece < o->pieces; piece++) { \
        const int32_t *cuts = o->cuts + piece * (tiles + 1) + tile; \
        const int64_t from = piece * o->piece; \
        for (k = from + cuts[0]; k < from + cuts[1]; k++) { \
            const int32_t to = places[o->events[k] >> 32]++; \
            neurons[to] = (int32_t)o->events[k]; \
            if (o->value) amounts[to] = ((T *)o->amounts)[k]; \
        } \
    } \
    for (used = begin, cell = 0, row = 0; row < o->rows; row++) { \
        for (m = 0; m < o->tile; m++, cell++) { /* places[cell] is now where it ends */ \
            const int64_t end = places[cell], before = used; \
            *first++ = used; \
            if (start == end) continue; \
            used += bl_in_order(desk, neurons + start, end - start, index + used, words); \
            if (o->value || used - before != end - start) { \
                int64_t kept = before; \
                if (!o->graded[tile]) for (k = begin; k < before; k++) values[k] = 1; \
                o->graded[tile] = 1; \
                for (k = before; k < used; k++) sums[index[k]] = 0; \
                for (k = start; k < end; k++) sums[neurons[k]] += o->value ? amounts[k] : (T)1; \
                for (k = before; k < used; k++) { \
                    const int32_t n = index[k]; \
                    if (sums[n] == 0) continue; \
                    index[kept] = n; \
                    values[kept++] = sums[n]; \
                } \
                used = kept; \
            } else if (o->graded[tile]) { \
                for (k = before; k < used; k++) values[k] = 1; \
            } \
            start = end; \
        } \
        *first++ = used; \
    } \
}
BL_EVENT_LISTS(float, f)
BL_EVENT_LISTS(double, d)
