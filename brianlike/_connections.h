/* Philox, laws and loops over synapses for _connections.pyx. The kernels are compiled for several instruction sets, of which `choose` takes one when the
 * extension is loaded; they give the same bits (no fused multiply-add, whole words, sums in one order). */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
/* whole pages of memory that nobody reads any more */
static void forget_pages(void *data, size_t size) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = ((uintptr_t)data + page - 1) / page * page, last = ((uintptr_t)data + size) / page * page;
    if (first < last) madvise((void *)first, last - first, MADV_DONTNEED);
}
#else
static void forget_pages(void *data, size_t size) { (void)data; (void)size; }
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(_WIN32) /* clang has no `#pragma GCC target` */
#define HAS_VARIANTS 1
#include <immintrin.h>
#else
#define HAS_VARIANTS 0
#endif

#ifndef __GNUC__
#define __restrict__
#endif

enum { DENSE = 0x636f6e6e, SPARSE = 0x636f6e6f, THINNED = 0x636f6e70 }; /* last words of counters: draws for runs of candidates never meet others */

/* Candidates: run r has those from start to stop of a row, each with probability p. A step of 0 means one value for all runs. */
typedef struct {
    const int32_t *row, *start, *stop;
    const double *p;
    ptrdiff_t row_step, start_step, stop_step, p_step;
    uint32_t seed, epoch;
} Runs;

/* Where random numbers for elements are taken from: element k has the number `element[k]`, or first + k; its step is `row[k]`, or step. */
typedef struct {
    uint32_t seed, epoch, step, stream, last;
    int64_t first;
    const int64_t *element;
    const int32_t *row, *column;
} Place;

static inline double unit(uint32_t high, uint32_t low) {
    return ((double)(int32_t)(high >> 5) * 67108864.0 + (double)(int32_t)(low >> 6)) * (1.0 / 9007199254740992.0);
}

static inline uint64_t bits_of(double x) { uint64_t b; memcpy(&b, &x, 8); return b; }
static inline double real_of(uint64_t b) { double x; memcpy(&x, &b, 8); return x; }

/* log of a normal positive number: the series of 2 atanh((m - 1)/(m + 1)) for the mantissa between 1/sqrt(2) and sqrt(2) */
static inline double natural_log(double x) {
    uint64_t bits = bits_of(x), shifted = bits + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
    double exponent = (double)(int32_t)((shifted >> 52) - 1023u);
    double m = real_of((shifted & 0x000fffffffffffffu) + 0x3fe6a09e667f3bcdu);
    double f = m - 1.0, g = f / (2.0 + f), s = g * g, half = 0.5 * f * f, t;
    t = 1.0 / 21.0 + s * (1.0 / 23.0);
    t = 1.0 / 17.0 + s * (1.0 / 19.0 + s * t);
    t = 1.0 / 13.0 + s * (1.0 / 15.0 + s * t);
    t = 1.0 / 9.0 + s * (1.0 / 11.0 + s * t);
    t = 1.0 / 5.0 + s * (1.0 / 7.0 + s * t);
    t = 2.0 * s * (1.0 / 3.0 + s * t);
    /* log(1 + f) = f - (f*f/2 - g*(f*f/2 + t)), where log((1 + g)/(1 - g)) = 2 g + g t */
    return exponent * 6.93147180369123816490e-01 - ((half - (g * (half + t) + exponent * 1.90821492927058770002e-10)) - f);
}

/* cos(2 pi u) for u in [0, 1) */
static inline double cos_of_turns(double u) {
    double quarter = (double)(int32_t)(4.0 * u + 0.5), r = 6.283185307179586 * (u - 0.25 * quarter), s = r * r, c, n;
    uint32_t q = (uint32_t)(int32_t)quarter;
    c = 1.0 / 20922789888000.0 - s * (1.0 / 6402373705728000.0);
    c = -1.0 / 3628800.0 + s * (1.0 / 479001600.0 + s * (-1.0 / 87178291200.0 + s * c));
    c = 1.0 + s * (-0.5 + s * (1.0 / 24.0 + s * (-1.0 / 720.0 + s * (1.0 / 40320.0 + s * c))));
    n = 1.0 / 6227020800.0 - s * (1.0 / 1307674368000.0);
    n = 1.0 / 362880.0 + s * (-1.0 / 39916800.0 + s * n);
    n = r + r * s * (-1.0 / 6.0 + s * (1.0 / 120.0 + s * (-1.0 / 5040.0 + s * n)));
    c = (q & 1u) ? n : c;
    return real_of(bits_of(c) ^ ((uint64_t)(((q + 1u) >> 1) & 1u) << 63)); /* 1, -sin, -cos, sin, 1 */
}

#define NAME(x) x##_plain
#define WIDTH 0
#include "_connections_kernels.h"
#undef WIDTH
#undef NAME
#if HAS_VARIANTS
#pragma GCC push_options
#pragma GCC target("avx2,popcnt,bmi")
#define NAME(x) x##_avx2
#define WIDTH 4
#include "_connections_kernels.h"
#undef WIDTH
#undef NAME
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,popcnt,bmi,prefer-vector-width=512")
#define NAME(x) x##_avx512
#define WIDTH 8
#include "_connections_kernels.h"
#undef WIDTH
#undef NAME
#pragma GCC pop_options
#endif

typedef struct {
    ptrdiff_t (*draw_runs)(const Runs *, ptrdiff_t, ptrdiff_t, int32_t *, int32_t *, int64_t, int64_t *, int32_t *);
    ptrdiff_t (*keep)(const uint8_t *, ptrdiff_t, const int32_t *, const int32_t *, int32_t *, int32_t *);
    void (*uniforms)(const Place *, ptrdiff_t, double *);
    void (*normals)(const Place *, ptrdiff_t, double *);
} Kernels;

/* `wanted`: 0 plain, 4 AVX2, 8 AVX-512; what the processor lacks is passed over. Returns the width that is taken. */
static int choose(int wanted, Kernels *kernels) {
#if HAS_VARIANTS
    __builtin_cpu_init();
    if (wanted >= 8 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl")) {
        kernels->draw_runs = draw_runs_avx512; kernels->keep = keep_avx512; kernels->uniforms = uniforms_avx512; kernels->normals = normals_avx512;
        return 8;
    }
    if (wanted >= 4 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi")) {
        kernels->draw_runs = draw_runs_avx2; kernels->keep = keep_avx2; kernels->uniforms = uniforms_avx2; kernels->normals = normals_avx2;
        return 4;
    }
#endif
    (void)wanted;
    kernels->draw_runs = draw_runs_plain; kernels->keep = keep_plain; kernels->uniforms = uniforms_plain; kernels->normals = normals_plain;
    return 0;
}
