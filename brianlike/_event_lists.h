/* The input events of a batch as the lists that training runs deliver: in the order of tiles, steps, members and neurons, whatever order they came in. */
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const int32_t *t, *b, *n; /* of each event: step (counted from the first row), member, neuron */
    const void *value;        /* or NULL: 1 */
    int64_t count, rows, members, tile, size;
    int64_t *first;  /* (tiles, rows, tile + 1): where the events of a member in a row begin; the last entry: where they end */
    int32_t *index;  /* room for `count` */
    void *values;    /* the same */
    int32_t *graded; /* (tiles): whether a value is not 1 */
    /* scratch */
    int64_t *cells;    /* tiles*rows*tile + 1 */
    int32_t *neurons;  /* count */
    void *amounts;     /* count, if there are values */
    uint64_t *bits;    /* (size + 63)/64, all 0 */
    void *sums;        /* size */
} bl_event_lists;

/* By counting: events go to the cell of their tile, row and member; within a cell bits bring neurons into order, and those that come twice together. */
#define BL_EVENT_LISTS(T, S) \
static int64_t bl_event_lists_##S(const bl_event_lists *o) { \
    const int64_t tiles = (o->members + o->tile - 1) / o->tile, cells = tiles * o->rows * o->tile; \
    const T *value = (const T *)o->value; \
    T *values = (T *)o->values, *amounts = (T *)o->amounts, *sums = (T *)o->sums; \
    int64_t k, cell, used = 0, start = 0; \
    for (cell = 0; cell <= cells; cell++) o->cells[cell] = 0; \
    for (k = 0; k < o->count; k++) o->cells[(o->b[k] / o->tile * o->rows + o->t[k]) * o->tile + o->b[k] % o->tile + 1]++; \
    for (cell = 0; cell < cells; cell++) o->cells[cell + 1] += o->cells[cell]; \
    for (k = 0; k < o->count; k++) { \
        const int64_t to = o->cells[(o->b[k] / o->tile * o->rows + o->t[k]) * o->tile + o->b[k] % o->tile]++; \
        o->neurons[to] = o->n[k]; \
        if (value) amounts[to] = value[k]; \
    } \
    for (cell = 0; cell < cells; cell++) { /* cells[cell] is where this one ends */ \
        const int64_t end = o->cells[cell], row = cell / o->tile; \
        int64_t word, lowest = INT64_MAX, highest = -1; \
        o->first[row * (o->tile + 1) + cell % o->tile] = used; \
        for (k = start; k < end; k++) { \
            const int32_t n = o->neurons[k]; \
            const uint64_t bit = (uint64_t)1 << n % 64; \
            const T x = value ? amounts[k] : (T)1; \
            word = n / 64; \
            sums[n] = o->bits[word] & bit ? sums[n] + x : x; \
            o->bits[word] |= bit; \
            if (word < lowest) lowest = word; \
            if (word > highest) highest = word; \
        } \
        for (word = lowest; word <= highest; word++) { \
            uint64_t left = o->bits[word]; \
            o->bits[word] = 0; \
            while (left) { \
                const int32_t n = (int32_t)(64 * word + lowest_bit(left)); \
                const T x = sums[n]; \
                left &= left - 1; \
                if (x == 0) continue; \
                o->index[used] = n; \
                values[used++] = x; \
                if (x != (T)1) o->graded[row / o->rows] = 1; \
            } \
        } \
        start = end; \
        if (cell % o->tile == o->tile - 1) o->first[row * (o->tile + 1) + o->tile] = used; \
    } \
    return used; \
}
BL_EVENT_LISTS(float, f)
BL_EVENT_LISTS(double, d)
