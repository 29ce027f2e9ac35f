/* What compiled kernels and the driver share (KernelContext: the same text as in codegen/emit/prelude.py), and atomics, for _runtime.pyx. */
#include <stddef.h>
#include <stdint.h>

#ifndef BRIANLIKE_KERNEL_CONTEXT
#define BRIANLIKE_KERNEL_CONTEXT
typedef struct {
    ptrdiff_t begin, end;             /* elements (whole blocks of 16), or positions in spikes */
    ptrdiff_t size;                   /* elements without padding */
    const int32_t *spikes;            /* elements that fired, ascending */
    const int32_t *rows;              /* synapses rows[r] to rows[r + 1], r = arrivals[position] + row */
    const int32_t *arrivals;          /* of each spike that arrives: the row of its first part */
    ptrdiff_t row;                    /* the part */
    const void *ends;                 /* of each synapse of the rows: the neuron at its other end, counted from base; 16 bits each if narrow, else 32 */
    ptrdiff_t base, narrow;
    ptrdiff_t leap;                   /* neurons of a row follow each other, their synapses at this distance; -1: at no constant one; 0: gaps */
    const int32_t *order;             /* the synapses of the rows, as numbered at their creation; NULL: in this order already */
    const int32_t *i, *j;             /* ends of each synapse */
    uint64_t step;
    uint32_t seed, epoch, stream;
} KernelContext;
#endif

#if defined(_WIN32)
#include <windows.h>
static double seconds_now(void) {
    LARGE_INTEGER count, frequency;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&frequency);
    return (double)count.QuadPart / (double)frequency.QuadPart;
}
static void yield_now(void) { SwitchToThread(); }
static void sleep_now(void) { Sleep(1); }
#else
#include <sched.h>
#include <time.h>
static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
static void yield_now(void) { sched_yield(); }
static void sleep_now(void) {
    struct timespec moment = {0, 50000};
    nanosleep(&moment, NULL);
}
#endif

#if defined(__GNUC__) || defined(__clang__)
#define HAS_THREADS 1
static inline int64_t load_acquire(int64_t *value) { return __atomic_load_n(value, __ATOMIC_ACQUIRE); }
static inline void store_release(int64_t *value, int64_t fresh) { __atomic_store_n(value, fresh, __ATOMIC_RELEASE); }
static inline int64_t add_release(int64_t *value, int64_t change) { return __atomic_add_fetch(value, change, __ATOMIC_ACQ_REL); }
/* 1 for the first that claims a generation, each of which is claimed by somebody before the next one begins */
static inline int claim(int64_t *claimed, int64_t generation) {
    int64_t before = generation - 1;
    return __atomic_compare_exchange_n(claimed, &before, generation, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
#else /* one thread only */
#define HAS_THREADS 0
static int64_t load_acquire(int64_t *value) { return *value; }
static void store_release(int64_t *value, int64_t fresh) { *value = fresh; }
static int64_t add_release(int64_t *value, int64_t change) { return *value += change; }
static int claim(int64_t *claimed, int64_t generation) { *claimed = generation; return 1; }
#endif

/* wait a moment: spin at first, then let other threads run */
static inline void relax(int64_t spins) {
    if (spins > 2000) { yield_now(); return; }
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) && defined(__GNUC__)
    __asm__ volatile("yield");
#endif
}

/* the same for whom nobody waits: after a while, sleep */
static inline void rest(int64_t spins) {
    if (spins > 3000) { sleep_now(); return; }
    relax(spins);
}

/* whether any of so many bytes is set */
#define BYTES_AT_ONCE 128
static inline int any_byte(const uint8_t *bytes) {
#if defined(__GNUC__) || defined(__clang__)
    typedef uint64_t pair __attribute__((vector_size(16)));
    pair x[8], all;
    int k;
    for (k = 0; k < 8; k++) __builtin_memcpy(&x[k], bytes + 16 * k, 16);
    all = (x[0] | x[1] | x[2] | x[3]) | (x[4] | x[5] | x[6] | x[7]);
    return (all[0] | all[1]) != 0;
#else
    int k, any = 0;
    for (k = 0; k < BYTES_AT_ONCE; k++) any |= bytes[k];
    return any;
#endif
}

/* which of 64 bytes are not zero, one bit each */
#if defined(__SSE2__)
#include <emmintrin.h>
static inline uint64_t set_of_64(const uint8_t *bytes) {
    const __m128i *p = (const __m128i *)bytes, zero = _mm_setzero_si128();
    __m128i a = _mm_loadu_si128(p), b = _mm_loadu_si128(p + 1), c = _mm_loadu_si128(p + 2), d = _mm_loadu_si128(p + 3);
    if (_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d)), zero)) == 0xFFFF) return 0;
    return ~((uint64_t)_mm_movemask_epi8(_mm_cmpeq_epi8(a, zero)) | (uint64_t)_mm_movemask_epi8(_mm_cmpeq_epi8(b, zero)) << 16
        | (uint64_t)_mm_movemask_epi8(_mm_cmpeq_epi8(c, zero)) << 32 | (uint64_t)_mm_movemask_epi8(_mm_cmpeq_epi8(d, zero)) << 48);
}
#else
#include <string.h>
static inline uint64_t set_of_64(const uint8_t *bytes) {
    uint64_t words[8], any = 0, bits = 0; int n;
    memcpy(words, bytes, 64);
    for (n = 0; n < 8; n++) any |= words[n];
    if (any) for (n = 0; n < 64; n++) bits |= (uint64_t)(bytes[n] != 0) << n;
    return bits;
}
#endif

/* the place of the lowest bit that is set, of which there must be one */
static inline int lowest_bit(uint64_t bits) {
#if defined(__GNUC__) || defined(__clang__)
    return __builtin_ctzll(bits);
#else
    int n = 0;
    while (!(bits >> n & 1)) n++;
    return n;
#endif
}
