/* Learned delays in training runs; included by _training.h. A tile has a window on the steps to come (forwards) or gone (backwards), a row for each step, of
 * `padded` elements: the row of a step moves by one from step to step, and after BL_TRAVEL steps the window is moved back. A row is reached by `place`, which
 * counts from the row of events that arrive at once; `n_entries` rows lie beyond it. */

enum { BL_TRAVEL = 16 };

typedef void (*bl_delayed_rows)(void *, ptrdiff_t, const void *, const int64_t *, const int32_t *, const uint8_t *, const int32_t *, const void *, const int64_t *,
    ptrdiff_t, ptrdiff_t);
typedef void (*bl_delayed_back)(void *, ptrdiff_t, const void *, const void *, const int64_t *, const int32_t *, ptrdiff_t, ptrdiff_t, const uint8_t *, ptrdiff_t,
    ptrdiff_t);
typedef void (*bl_delayed_gradient)(void *, ptrdiff_t, ptrdiff_t, const void *, const int64_t *, const int32_t *, const uint8_t *, const int32_t *, const void *,
    ptrdiff_t);
typedef void (*bl_delayed_pairs)(void *, void *, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t);

typedef struct { const int64_t *first; const int32_t *index; const void *value; } bl_events;

/* The events of row `row` of a tile: flags 2: of the lists of an input, else listed, in the tile's memory, from the bits at `address` */
static bl_events bl_events_of(const bl_operation *o, const bl_run *run, const bl_desk *desk, int64_t row, int64_t member, ptrdiff_t members) {
    const int64_t tile = member / run->tile;
    bl_events found = {NULL, NULL, NULL};
    ptrdiff_t m;
    if (o->flags & 2) {
        found.first = BL_AT(int64_t, o->first) + (tile * o->words + row) * (run->tile + 1);
        found.index = BL_AT(int32_t, o->index);
        if (o->value && BL_AT(int32_t, o->extra)[tile]) found.value = BL_AT(void, o->value);
    } else {
        int64_t *first = (int64_t *)(desk->memory + o->first);
        int32_t *index = (int32_t *)(desk->memory + o->index);
        first[0] = 0;
        for (m = 0; m < members; m++) first[m + 1] = first[m] + bl_list(BL_AT(uint64_t, o->address) + (row * run->members + member + m) * o->words, o->words, index + first[m]);
        found.first = first; found.index = index;
    }
    return found;
}

/* Windows begin anew: with what was sent before the step from which on steps are done, and has not arrived yet */
static void bl_refill(const bl_operation *o, const bl_run *run, const bl_desk *desk, int64_t member, ptrdiff_t members) {
    const int64_t item = o->wide ? 8 : 4, step = desk->begin, width = o->padded;
    char *window = desk->memory + o->entries;
    int64_t k;
    memset(window, 0, members * o->size * item);
    for (k = o->n_entries; k > 0; k--) {
        const int64_t row = step + o->delay - k;
        bl_events found;
        if (row < 0) continue;
        found = bl_events_of(o, run, desk, row, member, members);
        if (found.first[0] == found.first[members]) continue;
        ((bl_delayed_rows)(uintptr_t)o->function)(window + step % BL_TRAVEL * width * item, o->size, BL_AT(void, o->matrix), BL_AT(int64_t, o->rows),
            BL_AT(int32_t, o->targets), BL_AT(uint8_t, o->per_step), found.index, found.value, found.first, members, k * width);
    }
}

#define BL_DELAYS(T, S) \
/* send the events of row t + delay ahead, and take what arrives in this step */ \
static void bl_send_##S(const bl_operation *o, const bl_run *run, const bl_desk *desk, int64_t t, int64_t member, ptrdiff_t members) { \
    const int64_t row = t % BL_TRAVEL * o->padded; \
    T *window = (T *)(desk->memory + o->entries), *to = (T *)(desk->memory + o->place); \
    const bl_events found = bl_events_of(o, run, desk, t + o->delay, member, members); \
    ptrdiff_t m, n; \
    if (row == 0 && t > desk->begin) for (m = 0; m < members; m++) { \
        T *own = window + m * o->size; \
        memmove(own, own + BL_TRAVEL * o->padded, o->n_entries * o->padded * sizeof(T)); \
        memset(own + o->n_entries * o->padded, 0, BL_TRAVEL * o->padded * sizeof(T)); \
    } \
    if (found.first[0] != found.first[members]) \
        ((bl_delayed_rows)(uintptr_t)o->function)(window + row, o->size, BL_AT(void, o->matrix), BL_AT(int64_t, o->rows), BL_AT(int32_t, o->targets), \
            BL_AT(uint8_t, o->per_step), found.index, found.value, found.first, members, 0); \
    for (m = 0; m < members; m++) { \
        T *x = to + m * o->stride, *y = window + m * o->size + row; \
        for (n = 0; n < o->padded; n++) { x[n] += y[n]; y[n] = 0; } \
    } \
} \
/* the cotangent of the events that arrive from this step on, by those of what they deliver (at `extra`, of `per_member` elements and stride `words`), which \
 * the window (at `address`, behind a word that tells whether it ever had what is not finite) keeps for eight members side by side; flags: 2 into the ring of \
 * `rows` slots, 4 only of events that are wanted (bytes at `first`, stride `value`); counts at `entries` how often it did which */ \
static void bl_pull_##S(const bl_operation *o, const bl_run *run, const bl_desk *desk, int64_t t, int64_t member, ptrdiff_t members) { \
    const int64_t since = (run->steps - 1 - t) % BL_TRAVEL, row = (BL_TRAVEL - 1 - since) * o->padded * 8, beyond = o->n_entries * o->padded * 8; \
    char *window = desk->memory + o->address; \
    int64_t *other = (int64_t *)(window - 64); \
    const T *bar = (const T *)(desk->memory + o->extra); \
    const uint8_t *wanted = o->flags & 4 && t >= o->delay ? (uint8_t *)desk->memory + o->first : NULL; \
    T *to = (T *)(desk->memory + o->place); \
    ptrdiff_t m, r, n; \
    if (o->flags & 4 && !*other && !bl_all_finite_##S(bar, o->words, o->words, members)) *other = 1; \
    if (*other) wanted = NULL; \
    if (o->flags & 2) to += (t - o->delay + o->rows) % o->rows * run->tile * o->stride; \
    if (o->entries) add_release(BL_AT(int64_t, o->entries) + (wanted == NULL), 1); \
    for (m = 0; m < members; m += 8) { \
        T *own = (T *)window + m / 8 * o->size; \
        const ptrdiff_t here = members - m < 8 ? members - m : 8; \
        if (since == 0 && t < run->steps - 1) memmove(own + BL_TRAVEL * o->padded * 8, own, beyond * sizeof(T)); \
        for (n = 0; n < o->per_member; n++) for (r = 0; r < 8; r++) own[row + n * 8 + r] = r < here ? bar[(m + r) * o->words + n] : 0; \
        ((bl_delayed_back)(uintptr_t)o->function)(to + m * o->stride, o->stride, own + row, BL_AT(void, o->matrix), BL_AT(int64_t, o->index), \
            BL_AT(int32_t, o->targets), o->n_source, here, wanted ? wanted + m * o->value : NULL, o->value, 0); \
    } \
} \
/* after the first step: the same for the events before it, into the ring */ \
static void bl_pull_past_##S(const bl_operation *o, const bl_run *run, const bl_desk *desk, ptrdiff_t members) { \
    const int64_t row = (BL_TRAVEL - 1 - (run->steps - 1) % BL_TRAVEL) * o->padded * 8; \
    ptrdiff_t m, k; \
    for (k = 1; k <= o->n_entries; k++) for (m = 0; m < members; m += 8) { \
        T *to = (T *)(desk->memory + o->place) + ((o->rows - k - o->delay) % o->rows * run->tile + m) * o->stride; \
        ((bl_delayed_back)(uintptr_t)o->function)(to, o->stride, (T *)(desk->memory + o->address) + m / 8 * o->size + row, BL_AT(void, o->matrix), \
            BL_AT(int64_t, o->index), BL_AT(int32_t, o->targets), o->n_source, members - m < 8 ? members - m : 8, NULL, 0, k * o->padded); \
    } \
} \
/* the gradients of the delays of synapses that compute, each by the cotangent of the event that arrives at it, and how what arrives changes with the delay. \
 * Events: bits at `address`, or flags 1: numbers in rows of `n_source`, 2: those of the last steps in the tile's memory, in `n_entries` slots of rows of \
 * `per_member` bytes. With the delay `value` nothing can arrive earlier */ \
static inline T bl_sent_##S(const bl_operation *o, const bl_run *run, const bl_desk *desk, int64_t row, int64_t member, ptrdiff_t m, int32_t source) { \
    if (o->flags & 2) return ((const T *)(desk->memory + o->address + (row % o->n_entries * run->tile + m) * o->per_member))[source]; \
    if (o->flags & 1) return BL_AT(T, o->address)[(row * run->members + member + m) * o->n_source + source]; \
    return (T)(BL_AT(uint64_t, o->address)[(row * run->members + member + m) * o->words + source / 64] >> source % 64 & 1); \
} \
static void bl_slope_##S(const bl_operation *o, const bl_run *run, const bl_desk *desk, int64_t t, int64_t member, ptrdiff_t members) { \
    const int32_t *source = BL_AT(int32_t, o->index), *delay = BL_AT(int32_t, o->first); \
    T *sum = (T *)(desk->memory + o->extra); \
    ptrdiff_t m, s; \
    for (m = 0; m < members; m++) { \
        const T *bar = (const T *)(desk->memory + o->place + m * o->stride); \
        for (s = 0; s < o->size; s++) { \
            const int64_t row = t - delay[s] + o->delay; \
            const int earliest = delay[s] == o->value; \
            const T before = bl_sent_##S(o, run, desk, row - 1, member, m, source[s]); \
            const T other = bl_sent_##S(o, run, desk, earliest ? row : row + 1, member, m, source[s]); \
            sum[s] += bar[s] * ((before - other) * (earliest ? (T)1 : (T)0.5)); \
        } \
    } \
}
BL_DELAYS(float, f) BL_DELAYS(double, d)

typedef struct { /* the gradients (at `sums`) of the weights of synapses with sources from `begin` to `end`; with `pairs`, of weights and delays, side by side */
    int64_t function, pairs, sums, begin, end;
    int64_t bars, capacity, width, item, base; /* the cotangents of step t and a member in row member*capacity + t - base, of `width` elements */
    int64_t from, to, members, tile, past, late; /* by the events that arrive at the earliest in the steps from `from` to `to`; row `past` of events is that of step 0 */
    int64_t lists, first, index, value, graded, bits, words; /* events: lists of so many rows, or bits */
    int64_t row, place, flat, block, reach, early; /* steps of a block, and those that lie beyond an event's first one; `early`: whether any arrives in that */
} bl_delayed;

/* The last block of steps first; in a block one member after the other, whose cotangents are near then; of a member the last step first. `near` has room for
 * the pairs of a block. */
static void bl_delayed_gradients(const bl_delayed *o, char *near, int32_t *numbers, const int64_t *active, volatile int32_t *stop) {
    const int64_t far = o->block << 32, row = o->width * o->item;
    int64_t last, member, t;
    for (last = o->to; last > o->from && !*stop;) {
        const int64_t start = (last - 1 + far) / o->block * o->block - far, begin = start > o->from ? start : o->from;
        for (member = 0; member < o->members; member++) {
            const char *bars = BL_AT(char, o->bars) + (member * o->capacity + begin - o->base) * row;
            int ready = 0;
            for (t = last - 1; t >= begin; t--) {
                const int64_t sent = t - o->late, tile = member / o->tile;
                const int32_t *index = numbers;
                const void *value = NULL;
                int64_t count;
                if (active != NULL && sent >= 0 && member >= active[sent]) continue;
                if (o->bits) count = bl_list(BL_AT(uint64_t, o->bits) + ((sent + o->past) * o->members + member) * o->words, o->words, numbers);
                else {
                    const int64_t *first = BL_AT(int64_t, o->first) + (tile * o->lists + sent + o->past) * (o->tile + 1) + member % o->tile;
                    count = first[1] - first[0];
                    index = BL_AT(int32_t, o->index) + first[0];
                    if (o->value && BL_AT(int32_t, o->graded)[tile]) value = BL_AT(char, o->value) + first[0] * o->item;
                }
                if (count <= 0) continue;
                if (o->pairs && !ready)
                    ((bl_delayed_pairs)(uintptr_t)o->pairs)(near, near + 2 * (o->block + o->reach) * row, bars, o->width, last - begin + o->reach,
                        o->early ? last - begin : 0);
                ready = 1;
                ((bl_delayed_gradient)(uintptr_t)o->function)(BL_AT(void, o->sums), o->begin, o->end,
                    o->pairs ? near + 2 * (t - begin) * row : bars + (t - begin) * row, BL_AT(int64_t, o->row), BL_AT(int32_t, o->place),
                    BL_AT(uint8_t, o->flat), index, value, count);
            }
        }
        last = begin;
    }
}
