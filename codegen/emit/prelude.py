"""The definitions that every Cython module of kernels begins with."""

from __future__ import annotations

from .base import POWERS

CONTEXT = """
#include <stddef.h>
#include <stdint.h>

#ifndef BRIANLIKE_KERNEL_CONTEXT
#define BRIANLIKE_KERNEL_CONTEXT
typedef struct {
    ptrdiff_t begin, end;             /* elements (whole blocks of 16), or positions in spikes */
    ptrdiff_t size;                   /* elements without padding */
    const int32_t *spikes;            /* elements that fired, ascending */
    const int64_t *rows;              /* synapses rows[r] to rows[r + 1], r = (source - first) * stride + row */
    ptrdiff_t first, stride, row;
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
typedef const int64_t *bl_index64;

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

static inline int64_t bl_timestep(double t, double dt) { return (int64_t)((t + 1e-3 * dt) / dt); }
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
"""

SUFFIXED = {"": "double", "f": "float"}
WHOLE = {"_long": "int64_t", "_int": "int32_t"}
LIBRARY = ("sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "exp", "log", "log10", "expm1", "log1p", "sqrt", "fabs", "ceil", "floor", "erf")
OWN_REAL = ("exprel", "exprel_slope", "exprel_curvature")
OWN_TYPED = ("sign", *POWERS.values())


def _declarations() -> list[str]:
    rows = ["ctypedef struct KernelContext:", "    ptrdiff_t begin, end, size, first, stride, row", "    uint64_t step", "    uint32_t seed, epoch, stream"]
    rows += ["    const int32_t *spikes", "    const int64_t *rows", "    const int32_t *order", "    const int32_t *i", "    const int32_t *j"]
    for name, ctype in (("f64", "double"), ("f32", "float"), ("i32", "int32_t"), ("i64", "int64_t"), ("u8", "uint8_t")):
        rows.append(f'ctypedef {ctype} *{name} "bl_{name}"')
    rows += ['ctypedef const int32_t *index32 "bl_index32"', 'ctypedef const int64_t *index64 "bl_index64"', 'void one_by_one "bl_one_by_one"()']
    rows += ["double INFINITY, NAN", 'int64_t timestep "bl_timestep"(double, double)', 'int isfinite "bl_isfinite"(double)']
    for suffix, t in SUFFIXED.items():
        rows += [f"{t} {name}{suffix}({t})" for name in LIBRARY]
        rows += [f"{t} pow{suffix}({t}, {t})", f'{t} exp_difference{suffix} "bl_exp_difference{suffix}"({t}, {t})']
        rows += [f'{t} {name}{suffix} "bl_{name}{suffix}"({t})' for name in OWN_REAL]
        rows += [f'{t} draw_{law}{suffix} "bl_draw_{law}{suffix}"(uint32_t, uint32_t, uint32_t, uint32_t, uint64_t, uint32_t)' for law in ("uniform", "normal")]
    rows += [f'{t} fabs{suffix} "bl_fabs{suffix}"({t})' for suffix, t in WHOLE.items()]
    for suffix, t in {**SUFFIXED, **WHOLE}.items():
        rows += [f'{t} {name}{suffix} "bl_{name}{suffix}"({t})' for name in OWN_TYPED]
        rows += [f'{t} {name}{suffix} "bl_{name}{suffix}"({t}, {t})' for name in ("floor_divide", "floor_modulo")]
        rows += [f'{t} where{suffix} "bl_where{suffix}"(int, {t}, {t})', f'{t} clip{suffix} "bl_clip{suffix}"({t}, {t}, {t})']
    return rows


PRELUDE = "\n".join(
    [
        "# cython: language_level=3",
        "from libc.stddef cimport ptrdiff_t",
        "from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t, uintptr_t",
        "",
        "cdef extern from * nogil:",
        '    """',
        CONTEXT.replace("\\", "\\\\") + MATHEMATICS.replace("\\", "\\\\") + RANDOM.replace("\\", "\\\\"),
        '    """',
        *("    " + row for row in _declarations()),
        "",
        "context_size = sizeof(KernelContext)",
        "kernels = {}",
        "",
    ]
)
