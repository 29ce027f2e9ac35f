"""The definitions that vectorised kernels call: loads, masks and functions for a whole vector of values, in C.

Vectors are as wide as the processor's registers: 8 doubles with AVX-512, 4 with AVX2, 2 elsewhere, and twice as many floats. gcc 12 takes wider ones apart
badly (10 times slower, measured).

`exp`, `expm1` and what is made of them are polynomials without branches (Cody & Waite's reduction; coefficients interpolate (expm1(r) - r)/r**2 at Chebyshev's
points): inlined, they share their parts where a kernel takes several functions of one argument. Errors are below 2 units in the last place
(`tests/test_vectors.py`).
"""

from __future__ import annotations

import re

VECTORS = """
#include <string.h>
#if defined(__GNUC__) || defined(__clang__)
#define BL_INLINE static inline __attribute__((always_inline))
#else
#define BL_INLINE static inline
#endif
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__)
#define BL_LANES 8
#define BL_EACH(x) {x, x, x, x, x, x, x, x}
#define BL_EACH2(x) {x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}
#define BL_LOW 0, 1, 2, 3, 4, 5, 6, 7
#define BL_HIGH 8, 9, 10, 11, 12, 13, 14, 15
#elif defined(__AVX2__)
#define BL_LANES 4
#define BL_EACH(x) {x, x, x, x}
#define BL_EACH2(x) {x, x, x, x, x, x, x, x}
#define BL_LOW 0, 1, 2, 3
#define BL_HIGH 4, 5, 6, 7
#else
#define BL_LANES 2
#define BL_EACH(x) {x, x}
#define BL_EACH2(x) {x, x, x, x}
#define BL_LOW 0, 1
#define BL_HIGH 2, 3
#endif
#define BL_LANES2 (2 * BL_LANES)
#define BL_VECTOR(T, N, name) typedef T name __attribute__((vector_size(N * sizeof(T))));
BL_VECTOR(double, BL_LANES, bl_vd) BL_VECTOR(int64_t, BL_LANES, bl_vq) BL_VECTOR(uint64_t, BL_LANES, bl_vu) BL_VECTOR(int32_t, BL_LANES, bl_vh)
BL_VECTOR(float, BL_LANES2, bl_vf) BL_VECTOR(int32_t, BL_LANES2, bl_vi) BL_VECTOR(float, BL_LANES, bl_vg)
BL_VECTOR(uint8_t, BL_LANES, bl_b8) BL_VECTOR(uint8_t, BL_LANES2, bl_b16)
typedef struct { bl_vq low, high; } bl_vw;
#if BL_LANES == 8 && defined(__GNUC__) && !defined(__clang__) && __GNUC__ <= 15 && !defined(BL_NO_BUILTINS)
#define BL_AVX512 1 /* builtins of gcc's own, which no standard keeps: the headers that name them take longer to read than a kernel to compile */
typedef char bl_bytes __attribute__((vector_size(16)));
typedef long long bl_two __attribute__((vector_size(16)));
typedef long long bl_long8 __attribute__((vector_size(64)));
#endif
#define BL_TO(V, x) __builtin_convertvector(x, V)

/* loads, stores, one value in all lanes, choices: V type, T type of an element, M the mask seen as integers of that width */
#define BL_MEMORY(V, T, S, EACH) \\
BL_INLINE V bl_load_##S(const T *p) { V x; memcpy(&x, p, sizeof x); return x; } \\
BL_INLINE void bl_store_##S(T *p, V x) { memcpy(p, &x, sizeof x); } \\
BL_INLINE V bl_splat_##S(T x) { V v = EACH(x); return v; }
BL_MEMORY(bl_vd, double, d, BL_EACH) BL_MEMORY(bl_vq, int64_t, q, BL_EACH) BL_MEMORY(bl_vh, int32_t, h, BL_EACH)
BL_MEMORY(bl_vf, float, f, BL_EACH2) BL_MEMORY(bl_vi, int32_t, i, BL_EACH2)
#define BL_CHOICE(V, M, S) BL_INLINE V bl_where_##S(M m, V a, V b) { return (V)((m & (M)a) | (~m & (M)b)); }
BL_CHOICE(bl_vd, bl_vq, d) BL_CHOICE(bl_vq, bl_vq, q) BL_CHOICE(bl_vq, bl_vq, m)
BL_CHOICE(bl_vf, bl_vi, f) BL_CHOICE(bl_vi, bl_vi, i) BL_CHOICE(bl_vi, bl_vi, n)
BL_INLINE bl_vh bl_where_h(bl_vq m, bl_vh a, bl_vh b) { bl_vh c = BL_TO(bl_vh, m); return (c & a) | (~c & b); }

/* booleans: bytes in memory, masks in vectors */
BL_INLINE bl_vq bl_splat_m(int x) { return bl_splat_q(-(int64_t)(x != 0)); }
BL_INLINE bl_vi bl_splat_n(int x) { return bl_splat_i(-(x != 0)); }
#ifdef BL_AVX512
BL_INLINE bl_vq bl_load_m(const uint8_t *p) {
    long long word; bl_bytes x; memcpy(&word, p, 8);
    x = (bl_bytes)(bl_two){word, 0};  /* not by way of the stack, where gcc 12 makes the load wait for the store */
    return (bl_vq)__builtin_ia32_pmovzxbq512_mask(x, (bl_long8)BL_EACH(0), (unsigned char)-1) != 0; }
BL_INLINE bl_vi bl_load_n(const uint8_t *p) {
    bl_bytes x; memcpy(&x, p, 16);
    return __builtin_ia32_pmovzxbd512_mask(x, (bl_vi)BL_EACH2(0), (unsigned short)-1) != 0; }
BL_INLINE void bl_store_m(uint8_t *p, bl_vq m) {
    bl_bytes x = __builtin_ia32_pmovqb512_mask((bl_long8)m, (bl_bytes){0}, (unsigned char)-1) & (bl_bytes)BL_EACH2(1); memcpy(p, &x, 8); }
BL_INLINE void bl_store_n(uint8_t *p, bl_vi m) {
    bl_bytes x = __builtin_ia32_pmovdb512_mask(m, (bl_bytes){0}, (unsigned short)-1) & (bl_bytes)BL_EACH2(1); memcpy(p, &x, 16); }
BL_INLINE int bl_any_m(bl_vq m) { return __builtin_ia32_ptestmq512((bl_long8)m, (bl_long8)m, (unsigned char)-1) != 0; }
BL_INLINE int bl_any_n(bl_vi m) { return __builtin_ia32_ptestmd512(m, m, (unsigned short)-1) != 0; }
#else
BL_INLINE bl_vq bl_load_m(const uint8_t *p) { bl_b8 x; memcpy(&x, p, sizeof x); return BL_TO(bl_vq, x) != 0; }
BL_INLINE bl_vi bl_load_n(const uint8_t *p) { bl_b16 x; memcpy(&x, p, sizeof x); return BL_TO(bl_vi, x) != 0; }
BL_INLINE void bl_store_m(uint8_t *p, bl_vq m) { bl_b8 x = BL_TO(bl_b8, m & 1); memcpy(p, &x, sizeof x); }
BL_INLINE void bl_store_n(uint8_t *p, bl_vi m) { bl_b16 x = BL_TO(bl_b16, m & 1); memcpy(p, &x, sizeof x); }
BL_INLINE int bl_any_m(bl_vq m) { int64_t any = 0; int k; for (k = 0; k < BL_LANES; k++) any |= m[k]; return any != 0; }
BL_INLINE int bl_any_n(bl_vi m) { int32_t any = 0; int k; for (k = 0; k < BL_LANES2; k++) any |= m[k]; return any != 0; }
#endif

/* the lower and upper half of the lanes of floats */
#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define BL_SHUFFLE 1
#endif
#endif
#ifdef BL_SHUFFLE
#define BL_HALVES(V, H, S) \\
BL_INLINE H bl_low_##S(V x) { return __builtin_shufflevector(x, x, BL_LOW); } \\
BL_INLINE H bl_high_##S(V x) { return __builtin_shufflevector(x, x, BL_HIGH); } \\
BL_INLINE V bl_join_##S(H a, H b) { return __builtin_shufflevector(a, b, BL_LOW, BL_HIGH); }
#else
#define BL_HALVES(V, H, S) \\
BL_INLINE H bl_low_##S(V x) { H r; int k; for (k = 0; k < BL_LANES; k++) r[k] = x[k]; return r; } \\
BL_INLINE H bl_high_##S(V x) { H r; int k; for (k = 0; k < BL_LANES; k++) r[k] = x[k + BL_LANES]; return r; } \\
BL_INLINE V bl_join_##S(H a, H b) { V r; int k; for (k = 0; k < BL_LANES; k++) { r[k] = a[k]; r[k + BL_LANES] = b[k]; } return r; }
#endif
BL_HALVES(bl_vi, bl_vh, i) BL_HALVES(bl_vf, bl_vg, f)

/* from one kind to another; a mask counts as 0 or 1 */
BL_INLINE bl_vq bl_d_to_q(bl_vd x) { return BL_TO(bl_vq, x); }
BL_INLINE bl_vh bl_d_to_h(bl_vd x) { return BL_TO(bl_vh, x); }
BL_INLINE bl_vq bl_d_to_m(bl_vd x) { return x != 0; }
BL_INLINE bl_vd bl_q_to_d(bl_vq x) { return BL_TO(bl_vd, x); }
BL_INLINE bl_vh bl_q_to_h(bl_vq x) { return BL_TO(bl_vh, x); }
BL_INLINE bl_vq bl_q_to_m(bl_vq x) { return x != 0; }
BL_INLINE bl_vd bl_h_to_d(bl_vh x) { return BL_TO(bl_vd, x); }
BL_INLINE bl_vq bl_h_to_q(bl_vh x) { return BL_TO(bl_vq, x); }
BL_INLINE bl_vq bl_h_to_m(bl_vh x) { return BL_TO(bl_vq, x != 0); }
BL_INLINE bl_vd bl_m_to_d(bl_vq x) { return BL_TO(bl_vd, x & 1); }
BL_INLINE bl_vq bl_m_to_q(bl_vq x) { return x & 1; }
BL_INLINE bl_vh bl_m_to_h(bl_vq x) { return BL_TO(bl_vh, x & 1); }
BL_INLINE bl_vi bl_f_to_i(bl_vf x) { return BL_TO(bl_vi, x); }
BL_INLINE bl_vi bl_f_to_n(bl_vf x) { return x != 0; }
BL_INLINE bl_vf bl_i_to_f(bl_vi x) { return BL_TO(bl_vf, x); }
BL_INLINE bl_vi bl_i_to_n(bl_vi x) { return x != 0; }
BL_INLINE bl_vf bl_n_to_f(bl_vi x) { return BL_TO(bl_vf, x & 1); }
BL_INLINE bl_vi bl_n_to_i(bl_vi x) { return x & 1; }
BL_INLINE bl_vw bl_i_to_w(bl_vi x) { bl_vw r = {BL_TO(bl_vq, bl_low_i(x)), BL_TO(bl_vq, bl_high_i(x))}; return r; }
BL_INLINE bl_vw bl_n_to_w(bl_vi x) { return bl_i_to_w(x & 1); }
BL_INLINE bl_vi bl_w_to_i(bl_vw x) { return bl_join_i(BL_TO(bl_vh, x.low), BL_TO(bl_vh, x.high)); }
BL_INLINE bl_vi bl_w_to_n(bl_vw x) { return bl_join_i(BL_TO(bl_vh, x.low != 0), BL_TO(bl_vh, x.high != 0)); }
BL_INLINE bl_vf bl_w_to_f(bl_vw x) { return bl_join_f(BL_TO(bl_vg, x.low), BL_TO(bl_vg, x.high)); }
BL_INLINE bl_vw bl_f_to_w(bl_vf x) { bl_vw r = {BL_TO(bl_vq, bl_low_f(x)), BL_TO(bl_vq, bl_high_f(x))}; return r; }

/* as many integers of 64 bits as floats are two vectors */
BL_INLINE bl_vw bl_load_w(const int64_t *p) { bl_vw x = {bl_load_q(p), bl_load_q(p + BL_LANES)}; return x; }
BL_INLINE void bl_store_w(int64_t *p, bl_vw x) { bl_store_q(p, x.low); bl_store_q(p + BL_LANES, x.high); }
BL_INLINE bl_vw bl_splat_w(int64_t x) { bl_vw v = {bl_splat_q(x), bl_splat_q(x)}; return v; }
BL_INLINE bl_vw bl_where_w(bl_vi m, bl_vw a, bl_vw b) {
    bl_vw r = {bl_where_q(BL_TO(bl_vq, bl_low_i(m)), a.low, b.low), bl_where_q(BL_TO(bl_vq, bl_high_i(m)), a.high, b.high)}; return r; }
#define BL_PAIRED(name, operator) BL_INLINE bl_vw bl_##name##_w(bl_vw a, bl_vw b) { bl_vw r = {a.low operator b.low, a.high operator b.high}; return r; }
BL_PAIRED(add, +) BL_PAIRED(subtract, -) BL_PAIRED(multiply, *)
BL_INLINE bl_vw bl_negate_w(bl_vw x) { bl_vw r = {-x.low, -x.high}; return r; }
#define BL_COMPARED(name, operator) \\
BL_INLINE bl_vq bl_##name##_h(bl_vh a, bl_vh b) { return BL_TO(bl_vq, a operator b); } \\
BL_INLINE bl_vi bl_##name##_w(bl_vw a, bl_vw b) { return bl_join_i(BL_TO(bl_vh, a.low operator b.low), BL_TO(bl_vh, a.high operator b.high)); }
BL_COMPARED(less, <) BL_COMPARED(at_most, <=) BL_COMPARED(greater, >) BL_COMPARED(at_least, >=) BL_COMPARED(equal, ==) BL_COMPARED(different, !=)

/* functions lane by lane; libmvec has some of them for whole vectors */
#define BL_EVERY1(V, R, T, U, S, N, name, function) \\
BL_INLINE R bl_##name##_##S(V x) { \\
    T in[N]; U out[N]; R r; int k; memcpy(in, &x, sizeof in); \\
    for (k = 0; k < N; k++) out[k] = function(in[k]); \\
    memcpy(&r, out, sizeof r); return r; }
#define BL_EVERY2(V, R, T, U, S, N, name, function) \\
BL_INLINE R bl_##name##_##S(V x, V y) { \\
    T in[N], by[N]; U out[N]; R r; int k; memcpy(in, &x, sizeof in); memcpy(by, &y, sizeof by); \\
    for (k = 0; k < N; k++) out[k] = function(in[k], by[k]); \\
    memcpy(&r, out, sizeof r); return r; }
#define BL_BOTH1(name, function) BL_EVERY1(bl_vd, bl_vd, double, double, d, BL_LANES, name, function) \\
BL_EVERY1(bl_vf, bl_vf, float, float, f, BL_LANES2, name, function##f)
#define BL_BOTH2(name, function) BL_EVERY2(bl_vd, bl_vd, double, double, d, BL_LANES, name, function) \\
BL_EVERY2(bl_vf, bl_vf, float, float, f, BL_LANES2, name, function##f)
#if defined(BL_AVX512) && defined(__x86_64__) && defined(__GLIBC__)
#if __GLIBC_PREREQ(2, 35)
#define BL_LIBMVEC 1
#endif
#endif
#ifdef BL_LIBMVEC
#define BL_LIBRARY1(name) \\
__attribute__((const)) extern bl_vd _ZGVeN8v_##name(bl_vd); __attribute__((const)) extern bl_vf _ZGVeN16v_##name##f(bl_vf); \\
BL_INLINE bl_vd bl_##name##_d(bl_vd x) { return _ZGVeN8v_##name(x); } \\
BL_INLINE bl_vf bl_##name##_f(bl_vf x) { return _ZGVeN16v_##name##f(x); }
__attribute__((const)) extern bl_vd _ZGVeN8vv_pow(bl_vd, bl_vd);
__attribute__((const)) extern bl_vf _ZGVeN16vv_powf(bl_vf, bl_vf);
BL_INLINE bl_vd bl_pow_d(bl_vd x, bl_vd y) { return _ZGVeN8vv_pow(x, y); }
BL_INLINE bl_vf bl_pow_f(bl_vf x, bl_vf y) { return _ZGVeN16vv_powf(x, y); }
#else
#define BL_LIBRARY1(name) BL_BOTH1(name, name)
BL_BOTH2(pow, pow)
#endif
BL_LIBRARY1(log) BL_LIBRARY1(log10) BL_LIBRARY1(log1p) BL_LIBRARY1(sin) BL_LIBRARY1(cos) BL_LIBRARY1(tan) BL_LIBRARY1(sinh) BL_LIBRARY1(cosh)
BL_LIBRARY1(tanh) BL_LIBRARY1(asin) BL_LIBRARY1(acos) BL_LIBRARY1(atan) BL_LIBRARY1(erf)
BL_BOTH1(exprel_slope, bl_exprel_slope) BL_BOTH1(exprel_curvature, bl_exprel_curvature)
BL_BOTH2(floor_divide, bl_floor_divide) BL_BOTH2(floor_modulo, bl_floor_modulo)
BL_EVERY2(bl_vq, bl_vq, int64_t, int64_t, q, BL_LANES, floor_divide, bl_floor_divide_long)
BL_EVERY2(bl_vq, bl_vq, int64_t, int64_t, q, BL_LANES, floor_modulo, bl_floor_modulo_long)
BL_EVERY2(bl_vh, bl_vh, int32_t, int32_t, h, BL_LANES, floor_divide, bl_floor_divide_int)
BL_EVERY2(bl_vh, bl_vh, int32_t, int32_t, h, BL_LANES, floor_modulo, bl_floor_modulo_int)
BL_INLINE bl_vq bl_table_row_d(bl_vd t, bl_vd dt, bl_vd interval) {
    bl_vq r; int k; for (k = 0; k < BL_LANES; k++) r[k] = bl_table_row(t[k], dt[k], interval[k]); return r; }
BL_INLINE bl_vq bl_timestep_d(bl_vd t, bl_vd dt) { return BL_TO(bl_vq, (t + 1e-3 * dt) / dt); }
#define BL_GATHER(V, T, S, Z) \\
BL_INLINE V bl_value_at_v##S(const T *values, int64_t length, bl_vq index) { \\
    V r; int k; for (k = 0; k < BL_LANES; k++) r[k] = Z bl_value_at##S(values, length, index[k]); return r; }
BL_GATHER(bl_vd, double, , ) BL_GATHER(bl_vq, int64_t, _long, ) BL_GATHER(bl_vh, int32_t, _int, ) BL_GATHER(bl_vq, uint8_t, _byte, -(int64_t)0 != )

/* functions without branches */
#define BL_PRODUCTS(V, S) \\
BL_INLINE V bl_square_##S(V x) { return x * x; } \\
BL_INLINE V bl_cube_##S(V x) { return x * x * x; } \\
BL_INLINE V bl_fourth_##S(V x) { return (x * x) * (x * x); }
BL_PRODUCTS(bl_vd, d) BL_PRODUCTS(bl_vf, f) BL_PRODUCTS(bl_vq, q) BL_PRODUCTS(bl_vh, h) BL_PRODUCTS(bl_vi, i)
#ifdef BL_AVX512
BL_INLINE bl_vd bl_fma_d(bl_vd a, bl_vd b, bl_vd c) { return __builtin_ia32_vfmaddpd512_mask(a, b, c, (unsigned char)-1, 4); }
BL_INLINE bl_vf bl_fma_f(bl_vf a, bl_vf b, bl_vf c) { return __builtin_ia32_vfmaddps512_mask(a, b, c, (unsigned short)-1, 4); }
#elif defined(__FMA__) || defined(__ARM_FEATURE_FMA)
BL_INLINE bl_vd bl_fma_d(bl_vd a, bl_vd b, bl_vd c) { bl_vd r; int k; for (k = 0; k < BL_LANES; k++) r[k] = __builtin_fma(a[k], b[k], c[k]); return r; }
BL_INLINE bl_vf bl_fma_f(bl_vf a, bl_vf b, bl_vf c) { bl_vf r; int k; for (k = 0; k < BL_LANES2; k++) r[k] = __builtin_fmaf(a[k], b[k], c[k]); return r; }
#else
BL_INLINE bl_vd bl_fma_d(bl_vd a, bl_vd b, bl_vd c) { return a * b + c; }
BL_INLINE bl_vf bl_fma_f(bl_vf a, bl_vf b, bl_vf c) { return a * b + c; }
#endif
#define BL_FUNCTIONS(V, I, T, U, S, F, N, EACH, BITS) \\
BL_INLINE V bl_sqrt_##S(V x) { V r; int k; for (k = 0; k < N; k++) r[k] = __builtin_sqrt##F(x[k]); return r; } \\
BL_INLINE V bl_floor_##S(V x) { V r; int k; for (k = 0; k < N; k++) r[k] = __builtin_floor##F(x[k]); return r; } \\
BL_INLINE V bl_ceil_##S(V x) { V r; int k; for (k = 0; k < N; k++) r[k] = __builtin_ceil##F(x[k]); return r; } \\
BL_INLINE V bl_fabs_##S(V x) { return (V)((I)x & (I)EACH(BITS)); } \\
BL_INLINE V bl_sign_##S(V x) { V one = EACH(1), zero = EACH(0); \\
    return bl_where_##S(x > 0, one, bl_where_##S(x < 0, -one, bl_where_##S(x == 0, zero, x))); } \\
BL_INLINE V bl_clip_##S(V x, V low, V high) { \\
    V y = bl_where_##S((x < low) | (low != low), low, x); \\
    return bl_where_##S((y > high) | (high != high), high, y); }
BL_FUNCTIONS(bl_vd, bl_vq, double, int64_t, d, , BL_LANES, BL_EACH, 0x7fffffffffffffff)
BL_FUNCTIONS(bl_vf, bl_vi, float, int32_t, f, f, BL_LANES2, BL_EACH2, 0x7fffffff)

/* y * 2**n for whole n between -1100 and 1100; x kept below or above a bound (NaN stays); y, or 1 where x is 0 */
#ifdef BL_AVX512
#define BL_MASKED(V, T, S, F, EACH, mask) \\
BL_INLINE V bl_below_##S(V x, T high) { return __builtin_ia32_min##F##512_mask((V)EACH(high), x, (V)EACH(0), (mask)-1, 4); } \\
BL_INLINE V bl_above_##S(V x, T low) { return __builtin_ia32_max##F##512_mask((V)EACH(low), x, (V)EACH(0), (mask)-1, 4); } \\
BL_INLINE V bl_one_at_zero_##S(V x, V y) { \\
    return __builtin_ia32_blendm##F##_512_mask(y, (V)EACH(1), __builtin_ia32_cmp##F##512_mask(x, (V)EACH(0), 0, (mask)-1, 4)); }
BL_MASKED(bl_vd, double, d, pd, BL_EACH, unsigned char) BL_MASKED(bl_vf, float, f, ps, BL_EACH2, unsigned short)
BL_INLINE bl_vd bl_scale_d(bl_vd y, bl_vd n) { return __builtin_ia32_scalefpd512_mask(y, n, (bl_vd)BL_EACH(0), (unsigned char)-1, 4); }
BL_INLINE bl_vf bl_scale_f(bl_vf y, bl_vf n) { return __builtin_ia32_scalefps512_mask(y, n, (bl_vf)BL_EACH2(0), (unsigned short)-1, 4); }
#else
#define BL_MASKED(V, T, S, EACH) \\
BL_INLINE V bl_below_##S(V x, T high) { return bl_where_##S(x > high, (V)EACH(high), x); } \\
BL_INLINE V bl_above_##S(V x, T low) { return bl_where_##S(x < low, (V)EACH(low), x); } \\
BL_INLINE V bl_one_at_zero_##S(V x, V y) { return bl_where_##S(x == 0, (V)EACH(1), y); }
BL_MASKED(bl_vd, double, d, BL_EACH) BL_MASKED(bl_vf, float, f, BL_EACH2)
BL_INLINE bl_vd bl_scale_d(bl_vd y, bl_vd n) {
    bl_vd shift = BL_EACH(6755399441055744.0);
    bl_vq k = (bl_vq)(n + shift) - (bl_vq)shift, half = (bl_vq)((bl_vu)(k + 4096) >> 1) - 2048;
    return y * (bl_vd)((half + 1023) << 52) * (bl_vd)((k - half + 1023) << 52); }
BL_INLINE bl_vf bl_scale_f(bl_vf y, bl_vf n) {
    bl_vf shift = BL_EACH2(12582912.0f);
    bl_vi k = (bl_vi)(n + shift) - (bl_vi)shift, half = k >> 1;
    return y * (bl_vf)((half + 127) << 23) * (bl_vf)((k - half + 127) << 23); }
#endif

/* x = n log(2) + r; the result is expm1(r) */
#define BL_LINE(S, constant, slope) bl_fma_##S(r, bl_splat_##S(slope), bl_splat_##S(constant))
BL_INLINE bl_vd bl_reduced_d(bl_vd x, bl_vd *n) {
    bl_vd shift = BL_EACH(6755399441055744.0), r, q, square, fourth, low, middle, high;
    x = bl_above_d(bl_below_d(x, 710.0), -746.0);
    *n = bl_fma_d(x, (bl_vd)BL_EACH(1.4426950408889634), shift) - shift;
    r = bl_fma_d(*n, (bl_vd)BL_EACH(-6.93147180369123816490e-01), x);
    r = bl_fma_d(*n, (bl_vd)BL_EACH(-1.90821492927058770002e-10), r);
    square = r * r; fourth = square * square;
    low = bl_fma_d(square, BL_LINE(d, 0.04166666666666667, 0.00833333333332614), BL_LINE(d, 0.5, 0.1666666666666667));
    middle = bl_fma_d(square, BL_LINE(d, 2.4801587325536023e-05, 2.7557255421023506e-06), BL_LINE(d, 0.0013888888888883752, 0.00019841269874804214));
    high = bl_fma_d(square, (bl_vd)BL_EACH(2.0914680780540263e-09), BL_LINE(d, 2.7557273657975953e-07, 2.5105208339987698e-08));
    q = bl_fma_d(fourth, bl_fma_d(fourth, high, middle), low);
    return bl_fma_d(square, q, r); }
BL_INLINE bl_vf bl_reduced_f(bl_vf x, bl_vf *n) {
    bl_vf shift = BL_EACH2(12582912.0f), r, q, square, low;
    x = bl_above_f(bl_below_f(x, 89.0f), -104.0f);
    *n = bl_fma_f(x, (bl_vf)BL_EACH2(1.44269504f), shift) - shift;
    r = bl_fma_f(*n, (bl_vf)BL_EACH2(-0.693359375f), x);
    r = bl_fma_f(*n, (bl_vf)BL_EACH2(2.12194440e-4f), r);
    square = r * r;
    low = bl_fma_f(square, BL_LINE(f, 0.041666464991106766f, 0.008333310932790487f), BL_LINE(f, 0.5000000013459222f, 0.16666666681615916f));
    q = bl_fma_f(square * square, BL_LINE(f, 0.0013933642689829186f, 0.00019890982710792465f), low);
    return bl_fma_f(square, q, r); }
#define BL_EXPONENTIALS(V, T, S, EACH, top) \\
BL_INLINE V bl_exp_##S(V x) { V n, p = bl_reduced_##S(x, &n); return bl_scale_##S(p + 1, n); } \\
BL_INLINE V bl_expm1_##S(V x) { \\
    V n, p = bl_reduced_##S(x, &n), h = bl_scale_##S((V)EACH((T)0.5), n), rest = h - (T)0.5; \\
    return bl_fma_##S(h, p + p, rest) + rest; } \\
BL_INLINE V bl_exprel_##S(V z) { return bl_one_at_zero_##S(z, bl_expm1_##S(z) / bl_below_##S(z, (T)top)); } \\
BL_INLINE V bl_inverse_exprel_##S(V z) { return bl_one_at_zero_##S(z, bl_below_##S(z, (T)top) / bl_expm1_##S(z)); } \\
BL_INLINE V bl_exp_difference_##S(V x, V y) { \\
    V high = bl_where_##S(x > y, x, y), distance = bl_where_##S(x > y, y - x, x - y); \\
    return bl_exp_##S(high) * bl_exprel_##S(distance); }
BL_EXPONENTIALS(bl_vd, double, d, BL_EACH, 1e300) BL_EXPONENTIALS(bl_vf, float, f, BL_EACH2, 1e38)
"""

DRAWS = """
/* Philox4x32-10 in 8 lanes of 64 bits, whose upper halves are of no account */
typedef struct { bl_vu a, b, c, d; } bl_vwords;
#ifdef BL_AVX512
#define BL_PRODUCT(x, y) ((bl_vu)__builtin_ia32_pmuludq512_mask((bl_vi)(x), (bl_vi)(y), (bl_long8)BL_EACH(0), (unsigned char)-1))
#else
#define BL_PRODUCT(x, y) (((x) & 0xFFFFFFFFu) * (y))
#endif
BL_INLINE bl_vwords bl_philox_v(uint32_t seed, uint32_t epoch, uint32_t stream, uint32_t number, uint64_t step, uint32_t element) {
    bl_vu lane = {BL_LOW}, first = BL_EACH(0xD2511F53u), second = BL_EACH(0xCD9E8D57u);
    bl_vwords w = {(bl_vu)BL_EACH((uint64_t)(uint32_t)step), lane + element, (bl_vu)BL_EACH((uint64_t)stream),
        (bl_vu)BL_EACH((uint64_t)((number & 0xFFFFu) | (uint32_t)(step >> 32) << 16))};
    int round;
    for (round = 0; round < 10; round++) {
        bl_vu p = BL_PRODUCT(w.a, first), q = BL_PRODUCT(w.c, second);
        bl_vu a = (q >> 32) ^ w.b ^ (uint64_t)seed, c = (p >> 32) ^ w.d ^ (uint64_t)epoch;
        w.a = a; w.b = q; w.c = c; w.d = p;
        seed += 0x9E3779B9u; epoch += 0xBB67AE85u;
    }
    return w;
}
BL_INLINE bl_vd bl_unit_v(bl_vu high, bl_vu low) {
#ifdef BL_AVX512
    bl_vu whole = ((high & 0xFFFFFFFFu) >> 5 << 26) | ((low & 0xFFFFFFFFu) >> 6);
    return BL_TO(bl_vd, whole) * (1.0 / 9007199254740992.0);
#else
    bl_vu base = BL_EACH(0x4330000000000000u); /* 2**52 */
    bl_vd upper = (bl_vd)(base | ((high & 0xFFFFFFFFu) >> 5)) - 4503599627370496.0, lower = (bl_vd)(base | ((low & 0xFFFFFFFFu) >> 6)) - 4503599627370496.0;
    return (upper * 67108864.0 + lower) * (1.0 / 9007199254740992.0);
#endif
}
BL_INLINE bl_vd bl_draw_uniform_d(BL_DRAW_ARGUMENTS) {
    bl_vwords w = bl_philox_v(seed, epoch, stream, number, step, element);
    return bl_unit_v(w.a, w.b);
}
BL_INLINE bl_vg bl_unit_f(bl_vwords w) { return BL_TO(bl_vg, BL_TO(bl_vh, (w.a & 0xFFFFFFFFu) >> 8)) * (1.0f / 16777216.0f); }
BL_INLINE bl_vf bl_draw_uniform_f(BL_DRAW_ARGUMENTS) {
    return bl_join_f(bl_unit_f(bl_philox_v(seed, epoch, stream, number, step, element)),
        bl_unit_f(bl_philox_v(seed, epoch, stream, number, step, element + BL_LANES)));
}
/* what normal numbers need: log of x from 2**-53 to 1, and cos of x from 0 to 2 pi; polynomials at Chebyshev's points, without branches */
#ifdef BL_AVX512
#define BL_TERM(q, x, constant) q = bl_fma_d(q, x, bl_splat_d(constant));
BL_INLINE bl_vd bl_log_small(bl_vd x) {
    bl_vq bits = (bl_vq)x, k = (bits - 0x3fe6a09e667f3bcd) >> 52; /* 2**k * m with m from sqrt(1/2) to sqrt(2) */
    bl_vd n = BL_TO(bl_vd, k), f = (bl_vd)(bits - (k << 52)) - 1.0, s = f / (f + 2.0), z = s * s, p = bl_splat_d(0.13086626147840102);
    BL_TERM(p, z, 0.13268773138656886) BL_TERM(p, z, 0.15386239702814658) BL_TERM(p, z, 0.18181795640132906) BL_TERM(p, z, 0.22222222391713917)
    BL_TERM(p, z, 0.28571428570803614) BL_TERM(p, z, 0.4000000000000088) BL_TERM(p, z, 0.6666666666666666)
    return bl_fma_d(n, bl_splat_d(6.93147180369123816490e-01), bl_fma_d(n, bl_splat_d(1.90821492927058770002e-10), bl_fma_d(s * z, p, s + s)));
}
BL_INLINE bl_vd bl_cos_turn(bl_vd x) {
    bl_vd shift = BL_EACH(6755399441055744.0), turned = bl_fma_d(x, bl_splat_d(0.6366197723675814), shift), q = turned - shift, c, s, t, r;
    bl_vq quarter = (bl_vq)turned;
    x = bl_fma_d(q, bl_splat_d(-1.5707963267948966), x);
    x = bl_fma_d(q, bl_splat_d(-6.123233995736766e-17), x);
    t = x * x;
    c = bl_splat_d(-1.1382632425521717e-11); s = bl_splat_d(1.5918129294866608e-10);
    BL_TERM(c, t, 2.08761462684032e-09) BL_TERM(s, t, -2.5051131845003624e-08) BL_TERM(c, t, -2.7557317271729793e-07) BL_TERM(s, t, 2.755731610255244e-06)
    BL_TERM(c, t, 2.480158729876569e-05) BL_TERM(s, t, -0.00019841269836758574) BL_TERM(c, t, -0.0013888888888887398)
    BL_TERM(s, t, 0.008333333333330948) BL_TERM(c, t, 0.041666666666666664) BL_TERM(s, t, -0.16666666666666666)
    c = bl_fma_d(t * t, c, bl_fma_d(t, bl_splat_d(-0.5), bl_splat_d(1.0)));
    s = bl_fma_d(x * t, s, x);
    r = bl_where_d((quarter & 1) != 0, s, c);
    return (bl_vd)((bl_vq)r ^ (((quarter + 1) & 2) << 62)); /* minus in the second and third quarter */
}
#else
#define bl_log_small bl_log_d
#define bl_cos_turn bl_cos_d
#endif
BL_INLINE bl_vd bl_draw_normal_d(BL_DRAW_ARGUMENTS) {
    bl_vwords w = bl_philox_v(seed, epoch, stream, number, step, element);
    return bl_sqrt_d(-2.0 * bl_log_small(1.0 - bl_unit_v(w.a, w.b))) * bl_cos_turn(6.283185307179586 * bl_unit_v(w.c, w.d));
}
BL_INLINE bl_vf bl_draw_normal_f(BL_DRAW_ARGUMENTS) {
    return bl_join_f(BL_TO(bl_vg, bl_draw_normal_d(seed, epoch, stream, number, step, element)),
        BL_TO(bl_vg, bl_draw_normal_d(seed, epoch, stream, number, step, element + BL_LANES)));
}
static bl_vq bl_draw_poisson_q(BL_DRAW_ARGUMENTS, bl_vd mean) {
    bl_vq r; int k;
    for (k = 0; k < BL_LANES; k++) r[k] = bl_draw_poisson(seed, epoch, stream, number, step, element + k, mean[k]);
    return r;
}
static bl_vq bl_draw_binomial_q(BL_DRAW_ARGUMENTS, bl_vd n, bl_vd probability) {
    bl_vq r; int k;
    for (k = 0; k < BL_LANES; k++) r[k] = bl_draw_binomial(seed, epoch, stream, number, step, element + k, n[k], probability[k]);
    return r;
}
/* how many of the 64 ascending thresholds do not exceed the 53 bits of a uniform number; most numbers are below 8 */
BL_INLINE bl_vq bl_find_q(BL_DRAW_ARGUMENTS, const int64_t *thresholds) {
    bl_vwords w = bl_philox_v(seed, epoch, stream, number, step, element);
    bl_vq u = (bl_vq)(((w.a & 0xFFFFFFFFu) >> 5 << 26) | ((w.b & 0xFFFFFFFFu) >> 6)), found = BL_EACH(0);
    int k = 0;
#ifdef BL_AVX512
    /* the first eight by halving, in one register */
    bl_long8 table = (bl_long8)bl_load_q(thresholds), none = BL_EACH(0);
    found = (u >= thresholds[3]) & 4;
    found += (u >= (bl_vq)__builtin_ia32_permvardi512_mask(table, (bl_long8)(found + 1), none, (unsigned char)-1)) & 2;
    found -= u >= (bl_vq)__builtin_ia32_permvardi512_mask(table, (bl_long8)found, none, (unsigned char)-1);
    if (!bl_any_m(u >= thresholds[7])) return found;
    found -= u >= thresholds[7];
    k = 8;
#endif
    for (; k < 64; k += 8) {
        found -= (u >= thresholds[k]) + (u >= thresholds[k + 1]) + (u >= thresholds[k + 2]) + (u >= thresholds[k + 3]);
        found -= (u >= thresholds[k + 4]) + (u >= thresholds[k + 5]) + (u >= thresholds[k + 6]) + (u >= thresholds[k + 7]);
        if (!bl_any_m(u >= thresholds[k + 7])) break;
    }
    return found;
}
BL_INLINE bl_vq bl_find_poisson_q(BL_DRAW_ARGUMENTS, const int64_t *thresholds, double mean) {
    if (thresholds[0] < 0) return bl_draw_poisson_q(seed, epoch, stream, number, step, element, bl_splat_d(mean));
    return bl_find_q(seed, epoch, stream, number, step, element, thresholds);
}
BL_INLINE bl_vq bl_find_binomial_q(BL_DRAW_ARGUMENTS, const int64_t *thresholds, double n, double probability) {
    if (thresholds[0] < 0) return bl_draw_binomial_q(seed, epoch, stream, number, step, element, bl_splat_d(n), bl_splat_d(probability));
    return bl_find_q(seed, epoch, stream, number, step, element, thresholds);
}
BL_INLINE bl_vw bl_find_poisson_w(BL_DRAW_ARGUMENTS, const int64_t *thresholds, double mean) {
    bl_vw r = {bl_find_poisson_q(seed, epoch, stream, number, step, element, thresholds, mean),
        bl_find_poisson_q(seed, epoch, stream, number, step, element + BL_LANES, thresholds, mean)};
    return r;
}
BL_INLINE bl_vw bl_find_binomial_w(BL_DRAW_ARGUMENTS, const int64_t *thresholds, double n, double probability) {
    bl_vw r = {bl_find_binomial_q(seed, epoch, stream, number, step, element, thresholds, n, probability),
        bl_find_binomial_q(seed, epoch, stream, number, step, element + BL_LANES, thresholds, n, probability)};
    return r;
}
"""

TYPES = {"vd": "double", "vq": "int64_t", "vh": "int32_t", "vf": "float", "vi": "int32_t"}
OF_ONE = tuple(
    "log log10 log1p sin cos tan sinh cosh tanh asin acos atan erf sqrt floor ceil fabs sign exp expm1 exprel inverse_exprel exprel_slope "
    "exprel_curvature".split()
)
_DRAW = "uint32_t, uint32_t, uint32_t, uint32_t, uint64_t, uint32_t"


def declarations() -> list[str]:
    """What Cython has to know: a vector is a number to it."""
    rows = [f'ctypedef {element} {name} "bl_{name}"' for name, element in TYPES.items()]
    rows += ['ctypedef struct vw "bl_vw":', "    vq low", 'const ptrdiff_t LANES "BL_LANES", LANES2 "BL_LANES2"']
    kinds = {"d": ("vd", "double", "vq"), "q": ("vq", "int64_t", "vq"), "h": ("vh", "int32_t", "vq"), "m": ("vq", "uint8_t", "vq")}
    kinds |= {"f": ("vf", "float", "vi"), "i": ("vi", "int32_t", "vi"), "w": ("vw", "int64_t", "vi"), "n": ("vi", "uint8_t", "vi")}
    for kind, (vector, element, mask) in kinds.items():
        scalar = "int" if kind in "mn" else element
        rows += [_row(vector, f"load_{kind}", f"const {element} *"), _row("void", f"store_{kind}", f"{element} *, {vector}")]
        rows += [_row(vector, f"splat_{kind}", scalar), _row(vector, f"where_{kind}", f"{mask}, {vector}, {vector}")]
    rows += [_row("int", "any_m", "vq"), _row("int", "any_n", "vi")]
    for own, to in re.findall(r"bl_(\w)_to_(\w)\(", VECTORS):
        rows.append(_row(kinds[to][0], f"{own}_to_{to}", kinds[own][0]))
    for name in ("add", "subtract", "multiply"):
        rows.append(_row("vw", f"{name}_w", "vw, vw"))
    rows.append(_row("vw", "negate_w", "vw"))
    for name in ("less", "at_most", "greater", "at_least", "equal", "different"):
        rows += [_row("vq", f"{name}_h", "vh, vh"), _row("vi", f"{name}_w", "vw, vw")]
    for kind, vector in (("d", "vd"), ("f", "vf"), ("q", "vq"), ("h", "vh"), ("i", "vi")):
        rows += [_row(vector, f"{name}_{kind}", vector) for name in ("square", "cube", "fourth")]
    for kind, vector in (("d", "vd"), ("f", "vf")):
        rows += [_row(vector, f"{name}_{kind}", vector) for name in OF_ONE]
        rows += [_row(vector, f"{name}_{kind}", f"{vector}, {vector}") for name in ("pow", "floor_divide", "floor_modulo", "exp_difference")]
        rows.append(_row(vector, f"clip_{kind}", f"{vector}, {vector}, {vector}"))
        rows += [_row(vector, f"draw_{law}_{kind}", _DRAW) for law in ("uniform", "normal")]
    for kind, vector in (("q", "vq"), ("h", "vh")):
        rows += [_row(vector, f"{name}_{kind}", f"{vector}, {vector}") for name in ("floor_divide", "floor_modulo")]
    rows += [_row("vq", "timestep_d", "vd, vd"), _row("vq", "table_row_d", "vd, vd, vd")]
    for suffix, vector, element in (("", "vd", "double"), ("_long", "vq", "int64_t"), ("_int", "vh", "int32_t"), ("_byte", "vq", "uint8_t")):
        rows.append(_row(vector, f"value_at_v{suffix}", f"const {element} *, int64_t, vq"))
    for kind, vector in (("q", "vq"), ("w", "vw")):
        rows += [_row(vector, f"find_poisson_{kind}", f"{_DRAW}, i64, double"), _row(vector, f"find_binomial_{kind}", f"{_DRAW}, i64, double, double")]
    return [*rows, _row("vq", "draw_poisson_q", f"{_DRAW}, vd"), _row("vq", "draw_binomial_q", f"{_DRAW}, vd, vd")]


def _row(result: str, name: str, arguments: str) -> str:
    return f'{result} {name} "bl_{name}"({arguments})'
