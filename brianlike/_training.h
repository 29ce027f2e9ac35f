/* The driver of training runs: all steps of one tile of a batch, forwards or backwards in time. `nn/plan.py` writes the operations. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "_runtime.h"

enum { /* kinds of operations; nn/operations.py has the same */
    BL_MAP, BL_COPY_IN, BL_COPY_OUT, BL_ADD_IN, BL_ZERO, BL_BYTES_IN, BL_BYTES_OUT, BL_PACK, BL_UNPACK, BL_LIST, BL_SCAN, BL_DELIVER, BL_RETURN, BL_TURN,
    BL_CLOCK, BL_SUM, BL_MAXIMUM, BL_ADD_MAXIMUM, BL_GATHER, BL_SCATTER, BL_RING_IN, BL_RING_OUT, BL_TILE_OUT, BL_LAST_IN, BL_LAST_OUT,
    BL_SAVE, BL_KEEP, BL_ROWS, BL_HALF_OUT, BL_HALF_IN, BL_SPREAD, BL_DRAW, BL_SEND, BL_REFILL, BL_PULL, BL_PULL_PAST, BL_SLOPE, BL_ROWS_APART,
    BL_PACK_LISTS, BL_UNPACK_LISTS
};

typedef struct { /* what each field means stands with the operation below; unless it says so, numbers of bytes */
    int64_t kind, function, size, padded, place, stride, address, per_step, per_member, delay, first, index, value, words, matrix, matrix_stride, n_source;
    int64_t rows, targets, entries, n_entries, wide, flags, extra;
} bl_operation;

typedef struct { /* a pointer of a Map: kind 0: in the tile's memory, 1: anywhere, 2: moving with the step and the first member of the tile, 3: in the
                    thread's tape, moving with the step */
    int64_t kind, address, per_step, per_member, stride;
} bl_entry;

typedef struct {
    const bl_operation *begin, *step, *end;
    int64_t n_begin, n_step, n_end;
    const bl_entry *entries;
    int64_t n_entries;
    int64_t steps, members, tile, first_number; /* of the run; members of a tile; the number of the first step */
    double dt;
    int64_t reverse, memory; /* bytes of a tile's memory */
    const int64_t *active, *lengths; /* how many members are left in each step (and none after the last), and of each member how many steps it has; or NULL */
    const int64_t *firsts; /* of each member the number of its first step; or NULL, and all have `first_number` */
    /* Backward runs: only the steps from `from` to `to` (which comes first) are done, then every tile's memory is needed again; what the forward run did not
       keep of `segment` steps is computed `again`, after `enter`, and goes to the thread's tape. */
    int64_t from, to, apart, segment;
    const bl_operation *enter, *again;
    int64_t n_enter, n_again;
} bl_run;

typedef struct { /* what a thread has for itself; `begin` is the first step on its tape */
    char *memory, *tape;
    int64_t begin;
    void **pointers;
    ptrdiff_t *strides;
    int (*interrupted)(void); /* in the main thread: whether a signal asks to stop; looked at now and then, after `count` operations */
    int64_t count;
} bl_desk;

enum { BL_PATIENCE = 4096 }; /* operations between two looks */

typedef int (*bl_map_function)(void **, KernelContext *, const ptrdiff_t *, ptrdiff_t);
typedef void (*bl_event_rows)(void *, ptrdiff_t, const void *, ptrdiff_t, ptrdiff_t, const int32_t *, const void *, const int64_t *, ptrdiff_t);
typedef void (*bl_sparse_rows)(void *, ptrdiff_t, const void *, const int64_t *, const int32_t *, const int32_t *, const void *, const int64_t *, ptrdiff_t);
typedef void (*bl_product)(void *, ptrdiff_t, const void *, ptrdiff_t, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t);
typedef void (*bl_sparse_back)(void *, ptrdiff_t, const void *, ptrdiff_t, const void *, const int64_t *, const int32_t *, ptrdiff_t, ptrdiff_t, const uint8_t *,
    ptrdiff_t);
typedef void (*bl_sum_rows)(void *, ptrdiff_t, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t);
typedef void (*bl_maximum_rows)(void *, void *, int32_t *, uint64_t *, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t);
typedef void (*bl_pack_bits)(const uint8_t *, ptrdiff_t, uint64_t *);
typedef void (*bl_unpack_bits)(const uint64_t *, ptrdiff_t, uint8_t *);
typedef ptrdiff_t (*bl_list_bits)(const uint64_t *, ptrdiff_t, int32_t *);
typedef ptrdiff_t (*bl_scan)(const void *, ptrdiff_t, int32_t *, void *, int32_t *);
typedef void (*bl_some_products)(void *, ptrdiff_t, const void *, ptrdiff_t, const void *, ptrdiff_t, ptrdiff_t, const uint8_t *, ptrdiff_t, ptrdiff_t, ptrdiff_t);

typedef void (*bl_draw_row)(int, uint32_t, uint32_t, uint64_t, uint32_t, uint32_t, ptrdiff_t, double *);

#define BL_FEW 4 /* rows from which on a product uses what it reads of a matrix more than once */
#define BL_AT(T, address) ((T *)(uintptr_t)(address))

static inline ptrdiff_t bl_list(const uint64_t *bits, ptrdiff_t words, int32_t *index) {
    ptrdiff_t word, n = 0;
    for (word = 0; word < words; word++) {
        uint64_t left = bits[word];
        while (left) {
            index[n++] = (int32_t)(64 * word + lowest_bit(left));
            left &= left - 1;
        }
    }
    return n;
}

#if defined(__GNUC__) || defined(__clang__)
static inline int64_t bl_bits_of(uint64_t word) { return __builtin_popcountll(word); }
#else
static inline int64_t bl_bits_of(uint64_t word) { int64_t n = 0; for (; word; word &= word - 1) n++; return n; }
#endif

/* rows of single numbers */
#define BL_NUMBERS(T, S) \
static void bl_add_in_##S(const bl_operation *o, char *to, const char *from, ptrdiff_t members) { \
    ptrdiff_t m, n; \
    for (m = 0; m < members; m++) { \
        T *x = (T *)(to + m * o->stride); const T *y = (const T *)(from + m * o->per_member); \
        for (n = 0; n < o->size; n++) x[n] += y[n]; \
    } \
} \
static void bl_bytes_in_##S(const bl_operation *o, char *to, const char *from, ptrdiff_t members) { \
    ptrdiff_t m, n; \
    for (m = 0; m < members; m++) { \
        uint8_t *x = (uint8_t *)(to + m * o->stride); const T *y = (const T *)(from + m * o->per_member); \
        for (n = 0; n < o->size; n++) x[n] = y[n] != 0; \
    } \
} \
static void bl_bytes_out_##S(const bl_operation *o, const char *from, char *to, ptrdiff_t members) { \
    ptrdiff_t m, n; \
    for (m = 0; m < members; m++) { \
        const uint8_t *x = (const uint8_t *)(from + m * o->stride); T *y = (T *)(to + m * o->per_member); \
        for (n = 0; n < o->size; n++) y[n] = (T)x[n]; \
    } \
} \
static void bl_add_maximum_##S(const bl_operation *o, char *to, int64_t t, int64_t member, ptrdiff_t members) { \
    ptrdiff_t m, n, k; \
    for (m = 0; m < members; m++) { \
        const ptrdiff_t row = (member + m) * o->size; const int64_t again = BL_AT(int32_t, o->rows)[member + m]; \
        const T *gradient = (const T *)(BL_AT(char, o->address) + (member + m) * o->per_member), *ties = BL_AT(T, o->value) + row; \
        const int32_t *when = BL_AT(int32_t, o->index) + row; \
        T *x = (T *)(to + m * o->stride); \
        if (again < 0) { /* all of this member reached it once */ \
            int some = 0; \
            for (k = 0; k < o->size; k++) some |= when[k] == (int32_t)t; \
            if (some) for (k = 0; k < o->size; k++) if (when[k] == (int32_t)t) x[k] += gradient[k]; \
            continue; \
        } \
        for (n = 0; n < o->words; n += 8) { \
            const uint8_t *bytes = BL_AT(uint8_t, o->first) + (t * o->n_source + again) * o->words; \
            uint64_t left = 0; \
            for (k = n; k < n + 8 && k < o->words; k++) left |= (uint64_t)bytes[k] << 8 * (k - n); \
            for (; left; left &= left - 1) { \
                k = 8 * n + lowest_bit(left); \
                if (t >= when[k]) x[k] += gradient[k] / ties[k]; \
            } \
        } \
    } \
} \
/* the events that arrive at each synapse, and back */ \
static void bl_gather_##S(const bl_operation *o, char *to, int64_t t, int64_t member, int64_t all, ptrdiff_t members) { \
    const int32_t *source = BL_AT(int32_t, o->index), *delay = BL_AT(int32_t, o->first); ptrdiff_t m, s; \
    for (m = 0; m < members; m++) { \
        T *x = (T *)(to + m * o->stride); \
        for (s = 0; s < o->size; s++) { \
            const int64_t row = (t - delay[s] + o->delay) * all + member + m; \
            x[s] = o->flags ? BL_AT(T, o->address)[row * o->n_source + source[s]] \
                : (T)(BL_AT(uint64_t, o->address)[row * o->words + source[s] / 64] >> source[s] % 64 & 1); \
        } \
    } \
} \
static void bl_gather_near_##S(const bl_operation *o, const char *memory, char *to, int64_t t, ptrdiff_t members, ptrdiff_t tile) { \
    const int32_t *source = BL_AT(int32_t, o->index), *delay = BL_AT(int32_t, o->first); const int64_t slots = o->delay + 1, now = (t + o->delay) % slots; \
    ptrdiff_t m, s; \
    for (m = 0; m < members; m++) { \
        T *x = (T *)(to + m * o->stride); \
        for (s = 0; s < o->size; s++) { /* no delay is longer than o->delay, and a division takes as long as the rest */ \
            const int64_t slot = now - delay[s] + (delay[s] > now ? slots : 0); \
            x[s] = ((const T *)(memory + o->address + (slot * tile + m) * o->extra))[source[s]]; \
        } \
    } \
} \
/* a row of the lists of an input as numbers, in one of `n_source` slots */ \
static void bl_spread_##S(const bl_operation *o, const bl_run *run, char *memory, int64_t t, int64_t member, ptrdiff_t members) { \
    const int64_t row = t + o->delay, tile = member / run->tile; \
    const int64_t *first = BL_AT(int64_t, o->first) + (tile * o->words + row) * (run->tile + 1); \
    const int32_t *index = BL_AT(int32_t, o->index); \
    const T *value = BL_AT(int32_t, o->extra)[tile] ? BL_AT(T, o->value) : NULL; \
    char *to = memory + o->place + row % o->n_source * run->tile * o->stride; ptrdiff_t m; int64_t e; \
    for (m = 0; m < members; m++) { \
        T *x = (T *)(to + m * o->stride); \
        memset(x, 0, o->size * sizeof(T)); \
        for (e = first[m]; e < first[m + 1]; e++) x[index[e]] = value ? value[e] : (T)1; \
    } \
} \
static void bl_scatter_##S(const bl_operation *o, char *memory, int64_t t, ptrdiff_t members, ptrdiff_t tile) { \
    const int32_t *source = BL_AT(int32_t, o->index), *delay = BL_AT(int32_t, o->first); const int64_t slots = o->delay + 1; ptrdiff_t m, s; \
    for (m = 0; m < members; m++) { \
        const T *x = (const T *)(memory + o->place + m * o->stride); \
        for (s = 0; s < o->size; s++) { \
            const int64_t slot = (t - delay[s] + slots) % slots; \
            char *to = delay[s] ? memory + o->address + slot * tile * o->extra : memory + o->value; \
            ((T *)(to + m * o->extra))[source[s]] += x[s]; \
        } \
    } \
}
BL_NUMBERS(float, f) BL_NUMBERS(double, d)

/* bfloat16: the upper half of a float, rounded to the nearest, ties to even; NaN stays NaN */
static inline uint16_t bl_half_f(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? bits >> 16 | 0x40u : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static inline uint16_t bl_half_d(double x) { /* by way of a float whose last bit tells that something was cut off, so that nothing is rounded twice */
    const float near = (float)x;
    const double back = near, size = x < 0 ? -x : x;
    uint32_t bits;
    float odd;
    memcpy(&bits, &near, 4);
    if (back != x && x == x) bits = (bits - ((back < 0 ? -back : back) > size)) | 1u;
    memcpy(&odd, &bits, 4);
    return bl_half_f(odd);
}

#define BL_HALVES(T, S) \
static void bl_half_out_##S(const bl_operation *o, const char *from, char *to, ptrdiff_t members) { \
    const T *x = (const T *)from; uint16_t *y = (uint16_t *)to; ptrdiff_t n; \
    for (n = 0; n < members * o->size; n++) y[n] = bl_half_##S(x[n]); \
} \
static void bl_half_in_##S(const bl_operation *o, char *to, const char *from, ptrdiff_t members) { \
    T *x = (T *)to; const uint16_t *y = (const uint16_t *)from; ptrdiff_t n; \
    for (n = 0; n < members * o->size; n++) { const uint32_t bits = (uint32_t)y[n] << 16; float value; memcpy(&value, &bits, 4); x[n] = (T)value; } \
}
BL_HALVES(float, f) BL_HALVES(double, d)
#define BL_DENSITY(T, S, U, EXPONENT) \
/* whether all numbers of some rows are finite */ \
static int bl_all_finite_##S(const void *from, ptrdiff_t stride, ptrdiff_t n, ptrdiff_t rows) { \
    ptrdiff_t r, k; \
    for (r = 0; r < rows; r++) { \
        const T *x = (const T *)from + r * stride; U other = 0; \
        for (k = 0; k < n; k++) { U bits; memcpy(&bits, x + k, sizeof bits); other |= (U)((bits & EXPONENT) == EXPONENT); } \
        if (other) return 0; \
    } \
    return 1; \
} \
/* lists of events as rows of numbers */ \
static void bl_rows_of_lists_##S(void *to, ptrdiff_t stride, const int32_t *index, const void *value, const int64_t *first, ptrdiff_t rows) { \
    ptrdiff_t r; int64_t e; \
    memset(to, 0, sizeof(T) * stride * rows); \
    for (r = 0; r < rows; r++) { \
        T *x = (T *)to + r * stride; \
        if (value == NULL) for (e = first[r]; e < first[r + 1]; e++) x[index[e]] += 1; \
        else for (e = first[r]; e < first[r + 1]; e++) x[index[e]] += ((const T *)value)[e]; \
    } \
} \
static void bl_rows_of_bits_##S(void *to, ptrdiff_t stride, const uint64_t *bits, ptrdiff_t words, ptrdiff_t rows) { \
    ptrdiff_t r, word, k; \
    for (r = 0; r < rows; r++) for (word = 0; word < words; word++, bits++) { \
        T *x = (T *)to + r * stride + 64 * word; const uint64_t b = *bits; \
        const ptrdiff_t n = stride - 64 * word < 64 ? stride - 64 * word : 64; \
        for (k = 0; k < n; k++) x[k] = (T)(b >> k & 1); \
    } \
}
BL_DENSITY(float, f, uint32_t, 0x7f800000u) BL_DENSITY(double, d, uint64_t, 0x7ff0000000000000u)

static inline int64_t bl_count_bytes(const uint8_t *x, ptrdiff_t stride, ptrdiff_t n, ptrdiff_t rows) {
    int64_t found = 0;
    ptrdiff_t r, k;
    for (r = 0; r < rows; r++) for (k = 0; k < n; k++) found += x[r * stride + k] != 0;
    return found;
}

/* The gradient of a dense part by rows of numbers instead of events, for some rows of one step: the same bits if all cotangents are finite (0 times infinity
   is NaN). 0 if there are too few events for that, or another reason against it. `lists` are those of the first of the rows' tiles. */
typedef void (*bl_gradient_product)(void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const void *, ptrdiff_t, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t);
typedef struct {
    int64_t product, n_source, most; /* `most`: events of a row, on average, up to which they are added one by one */
    char *scratch; /* of `most_rows` rows of n_source elements, in whole vectors */
    int64_t most_rows;
} bl_choice;

static int bl_gradient_by_product(const bl_choice *choice, void *gradient, ptrdiff_t stride, ptrdiff_t begin, ptrdiff_t end, const void *bar,
    ptrdiff_t bar_stride, ptrdiff_t item, ptrdiff_t rows, ptrdiff_t tile, const int64_t *lists, ptrdiff_t lists_stride, const int32_t *index, const void *value,
    const uint64_t *bits, ptrdiff_t words) {
    const ptrdiff_t width = (choice->n_source + 15) / 16 * 16;
    const char *columns = (const char *)bar + begin * item;
    int64_t events = 0;
    ptrdiff_t n, r;
    if (rows < BL_FEW) return 0;
    if (bits != NULL) for (n = 0; n < rows * words; n++) events += bl_bits_of(bits[n]);
    else for (r = 0; r < rows; r += tile) {
        const int64_t *first = lists + r / tile * lists_stride;
        events += first[rows - r < tile ? rows - r : tile] - first[0];
    }
    if (events <= choice->most * rows) return 0;
    if (!(item == 8 ? bl_all_finite_d(columns, bar_stride, end - begin, rows) : bl_all_finite_f(columns, bar_stride, end - begin, rows))) return 0;
    if (bits != NULL) {
        if (item == 8) bl_rows_of_bits_d(choice->scratch, width, bits, words, rows); else bl_rows_of_bits_f(choice->scratch, width, bits, words, rows);
    } else for (r = 0; r < rows; r += tile) {
        const int64_t *first = lists + r / tile * lists_stride;
        char *to = choice->scratch + r * width * item;
        const ptrdiff_t part = rows - r < tile ? rows - r : tile;
        if (item == 8) bl_rows_of_lists_d(to, width, index, value, first, part); else bl_rows_of_lists_f(to, width, index, value, first, part);
    }
    ((bl_gradient_product)(uintptr_t)choice->product)(gradient, stride, begin, end, bar, bar_stride, choice->scratch, width, choice->n_source, rows);
    return 1;
}
#define BL_EITHER(name, ...) (o->wide ? bl_##name##_d(__VA_ARGS__) : bl_##name##_f(__VA_ARGS__))

/* Numbers of a draw as they are stored: a uniform one is cut to 24 bits, as rounded to the nearest it could become 1; of a law with a table (`rows` whole
 * numbers at `index`) the number is how many of them do not exceed a uniform one. */
static void bl_drawn(const bl_operation *o, const double *drawn, char *to) {
    ptrdiff_t n;
    if (o->flags == 2) {
        const int64_t *table = BL_AT(int64_t, o->index);
        for (n = 0; n < o->size; n++) {
            const int64_t x = (int64_t)(drawn[n] * 9007199254740992.0);
            int64_t k = 0;
            while (k < o->rows && table[k] <= x) k++;
            if (o->targets == 8) ((int64_t *)to)[n] = k; else ((int32_t *)to)[n] = (int32_t)k;
        }
    } else if (o->wide) {
        memcpy(to, drawn, o->size * sizeof(double));
    } else if (o->flags == 1) {
        for (n = 0; n < o->size; n++) ((float *)to)[n] = (float)(int32_t)(drawn[n] * 16777216.0) * (1.0f / 16777216.0f);
    } else {
        for (n = 0; n < o->size; n++) ((float *)to)[n] = (float)drawn[n];
    }
}

/* the number of a step of a member */
static inline int64_t bl_number(const bl_run *run, int64_t t, int64_t member) { return (run->firsts ? run->firsts[member] : run->first_number) + t; }

/* how many of a tile's members have a step */
static inline ptrdiff_t bl_left(const bl_run *run, int64_t t, int64_t member, ptrdiff_t members) {
    const int64_t left = run->active ? run->active[t] - member : t < run->steps ? members : 0;
    return (ptrdiff_t)(left < 0 ? 0 : left < members ? left : members);
}

/* what the next step will read or write: rows of a step lie together, but far from those of the next one, where the processor expects nothing */
static inline void bl_fetch(const char *rows, int64_t bytes) {
#if defined(__GNUC__) || defined(__clang__)
    int64_t n;
    for (n = 0; n < bytes; n += 64) __builtin_prefetch(rows + n);
#else
    (void)rows; (void)bytes;
#endif
}

#include "_delays.h"
#include "_packed_lists.h"

static void bl_act(const bl_operation *o, const bl_run *run, const bl_desk *desk, int64_t t, int64_t member, ptrdiff_t members) {
    char *place = desk->memory + o->place;
    char *outside = BL_AT(char, o->address) + t * o->per_step + member * o->per_member;
    ptrdiff_t m;
    switch (o->kind) {
    case BL_MAP: { /* flags: 1 it draws: seed `words`, stream `n_source`, samples at `first`, and there is room for a context of each member at `extra` */
        KernelContext context, *contexts = o->flags ? (KernelContext *)(desk->memory + o->extra) : &context;
        ptrdiff_t n;
        memset(&context, 0, sizeof context);
        context.end = o->padded; context.size = o->size;
        context.i = BL_AT(int32_t, o->index); context.j = BL_AT(int32_t, o->value);
        context.seed = (uint32_t)o->words; context.stream = (uint32_t)o->n_source;
        for (m = 0; o->flags && m < members; m++) {
            contexts[m] = context;
            contexts[m].epoch = (uint32_t)BL_AT(int64_t, o->first)[member + m];
            contexts[m].step = (uint64_t)bl_number(run, t, member + m);
        }
        for (n = o->entries; n < o->entries + o->n_entries; n++) {
            const bl_entry *e = run->entries + n;
            if (e->kind == 2) {
                char *rows = BL_AT(char, e->address) + t * e->per_step + member * e->per_member;
                const int64_t next = run->reverse ? -1 : 1;
                desk->pointers[n] = rows;
                if (t + next >= 0 && t + next < run->steps) bl_fetch(rows + next * e->per_step, members * e->per_member);
            }
            else if (e->kind == 3) desk->pointers[n] = desk->tape + e->address + (t - desk->begin) * e->per_step;
        }
        ((bl_map_function)(uintptr_t)o->function)(desk->pointers + o->entries, contexts, desk->strides + o->entries, members);
        break;
    }
    case BL_COPY_IN:
        for (m = 0; m < members; m++) memcpy(place + m * o->stride, outside + m * o->per_member, o->size);
        break;
    case BL_COPY_OUT:
        if (o->stride == o->size && o->per_member == o->size) memcpy(outside, place, members * o->size);
        else for (m = 0; m < members; m++) memcpy(outside + m * o->per_member, place + m * o->stride, o->size);
        break;
    case BL_LAST_OUT: /* only in the last step of a member */
        for (m = bl_left(run, t + 1, member, members); m < members; m++) memcpy(outside + m * o->per_member, place + m * o->stride, o->size);
        break;
    case BL_LAST_IN:
        m = bl_left(run, t + 1, member, members);
        BL_EITHER(add_in, o, place + m * o->stride, outside + m * o->per_member, members - m);
        break;
    case BL_ADD_IN:
        BL_EITHER(add_in, o, place, outside, members);
        break;
    case BL_ZERO:
        memset(place, 0, o->size);
        break;
    case BL_BYTES_IN:
        BL_EITHER(bytes_in, o, place, outside, members);
        break;
    case BL_BYTES_OUT:
        BL_EITHER(bytes_out, o, place, outside, members);
        break;
    case BL_PACK: /* into row t + delay of the bits */
        for (m = 0; m < members; m++)
            ((bl_pack_bits)(uintptr_t)o->function)((uint8_t *)place + m * o->stride, o->size,
                BL_AT(uint64_t, o->address) + ((t + o->delay) * run->members + member + m) * o->words);
        break;
    case BL_UNPACK:
        if (t + o->delay < 0) break; /* nothing is known of what was before the run */
        for (m = 0; m < members; m++)
            ((bl_unpack_bits)(uintptr_t)o->function)(BL_AT(uint64_t, o->address) + ((t + o->delay) * run->members + member + m) * o->words, o->size,
                (uint8_t *)place + m * o->stride);
        break;
    case BL_LIST: { /* lists of the bits of row t + delay: offsets at `place`, numbers behind them at `extra` */
        int64_t *first = (int64_t *)place;
        int32_t *index = (int32_t *)(desk->memory + o->extra);
        first[0] = 0;
        for (m = 0; m < members; m++)
            first[m + 1] = first[m] + ((bl_list_bits)(uintptr_t)o->function)(BL_AT(uint64_t, o->address) + ((t + o->delay) * run->members + member + m) * o->words,
                o->words, index + first[m]);
        break;
    }
    case BL_SCAN: { /* row t + delay (of `rows`) of the lists of what is not 0 in an input; each tile has its own part of them */
        const int64_t tile = member / run->tile, row = (tile * o->rows + t + o->delay) * (run->tile + 1);
        int64_t *first = BL_AT(int64_t, o->first) + row, n = t + o->delay == 0 ? member * o->rows * o->n_source : first[-1];
        int32_t *graded = BL_AT(int32_t, o->extra) + tile;
        first[0] = n;
        for (m = 0; m < members; m++) {
            char *values = o->value ? BL_AT(char, o->value) + n * (o->wide ? 8 : 4) : NULL;
            if (t + 1 < run->steps) bl_fetch(outside + m * o->per_member + o->per_step, o->n_source * (o->wide ? 8 : 4));
            n += ((bl_scan)(uintptr_t)o->function)(outside + m * o->per_member, o->n_source, BL_AT(int32_t, o->index) + n, values, graded);
            first[m + 1] = n;
        }
        for (; m < run->tile; m++) first[m + 1] = n;
        break;
    }
    case BL_DELIVER: { /* flags: 1 sparse, 2 lists of the inputs instead of those in the tile's memory, 4 (dense) where a member has more than `size` events on
        average, as rows of numbers (at `targets`, of `rows` elements) by the product at `address`; counts at `entries` how often it did which */
        const int64_t *first;
        const int32_t *index;
        const void *values = NULL;
        if (o->flags & 2) {
            const int64_t tile = member / run->tile;
            first = BL_AT(int64_t, o->first) + (tile * o->words + t + o->delay) * (run->tile + 1);
            index = BL_AT(int32_t, o->index);
            if (o->value && BL_AT(int32_t, o->extra)[tile]) values = BL_AT(void, o->value);
        } else {
            first = (const int64_t *)(desk->memory + o->first);
            index = (const int32_t *)(desk->memory + o->index);
        }
        if (first[0] == first[members]) break;
        if (o->flags & 1)
            ((bl_sparse_rows)(uintptr_t)o->function)(place, o->stride, BL_AT(void, o->matrix), BL_AT(int64_t, o->rows), BL_AT(int32_t, o->targets), index, values,
                first, members);
        else if (o->flags & 4 && members >= BL_FEW && first[members] - first[0] > o->size * members) {
            char *rows = desk->memory + o->targets;
            BL_EITHER(rows_of_lists, rows, o->rows, index, values, first, members);
            ((bl_product)(uintptr_t)o->address)(place, o->stride, rows, o->rows, BL_AT(void, o->matrix), o->matrix_stride, o->n_source, o->padded, members);
            add_release(BL_AT(int64_t, o->entries) + 1, 1);
            break;
        } else
            ((bl_event_rows)(uintptr_t)o->function)(place, o->stride, BL_AT(void, o->matrix), o->matrix_stride, o->padded, index, values, first, members);
        if (o->entries) add_release(BL_AT(int64_t, o->entries), 1);
        break;
    }
    case BL_RETURN: { /* the cotangent of events by that of what they deliver (at `extra`); flags: 1 sparse, 2 into the ring of `delay` slots, 4 (bytes at
        `first`, of `value` a member) only of some events, and dense only if on average a member wants no more than `n_entries` of them, by the dot products at
        `address` with the rows of the matrix at `per_step` (stride `per_member`); counts at `entries` how often it did which. A cotangent that is not finite
        makes NaN of 0, so all are wanted where there is one */
        const char *bar = desk->memory + o->extra;
        const uint8_t *wanted = o->flags & 4 && t >= o->delay ? (uint8_t *)desk->memory + o->first : NULL;
        char *to = place;
        if (o->flags & 2) to += ((t - o->delay + o->rows) % o->rows) * run->tile * o->stride * (o->wide ? 8 : 4);
        if (wanted != NULL && !(o->flags & 1) && bl_count_bytes(wanted, o->value, o->n_source, members) > o->n_entries * members) wanted = NULL;
        if (wanted != NULL && !BL_EITHER(all_finite, bar, o->words, o->words, members)) wanted = NULL;
        if (o->entries) add_release(BL_AT(int64_t, o->entries) + (wanted == NULL), 1);
        if (o->flags & 1)
            ((bl_sparse_back)(uintptr_t)o->function)(to, o->stride, bar, o->words, BL_AT(void, o->matrix), BL_AT(int64_t, o->index),
                BL_AT(int32_t, o->targets), o->n_source, members, wanted, o->value);
        else if (wanted != NULL)
            ((bl_some_products)(uintptr_t)o->address)(to, o->stride, bar, o->words, BL_AT(void, o->per_step), o->per_member, o->words, wanted, o->value,
                o->n_source, members);
        else
            ((bl_product)(uintptr_t)o->function)(to, o->stride, bar, o->words, BL_AT(void, o->matrix), o->matrix_stride, o->size, o->padded, members);
        break;
    }
    case BL_TURN: { /* this step's slot of a ring (at `extra`, of `delay` + 1) becomes the cotangent of the events, and is free again */
        const int64_t slots = o->delay + 1;
        char *slot = desk->memory + o->extra + (t % slots) * o->size;
        memcpy(place, slot, o->size / run->tile * members);
        memset(slot, 0, o->size / run->tile * members);
        break;
    }
    case BL_RING_IN: /* of the step `delay` before the end, or (RING_OUT) before the beginning */
    case BL_RING_OUT: {
        const int64_t slots = o->n_source;
        outside = BL_AT(char, o->address) + member * o->per_member;
        for (m = 0; m < members; m++) {
            const int64_t end = o->kind == BL_RING_OUT ? 0 : run->lengths ? run->lengths[member + m] : run->steps;
            char *slot = place + ((end - o->delay + slots) % slots) * run->tile * o->stride;
            if (o->kind == BL_RING_IN) memcpy(slot + m * o->stride, outside + m * o->per_member, o->size);
            else memcpy(outside + m * o->per_member, slot + m * o->stride, o->size);
        }
        break;
    }
    case BL_CLOCK: /* one for the tile, or (`stride`) one for each member */
        for (m = 0; m < (o->stride ? members : 1); m++) {
            const int64_t number = bl_number(run, t, member + m);
            memcpy(desk->memory + o->extra + m * o->stride, &number, 8);
            *(double *)(place + m * o->stride) = (double)number * run->dt;
        }
        break;
    case BL_SUM: /* strides in elements: `stride` of what is summed, `extra` of the sums */
        ((bl_sum_rows)(uintptr_t)o->function)(outside, o->extra, place, o->stride, o->size, members);
        break;
    case BL_MAXIMUM: { /* so far at `address`, at `value` how many steps share it, at `index` the first one, and at `first` a bit for each that reached it */
        const int64_t row = member * o->size, item = o->wide ? 8 : 4;
        ((bl_maximum_rows)(uintptr_t)o->function)(BL_AT(char, o->address) + row * item, BL_AT(char, o->value) + row * item, BL_AT(int32_t, o->index) + row,
            o->first ? BL_AT(uint64_t, o->first) + (t * run->members + member) * o->words : NULL, place, o->stride, o->size, members, t);
        break;
    }
    case BL_ADD_MAXIMUM: /* bits (`words` bytes for a member) are those of `n_source` members; which of these a member is stands at `rows`, or -1 */
        BL_EITHER(add_maximum, o, place, t, member, members);
        break;
    case BL_GATHER: /* flags: 1 numbers, 2 those of the last steps in the tile's memory */
        if (o->flags & 2) BL_EITHER(gather_near, o, desk->memory, place, t, members, run->tile);
        else BL_EITHER(gather, o, place, t, member, run->members, members);
        break;
    case BL_DRAW: { /* a random number for each element; seed `value`, stream `n_source`, number `words`; flags: 1 uniform; or by a table of a law, 2 */
        double *drawn = (double *)(desk->memory + o->extra);
        for (m = 0; m < members; m++) {
            const uint32_t sample = (uint32_t)BL_AT(int64_t, o->first)[member + m];
            char *to = place + m * o->stride;
            ((bl_draw_row)(uintptr_t)o->function)(!o->flags, (uint32_t)o->value, sample, (uint64_t)bl_number(run, t, member + m), (uint32_t)o->n_source,
                (uint32_t)o->words, o->size, drawn);
            bl_drawn(o, drawn, to);
        }
        break;
    }
    case BL_SPREAD:
        BL_EITHER(spread, o, run, desk->memory, t, member, members);
        break;
    case BL_SCATTER:
        BL_EITHER(scatter, o, desk->memory, t, members, run->tile);
        break;
    case BL_TILE_OUT: /* one row for each tile */
        memcpy(BL_AT(char, o->address) + member / run->tile * o->size, place, o->size);
        break;
    case BL_SAVE: /* every `delay` steps; rows of `size` bytes, one after the other */
        if (t % o->delay == 0) memcpy(BL_AT(char, o->address) + t / o->delay * o->per_step + member * o->per_member, place, members * o->size);
        break;
    case BL_KEEP: /* on the thread's tape, at `extra` */
        memcpy(desk->tape + o->extra + (t - desk->begin) * o->per_step, place, members * o->size);
        break;
    case BL_ROWS: /* for the gradients of weights: rows of the steps from `from` on */
        memcpy(BL_AT(char, o->address) + (t - run->from) * o->per_step + member * o->per_member, place, members * o->size);
        break;
    case BL_ROWS_APART: /* the same, the rows of each member together, in whole rows of `per_step`, `delay` rows behind the first one */
        for (m = 0; m < members; m++)
            memcpy(BL_AT(char, o->address) + (t - run->from + o->delay) * o->per_step + (member + m) * o->per_member, place + m * o->stride, o->size);
        break;
    case BL_PACK_LISTS: /* after the last step */
        bl_pack_lists(BL_AT(bl_packed_lists, o->address), member / run->tile);
        break;
    case BL_UNPACK_LISTS: /* before the first one */
        bl_unpack_lists(BL_AT(bl_packed_lists, o->address), member / run->tile);
        break;
    case BL_SEND:
        BL_EITHER(send, o, run, desk, t, member, members);
        break;
    case BL_REFILL:
        bl_refill(o, run, desk, member, members);
        break;
    case BL_PULL:
        BL_EITHER(pull, o, run, desk, t, member, members);
        break;
    case BL_PULL_PAST:
        BL_EITHER(pull_past, o, run, desk, members);
        break;
    case BL_SLOPE:
        BL_EITHER(slope, o, run, desk, t, member, members);
        break;
    case BL_HALF_OUT: /* `size` numbers of all members, as bfloat16 */
        BL_EITHER(half_out, o, place, outside, members);
        break;
    case BL_HALF_IN:
        BL_EITHER(half_in, o, place, outside, members);
        break;
    }
}

static void bl_do(
    const bl_operation *first, int64_t n, const bl_run *run, bl_desk *desk, int64_t t, int64_t member, ptrdiff_t members, volatile int32_t *stop
) {
    const bl_operation *o;
    for (o = first; o < first + n; o++) bl_act(o, run, desk, t, member, members);
    if (desk->interrupted == NULL || (desk->count += n) < BL_PATIENCE) return;
    desk->count = 0;
    if (desk->interrupted()) *stop = 1;
}

/* for the members that are left */
static void bl_left_do(const bl_operation *first, int64_t n, const bl_run *run, bl_desk *desk, int64_t t, int64_t member, ptrdiff_t members,
    volatile int32_t *stop) {
    const ptrdiff_t left = bl_left(run, t, member, members);
    if (left) bl_do(first, n, run, desk, t, member, left, stop);
}

static void bl_tile(const bl_run *run, bl_desk *desk, int64_t tile, volatile int32_t *stop) {
    const int64_t member = tile * run->tile;
    const ptrdiff_t members = (ptrdiff_t)(run->members - member < run->tile ? run->members - member : run->tile);
    int64_t t, last;
    if (!run->reverse || run->to == run->steps) {
        memset(desk->memory, 0, run->memory);
        bl_do(run->begin, run->n_begin, run, desk, 0, member, members, stop);
    }
    if (!run->reverse) {
        for (t = run->from; t < run->to && !*stop; t++) bl_left_do(run->step, run->n_step, run, desk, t, member, members, stop);
    } else {
        for (last = run->to; last > run->from && !*stop; last = desk->begin) {
            desk->begin = run->segment ? (last - 1) / run->segment * run->segment : run->from;
            if (run->segment) {
                bl_do(run->enter, run->n_enter, run, desk, desk->begin / run->segment, member, bl_left(run, desk->begin, member, members), stop);
                for (t = desk->begin; t < last && !*stop; t++) bl_left_do(run->again, run->n_again, run, desk, t, member, members, stop);
            }
            for (t = last - 1; t >= desk->begin && !*stop; t--) bl_left_do(run->step, run->n_step, run, desk, t, member, members, stop);
        }
    }
    if (*stop) return; /* steps are missing, which the rest would read */
    if (!run->reverse || run->from == 0) bl_do(run->end, run->n_end, run, desk, 0, member, members, stop);
}

static int64_t bl_run_tiles(const bl_run *run, char *memory, char *tape, void **pointers, ptrdiff_t *strides, int64_t *next, int32_t *stop,
    int (*interrupted)(void)) {
    const int64_t tiles = (run->members + run->tile - 1) / run->tile;
    bl_desk desk = {memory, tape, 0, pointers, strides, interrupted, 0};
    int64_t n, done = 0;
    for (n = 0; n < run->n_entries; n++) {
        pointers[n] = run->entries[n].kind ? BL_AT(char, run->entries[n].address) : memory + run->entries[n].address;
        strides[n] = run->entries[n].stride;
    }
    for (;;) {
        const int64_t tile = add_release(next, 1) - 1;
        if (tile >= tiles || *stop) return done;
        if (run->apart) {
            desk.memory = memory + tile * run->memory;
            for (n = 0; n < run->n_entries; n++) if (!run->entries[n].kind) pointers[n] = desk.memory + run->entries[n].address;
        }
        bl_tile(run, &desk, tile, (volatile int32_t *)stop);
        done++;
    }
}
