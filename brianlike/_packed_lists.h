/* Lists of input events in few bytes, as a forward run leaves them to the backward run.

   Of each tile, the events in order, each by the gap between its place, (row*tile + member)*size + neuron, and the one behind the event before it: up to
   ONE one byte; up to TWO two bytes, the first of them from ONE to 254; others 255 and four bytes, and if all bits of these are set, the event is yet to come.
   In a tile whose values are not all 1, the value of the event follows. Included by _training.h; `nn/compiled/packing.py` fills the struct. */

#define BL_ONE 192 /* numbers of a byte whose two highest bits are set are not less */
#define BL_TWO (BL_ONE + (255 - BL_ONE) * 256)
#define BL_FAR 0xffffffffu

typedef struct {
    int64_t rows, tile, size, item; /* of the lists (see `_event_lists.h`); bytes of a value */
    int64_t first, index, values; /* where they are; values 0: nowhere */
    int64_t graded; /* (tiles): whether with values */
    int64_t ends;   /* (tiles): how many rows each tile has: there is nothing behind */
    int64_t begins; /* (tiles): where the events of each begin in the lists that are made again */
    int64_t bytes;
    int64_t tiles;  /* (tiles, 4): where the bytes of each begin, and end; how many events it has; whether with values */
} bl_packed_lists;

static inline uint8_t *bl_put_gap(uint8_t *to, uint64_t gap) {
    if (gap < BL_ONE) { *to = (uint8_t)gap; return to + 1; }
    if (gap < BL_TWO) { to[0] = (uint8_t)(BL_ONE + (gap - BL_ONE) / 256); to[1] = (uint8_t)((gap - BL_ONE) % 256); return to + 2; }
    for (;; gap -= BL_FAR) {
        const uint32_t part = gap < BL_FAR ? (uint32_t)gap : BL_FAR;
        *to = 255;
        memcpy(to + 1, &part, 4);
        to += 5;
        if (part != BL_FAR) return to;
    }
}

static inline const uint8_t *bl_take_gap(const uint8_t *from, uint64_t *gap) {
    uint32_t part;
    if (from[0] < BL_ONE) { *gap = from[0]; return from + 1; }
    if (from[0] < 255) { *gap = BL_ONE + (uint64_t)(from[0] - BL_ONE) * 256 + from[1]; return from + 2; }
    for (*gap = 0;; from += 5) {
        memcpy(&part, from + 1, 4);
        *gap += part;
        if (part != BL_FAR) return from + 5;
    }
}

/* the bytes of a tile, from the first one on that is its own */
static void bl_pack_lists(const bl_packed_lists *o, int64_t number) {
    int64_t *about = BL_AT(int64_t, o->tiles) + 4 * number, row, m, e, left = 0; /* `left`: neurons behind the last event, of members that are done */
    const int64_t *first = BL_AT(int64_t, o->first) + number * o->rows * (o->tile + 1), rows = BL_AT(int64_t, o->ends)[number];
    const int64_t tile = o->tile, size = o->size, item = o->item;
    const int valued = BL_AT(int32_t, o->graded)[number] != 0;
    const int32_t *index = BL_AT(int32_t, o->index);
    const char *values = BL_AT(char, o->values);
    uint8_t *to = BL_AT(uint8_t, o->bytes) + about[0];
    about[2] = 0;
    about[3] = valued;
    for (row = 0; row < rows; row++, first += tile + 1) {
        about[2] += first[tile] - first[0];
        for (m = 0; m < tile; m++) {
            int64_t next = -left; /* the neuron behind an event */
            const int64_t begin = first[m], end = first[m + 1];
            if (!valued && end > begin) { /* as if all gaps were short: all at once */
                const uint64_t before = (uint64_t)(index[begin] + left);
                int32_t longest = 0;
                for (e = begin + 1; e < end; e++) {
                    const int32_t gap = index[e] - index[e - 1] - 1;
                    to[e - begin] = (uint8_t)gap;
                    longest = gap > longest ? gap : longest;
                }
                if (longest < BL_ONE && before < BL_ONE) {
                    *to = (uint8_t)before;
                    to += end - begin;
                    left = size - index[end - 1] - 1;
                    continue;
                }
            }
            for (e = begin; e < end; e++) {
                const uint64_t gap = (uint64_t)(index[e] - next);
                next = (int64_t)index[e] + 1;
                if (gap < BL_ONE) *to++ = (uint8_t)gap; else to = bl_put_gap(to, gap);
                if (valued) { memcpy(to, values + e * item, item); to += item; }
            }
            left = size - next;
        }
    }
    about[1] = to - BL_AT(uint8_t, o->bytes);
}

/* the lists of a tile */
static void bl_unpack_lists(const bl_packed_lists *o, int64_t number) {
    const int64_t *about = BL_AT(int64_t, o->tiles) + 4 * number, tile = o->tile, size = o->size, item = o->item, begin = BL_AT(int64_t, o->begins)[number];
    const uint8_t *from = BL_AT(uint8_t, o->bytes) + about[0], *end = BL_AT(uint8_t, o->bytes) + about[1];
    const int valued = about[3] != 0;
    int64_t *first = BL_AT(int64_t, o->first) + number * o->rows * (tile + 1), *last = first + o->rows * (tile + 1), m = 0, n = 0, e = begin, next;
    int32_t *index = BL_AT(int32_t, o->index);
    char *values = BL_AT(char, o->values);
    *first++ = e;
    while (from < end) {
        int inside = 1;
        for (; !valued && end - from >= 8; from += 8, e += 8, n = next) { /* eight short gaps within a row */
            uint64_t all;
            int k;
            memcpy(&all, from, 8);
            if (all & all << 1 & 0x8080808080808080u) break; /* some are BL_ONE or more */
            for (next = n, k = 0; k < 8; k++) { next += from[k]; index[e + k] = (int32_t)next++; }
            if (next > size) break;
        }
        for (; inside && from < end;) { /* one after the other, to the end of the row */
            if (*from < BL_ONE) n += *from++;
            else {
                uint64_t gap;
                from = bl_take_gap(from, &gap);
                n += (int64_t)gap;
            }
            for (; n >= size; n -= size, inside = 0) {
                *first++ = e;
                if (++m == tile) { *first++ = e; m = 0; }
            }
            index[e++] = (int32_t)n++;
            if (valued) { memcpy(values + (e - 1) * item, from, item); from += item; }
        }
    }
    while (first < last) *first++ = e;
    if (valued || values == NULL) return; /* gradients read the values of all tiles or of none */
    if (item == 8) for (; e > begin; e--) ((double *)values)[e - 1] = 1;
    else for (; e > begin; e--) ((float *)values)[e - 1] = 1;
}
