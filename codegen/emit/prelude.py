"""The definitions that every Cython module of kernels begins with."""

from __future__ import annotations

import re

from . import blocks
from .base import POWERS
from .lanes import LANES
from .lanes import declarations as lane_declarations
from .vector_prelude import DRAWS, VECTORS
from .vector_prelude import declarations as vector_declarations

CONTEXT = """
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
"""

MATHEMATICS = """
#include <math.h>

#if defined(__GNUC__) || defined(__clang__)
typedef double *__restrict__ bl_f64;
typedef float *__restrict__ bl_f32;
typedef int32_t *__restrict__ bl_i32;
typedef int64_t *__restrict__ bl_i64;
typedef uint8_t *__restrict__ bl_u8;
static inline void bl_one_by_one(void) { __asm__ volatile(""); }
#else
typedef double *__restrict bl_f64;
typedef float *__restrict bl_f32;
typedef int32_t *__restrict bl_i32;
typedef int64_t *__restrict bl_i64;
typedef uint8_t *__restrict bl_u8;
static inline void bl_one_by_one(void) {}
#endif
typedef const int32_t *bl_index32;
typedef const uint16_t *bl_index16;

#if defined(__GNUC__) || defined(__clang__)
#define BL_PREFETCH(address) __builtin_prefetch(address)
#else
#define BL_PREFETCH(address) ((void)0)
#endif

/* libmvec's vector variants, without -ffast-math */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__GLIBC__)
#define BL_SIMD1(name) __attribute__((simd("notinbranch"), const)) extern double name(double); \\
                       __attribute__((simd("notinbranch"), const)) extern float name##f(float);
#define BL_SIMD2(name) __attribute__((simd("notinbranch"), const)) extern double name(double, double); \\
                       __attribute__((simd("notinbranch"), const)) extern float name##f(float, float);
#if __GLIBC_PREREQ(2, 22)
BL_SIMD1(exp) BL_SIMD1(log) BL_SIMD1(sin) BL_SIMD1(cos) BL_SIMD2(pow)
#endif
#if __GLIBC_PREREQ(2, 35)
BL_SIMD1(tan) BL_SIMD1(sinh) BL_SIMD1(cosh) BL_SIMD1(tanh) BL_SIMD1(asin) BL_SIMD1(acos) BL_SIMD1(atan)
BL_SIMD1(log10) BL_SIMD1(expm1) BL_SIMD1(log1p) BL_SIMD1(erf)
#endif
#endif

#define BL_TYPED(T, S) \\
static inline T bl_where##S(int condition, T a, T b) { return condition ? a : b; } \\
static inline T bl_square##S(T x) { return x * x; } \\
static inline T bl_cube##S(T x) { return x * x * x; } \\
static inline T bl_fourth##S(T x) { return (x * x) * (x * x); } \\
static inline T bl_sign##S(T x) { return x != x ? x : (T)((x > 0) - (x < 0)); } \\
static inline T bl_clip##S(T x, T low, T high) { \\
    T y = (x < low || low != low) ? low : x; \\
    return (y > high || high != high) ? high : y; }

#define BL_REAL(T, S) \\
static inline T bl_floor_modulo##S(T a, T b) { \\
    T m = fmod##S(a, b); \\
    T shifted = ((m < 0) != (b < 0)) ? m + b : m; \\
    return m != 0 ? shifted : copysign##S(m, b); } \\
static inline T bl_floor_divide##S(T a, T b) { \\
    T m, q, f; \\
    if (b == 0) return a / b; \\
    m = fmod##S(a, b); \\
    q = (a - m) / b; \\
    if (m != 0 && (m < 0) != (b < 0)) q -= 1; \\
    if (q == 0) return copysign##S((T)0, a / b); \\
    f = floor##S(q); \\
    return q - f > (T)0.5 ? f + 1 : f; } \\
static inline T bl_exprel##S(T z) { T r = expm1##S(z) / z; return z == 0 ? (T)1 : z > (T)800 ? (T)INFINITY : r; } \\
static inline T bl_inverse_exprel##S(T z) { T r = z / expm1##S(z); return z == 0 ? (T)1 : z > (T)800 ? (T)0 : r; } \\
static inline T bl_exprel_slope##S(T z) { \\
    T direct = (exp##S(z) - bl_exprel##S(z)) / z, series = 0, term; int k; \\
    BL_SERIES(T, 2, 15) \\
    return (z < (T)0.5 && z > (T)-0.5) ? series : z > (T)700 ? (T)INFINITY : direct; } \\
static inline T bl_exprel_curvature##S(T z) { \\
    T direct = (exp##S(z) - 2 * bl_exprel_slope##S(z)) / z, series = 0, term; int k; \\
    BL_SERIES(T, 3, 18) \\
    return (z < (T)1 && z > (T)-1) ? series : z > (T)700 ? (T)INFINITY : direct; } \\
static inline T bl_exp_difference##S(T x, T y) { \\
    T high = x > y ? x : y, distance = x > y ? y - x : x - y; \\
    return exp##S(high) * bl_exprel##S(distance); }

/* the sum over k of z**k / (k! * (k + offset)), Horner's way */
#define BL_SERIES(T, offset, terms) \\
    term = 0; (void)term; (void)k; \\
    for (k = terms; k >= 0; k--) series = series * z / (T)(k + 1) + (T)1 / (T)(k + offset);

#define BL_WHOLE(T, S) \\
static inline T bl_fabs##S(T x) { return x < 0 ? -x : x; } \\
static inline T bl_floor_divide##S(T a, T b) { \\
    T q; \\
    if (b == 0) return 0; \\
    if (b == -1) return (T)(0 - (uint64_t)a); \\
    q = a / b; \\
    return q - (a % b != 0 && (a < 0) != (b < 0)); } \\
static inline T bl_floor_modulo##S(T a, T b) { \\
    T m; \\
    if (b == 0 || b == -1) return 0; \\
    m = a % b; \\
    return m != 0 && (m < 0) != (b < 0) ? m + b : m; }

BL_TYPED(double, ) BL_TYPED(float, f) BL_TYPED(int64_t, _long) BL_TYPED(int32_t, _int)
BL_REAL(double, ) BL_REAL(float, f)
BL_WHOLE(int64_t, _long) BL_WHOLE(int32_t, _int)

#define BL_ELEMENT(T, R, S, absent) \\
static inline R bl_value_at##S(const T *values, int64_t length, int64_t index) { return index >= 0 && index < length ? (R)values[index] : absent; }
BL_ELEMENT(double, double, , NAN) BL_ELEMENT(float, float, f, NAN) BL_ELEMENT(int64_t, int64_t, _long, 0) BL_ELEMENT(int32_t, int32_t, _int, 0)
BL_ELEMENT(uint8_t, int, _byte, 0)

static inline int64_t bl_timestep(double t, double dt) { return (int64_t)((t + 1e-3 * dt) / dt); }
static inline int64_t bl_table_row(double t, double dt, double interval) {
    double fine = floor(exp2(ceil(log2(8.0 / dt * interval)))), row;
    fine = fine > 1.0 ? fine : 1.0;
    row = rint(t / (interval / fine)) / fine;
    return (int64_t)(row > -9e18 ? (row < 9e18 ? row : 9e18) : -9e18);
}
static inline int bl_isfinite(double x) { return x - x == 0; }
"""

RANDOM = """
/* Philox4x32-10 (Salmon et al. 2011); brianlike/randomness.py has the same bits */
typedef struct { uint32_t a, b, c, d; } bl_words;
static inline bl_words bl_philox(uint32_t seed, uint32_t epoch, uint32_t stream, uint32_t number, uint64_t step, uint32_t element) {
    bl_words w = {(uint32_t)step, element, stream, (number & 0xFFFFu) | (uint32_t)(step >> 32) << 16};
    int round;
    for (round = 0; round < 10; round++) {
        uint64_t p = (uint64_t)0xD2511F53u * w.a, q = (uint64_t)0xCD9E8D57u * w.c;
        uint32_t a = (uint32_t)(q >> 32) ^ w.b ^ seed, c = (uint32_t)(p >> 32) ^ w.d ^ epoch;
        w.a = a; w.b = (uint32_t)q; w.c = c; w.d = (uint32_t)p;
        seed += 0x9E3779B9u; epoch += 0xBB67AE85u;
    }
    return w;
}
static inline double bl_unit(uint32_t high, uint32_t low) {
    return ((double)(int32_t)(high >> 5) * 67108864.0 + (double)(int32_t)(low >> 6)) * (1.0 / 9007199254740992.0);
}
#define BL_DRAW_ARGUMENTS uint32_t seed, uint32_t epoch, uint32_t stream, uint32_t number, uint64_t step, uint32_t element
static inline double bl_draw_uniform(BL_DRAW_ARGUMENTS) {
    bl_words w = bl_philox(seed, epoch, stream, number, step, element);
    return bl_unit(w.a, w.b);
}
static inline float bl_draw_uniformf(BL_DRAW_ARGUMENTS) {
    bl_words w = bl_philox(seed, epoch, stream, number, step, element);
    return (float)(int32_t)(w.a >> 8) * (1.0f / 16777216.0f);
}
static inline double bl_draw_normal(BL_DRAW_ARGUMENTS) {
    bl_words w = bl_philox(seed, epoch, stream, number, step, element);
    return sqrt(-2.0 * log(1.0 - bl_unit(w.a, w.b))) * cos(6.283185307179586 * bl_unit(w.c, w.d));
}
static inline float bl_draw_normalf(BL_DRAW_ARGUMENTS) { return (float)bl_draw_normal(seed, epoch, stream, number, step, element); }

/* Poisson and binomial numbers: brianlike/randomness.py has the same arithmetic, and says where it is from */
static bl_words bl_again(bl_words w, uint32_t seed, uint32_t epoch) {
    int round;
    for (round = 0; round < 10; round++) {
        uint64_t p = (uint64_t)0xD2511F53u * w.a, q = (uint64_t)0xCD9E8D57u * w.c;
        uint32_t a = (uint32_t)(q >> 32) ^ w.b ^ seed, c = (uint32_t)(p >> 32) ^ w.d ^ epoch;
        w.a = a; w.b = (uint32_t)q; w.c = c; w.d = (uint32_t)p;
        seed += 0x9E3779B9u; epoch += 0xBB67AE85u;
    }
    return w;
}
static double bl_stirling(double k) {
    static const double exact[16] = {
    0.0, 0.08106146679532726, 0.0413406959554093, 0.02767792568499834,
    0.020790672103765093, 0.016644691189821193, 0.013876128823070748, 0.01189670994589177,
    0.010411265261972096, 0.009255462182712733, 0.00833056343336287, 0.007573675487951841,
    0.00694284010720953, 0.006408994188004207, 0.0059513701127588475, 0.005554733551962801};
    double r, s;
    if (k < 16) return exact[(int)k];
    r = 1.0 / k; s = r * r;
    return r * (1.0 / 12.0 - s * (1.0 / 360.0 - s * (1.0 / 1260.0 - s * (1.0 / 1680.0 - s / 1188.0))));
}
static double bl_deviance(double x, double mean) {
    double difference = x - mean, total = x + mean, v = difference / total, s = difference * v, e = 2.0 * x * v, w = v * v;
    int j;
    if (!(fabs(difference) < 0.1 * total)) return x * log(x / mean) + mean - x;
    for (j = 1; j < 11; j++) { e = e * w; s = s + e / (2.0 * j + 1.0); }
    return s;
}
static double bl_log_poisson(double k, double mean) {
    if (k < 1) return -mean;
    return -bl_stirling(k) - bl_deviance(k, mean) - 0.5 * log(6.283185307179586 * k);
}
static double bl_log_binomial(double k, double n, double p) {
    double q = 1.0 - p, value;
    if (k < 1) return n * log1p(-p);
    if (k > n - 1.0) return n * log(p);
    value = bl_stirling(n) - bl_stirling(k) - bl_stirling(n - k) - bl_deviance(k, n * p) - bl_deviance(n - k, n * q);
    return value + 0.5 * log(n / (6.283185307179586 * k * (n - k)));
}
static int64_t bl_draw_poisson(BL_DRAW_ARGUMENTS, double mean) {
    bl_words w;
    double a, b, alpha, accept, u, v, us, k, p, total;
    if (!(mean > 0)) return 0;
    w = bl_philox(seed, epoch, stream, number, step, element);
    if (mean < 10) {
        u = bl_unit(w.a, w.b);
        p = exp(-mean); total = p;
        for (k = 0; u >= total && k < 64; ) { k += 1; p = p * (mean / k); total = total + p; }
        return (int64_t)k;
    }
    if (mean > 1e18) mean = 1e18;
    b = 0.931 + 2.53 * sqrt(mean);
    a = -0.059 + 0.02483 * b;
    alpha = 1.1239 + 1.1328 / (b - 3.4);
    accept = 0.9277 - 3.6224 / (b - 2.0);
    for (;; w = bl_again(w, seed, epoch)) {
        u = bl_unit(w.a, w.b) - 0.5; v = bl_unit(w.c, w.d);
        us = 0.5 - fabs(u);
        k = floor((2.0 * a / us + b) * u + mean + 0.43);
        if (!(k < 9e18) || k < 0 || (us < 0.013 && v > us)) continue;
        if (us >= 0.07 && v <= accept) return (int64_t)k;
        if (log(v * alpha / (a / (us * us) + b)) <= bl_log_poisson(k, mean)) return (int64_t)k;
    }
}
static int64_t bl_draw_binomial(BL_DRAW_ARGUMENTS, double n, double probability) {
    bl_words w;
    double p, a, b, alpha, accept, top, width, odds, u, v, us, k, most, total;
    int flipped = probability > 0.5;
    n = floor(n);
    if (!(n > 0) || n > 1e18) return 0;
    p = flipped ? (1.0 - probability > 0 ? 1.0 - probability : 0.0) : probability;
    if (!(p > 0)) return flipped ? (int64_t)n : 0;
    w = bl_philox(seed, epoch, stream, number, step, element);
    if (n * p < 10) {
        odds = p / (1.0 - p);
        most = n < 64.0 ? n : 64.0;
        u = bl_unit(w.a, w.b);
        b = exp(n * log1p(-p)); total = b;
        for (k = 0; u >= total && k < most; ) { k += 1; b = b * ((n + 1.0) * odds / k - odds); total = total + b; }
        return flipped ? (int64_t)n - (int64_t)k : (int64_t)k;
    }
    width = sqrt(n * p * (1.0 - p));
    b = 1.15 + 2.53 * width;
    a = -0.0873 + 0.0248 * b + 0.01 * p;
    alpha = (2.83 + 5.1 / b) * width;
    accept = 0.92 - 4.2 / b;
    top = bl_log_binomial(floor((n + 1.0) * p), n, p);
    for (;; w = bl_again(w, seed, epoch)) {
        u = bl_unit(w.a, w.b) - 0.5; v = bl_unit(w.c, w.d);
        us = 0.5 - fabs(u);
        k = floor((2.0 * a / us + b) * u + n * p + 0.5);
        if (!(k >= 0 && k <= n)) continue;
        if ((us >= 0.07 && v <= accept) || log(v * alpha / (a / (us * us) + b)) <= bl_log_binomial(k, n, p) - top)
            return flipped ? (int64_t)n - (int64_t)k : (int64_t)k;
    }
}
"""

SUFFIXED = {"": "double", "f": "float"}
WHOLE = {"_long": "int64_t", "_int": "int32_t"}
LIBRARY = ("sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "exp", "log", "log10", "expm1", "log1p", "sqrt", "fabs", "ceil", "floor", "erf")
OWN_REAL = ("exprel", "inverse_exprel", "exprel_slope", "exprel_curvature")
OWN_TYPED = ("sign", *POWERS.values())


def _declarations() -> list[str]:
    rows = ["ctypedef struct KernelContext:", "    ptrdiff_t begin, end, size, row, base, narrow, leap"]
    rows += ["    uint64_t step", "    uint32_t seed, epoch, stream", "    const void *ends"]
    rows += [f"    const int32_t *{name}" for name in ("spikes", "rows", "arrivals", "order", "i", "j")]
    for name, ctype in (("f64", "double"), ("f32", "float"), ("i32", "int32_t"), ("i64", "int64_t"), ("u8", "uint8_t")):
        rows.append(f'ctypedef {ctype} *{name} "bl_{name}"')
    rows += ['ctypedef const int32_t *index32 "bl_index32"', 'ctypedef const uint16_t *index16 "bl_index16"', 'void prefetch "BL_PREFETCH"(const void *)']
    rows += ['void one_by_one "bl_one_by_one"()']
    rows += ["double INFINITY, NAN", 'int64_t timestep "bl_timestep"(double, double)', 'int64_t table_row "bl_table_row"(double, double, double)']
    rows += ['int isfinite "bl_isfinite"(double)']
    for suffix, t in SUFFIXED.items():
        rows += [f"{t} {name}{suffix}({t})" for name in LIBRARY]
        rows += [f"{t} pow{suffix}({t}, {t})", f'{t} exp_difference{suffix} "bl_exp_difference{suffix}"({t}, {t})']
        rows += [f'{t} {name}{suffix} "bl_{name}{suffix}"({t})' for name in OWN_REAL]
        rows += [f'{t} draw_{law}{suffix} "bl_draw_{law}{suffix}"(uint32_t, uint32_t, uint32_t, uint32_t, uint64_t, uint32_t)' for law in ("uniform", "normal")]
    draw = "uint32_t, uint32_t, uint32_t, uint32_t, uint64_t, uint32_t"
    rows += [f'int64_t draw_poisson "bl_draw_poisson"({draw}, double)', f'int64_t draw_binomial "bl_draw_binomial"({draw}, double, double)']
    for suffix, t, result in (*((s, t, t) for s, t in {**SUFFIXED, **WHOLE}.items()), ("_byte", "uint8_t", "int")):
        rows.append(f'{result} value_at{suffix} "bl_value_at{suffix}"(const {t} *, int64_t, int64_t)')
    rows += [f'{t} fabs{suffix} "bl_fabs{suffix}"({t})' for suffix, t in WHOLE.items()]
    for suffix, t in {**SUFFIXED, **WHOLE}.items():
        rows += [f'{t} {name}{suffix} "bl_{name}{suffix}"({t})' for name in OWN_TYPED]
        rows += [f'{t} {name}{suffix} "bl_{name}{suffix}"({t}, {t})' for name in ("floor_divide", "floor_modulo")]
        rows += [f'{t} where{suffix} "bl_where{suffix}"(int, {t}, {t})', f'{t} clip{suffix} "bl_clip{suffix}"({t}, {t}, {t})']
    return rows


HEAD = "\n".join(
    [
        "# cython: language_level=3",
        "from libc.stddef cimport ptrdiff_t",
        "from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t",
        "",
        "cdef extern from * nogil:",
        '    """',
        (CONTEXT + MATHEMATICS + LANES + VECTORS + RANDOM + DRAWS + blocks.BLOCKS).replace("\\", "\\\\"),
        '    """',
        "",
    ]
)
ROWS = (*_declarations(), *lane_declarations(), *vector_declarations(), *blocks.declarations())
FOOT = "\n\ncontext_size = sizeof(KernelContext)\nkernels = {}\n"
PRELUDE = HEAD + "\n".join("    " + row for row in ROWS) + FOOT
"""All of it, which is what machine code depends on."""


def prelude(text: str) -> str:
    """What a module with this text begins with: the functions that it does not call are not declared, which Cython would take a while to read."""
    names = set(re.findall(r"\w+", text))
    functions = {row: found[1] for row in ROWS if (found := re.match(r"\w[\w *]*?(\w+)(?: \"\w+\")?\(", row))}
    return HEAD + "\n".join("    " + row for row in ROWS if functions.get(row) is None or functions[row] in names) + FOOT
