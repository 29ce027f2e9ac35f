/* The input events of a batch as the lists that training runs deliver: in the order of tiles, steps, members and neurons, whatever order they came in. */
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const int32_t *t, *b, *n; /* of each event: step (counted from the first row), member, neuron */
    const void *value;        /* or NULL: 1 */
    int64_t count, rows, members, tile, size;
    int64_t *first;  /* (tiles, rows, tile + 1): where the events of a member in a row begin; the last entry: where they end */
    int32_t *index;  /* room for `count` */
    void *values;    /* the same; written where a tile is graded */
    int32_t *graded; /* (tiles): whether values are to be read: others are 1 */
    /* scratch */
    int64_t *cells;   /* tiles*rows*tile + 1 */
    int64_t *base;    /* members: the cell of each in row 0 */
    int32_t *neurons; /* count */
    void *amounts;    /* count, if there are values */
    uint64_t *bits;   /* (size + 63)/64, all 0 */
    void *sums;       /* size */
} bl_event_lists;

/* Where the events of each cell (of a tile, a row and a member) begin; each event's neuron goes there. Afterwards cells[k] is where cell k ends. */
#define BL_EVENT_LISTS(T, S) \
static int bl_event_cells_##S(const bl_event_lists *o, int64_t cells) { \
    const T *value = (const T *)o->value; \
    T *amounts = (T *)o->amounts; \
    int64_t k; \
    for (k = 0; k < o->count; k++) /* a negative number is a large one without its sign */ \
        if ((uint32_t)o->t[k] >= (uint64_t)o->rows || (uint32_t)o->b[k] >= (uint64_t)o->members || (uint32_t)o->n[k] >= (uint64_t)o->size) return 0; \
    for (k = 0; k < o->members; k++) o->base[k] = k / o->tile * o->rows * o->tile + k % o->tile; \
    for (k = 0; k <= cells; k++) o->cells[k] = 0; \
    for (k = 0; k < o->count; k++) o->cells[o->base[o->b[k]] + o->t[k] * o->tile + 1]++; \
    for (k = 0; k < cells; k++) o->cells[k + 1] += o->cells[k]; \
    for (k = 0; k < o->count; k++) { \
        const int64_t to = o->cells[o->base[o->b[k]] + o->t[k] * o->tile]++; \
        o->neurons[to] = o->n[k]; \
        if (value) amounts[to] = value[k]; \
    } \
    return 1; \
} \
/* The number of entries, or -1 for events outside the run. Bits bring the neurons of a cell into order; where a neuron is there twice, or events have values, the amounts are summed. */ \
static int64_t bl_event_lists_##S(const bl_event_lists *o) { \
    const int64_t tiles = (o->members + o->tile - 1) / o->tile; \
    T *values = (T *)o->values, *amounts = (T *)o->amounts, *sums = (T *)o->sums; \
    const int64_t words = (o->size + 63) / 64; \
    int64_t tile, row, m, k, word, used = 0, start = 0, cell = 0; \
    if (!bl_event_cells_##S(o, tiles * o->rows * o->tile)) return -1; \
    for (tile = 0; tile < tiles; tile++) { \
        const int64_t begin = used; \
        int64_t *first = o->first + tile * o->rows * (o->tile + 1); \
        for (row = 0; row < o->rows; row++) { \
            for (m = 0; m < o->tile; m++, cell++) { \
                const int64_t end = o->cells[cell], before = used; \
                int summed = o->value != NULL; \
                *first++ = used; \
                if (start == end) continue; \
                for (k = start; k < end; k++) o->bits[o->neurons[k] / 64] |= (uint64_t)1 << o->neurons[k] % 64; \
                for (word = 0; word < words; word++) { \
                    uint64_t left = o->bits[word]; \
                    o->bits[word] = 0; \
                    for (; left; left &= left - 1) o->index[used++] = (int32_t)(64 * word + lowest_bit(left)); \
                } \
                summed |= used - before != end - start; \
                if (summed && !o->graded[tile]) { /* those before have the value 1 */ \
                    o->graded[tile] = 1; \
                    for (k = begin; k < before; k++) values[k] = 1; \
                } \
                if (summed) { \
                    int64_t last = before; \
                    for (k = before; k < used; k++) sums[o->index[k]] = 0; \
                    for (k = start; k < end; k++) sums[o->neurons[k]] += o->value ? amounts[k] : (T)1; \
                    for (k = before; k < used; k++) { \
                        const int32_t n = o->index[k]; \
                        if (sums[n] == 0) continue; \
                        o->index[last] = n; \
                        values[last++] = sums[n]; \
                    } \
                    used = last; \
                } else if (o->graded[tile]) { \
                    for (k = before; k < used; k++) values[k] = 1; \
                } \
                start = end; \
            } \
            *first++ = used; \
        } \
    } \
    return used; \
}
BL_EVENT_LISTS(float, f)
BL_EVENT_LISTS(double, d)
