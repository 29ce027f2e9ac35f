"""The functions that vectorised kernels call, for a whole vector of values (`lanes.py`), in C.

`exp`, `expm1` and what is made of them are polynomials without branches (Cody & Waite's reduction; coefficients interpolate (expm1(r) - r)/r**2 at Chebyshev's
points): inlined, they share their parts where a kernel takes several functions of one argument. Errors are below 2 units in the last place
(`tests/test_vectors.py`).
"""

from __future__ import annotations

from .lanes import row

VECTORS = """
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
#define BL_GATHER(V, T, S, name) \\
BL_INLINE V bl_##name(const T *values, int64_t length, bl_vq index) { \\
    V r; int k; for (k = 0; k < BL_LANES; k++) r[k] = bl_value_at##S(values, length, index[k]); return r; }
BL_GATHER(bl_vd, double, , value_at_v) BL_GATHER(bl_vq, int64_t, _long, value_at_v_long) BL_GATHER(bl_vh, int32_t, _int, value_at_v_int)
BL_GATHER(bl_vq, uint8_t, _byte, byte_at_v)
BL_INLINE bl_vm bl_value_at_v_byte(const uint8_t *values, int64_t length, bl_vq index) { return bl_q_to_m(bl_byte_at_v(values, length, index)); }
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
    return bl_choose_##S(x > 0, one, bl_choose_##S(x < 0, -one, bl_choose_##S(x == 0, zero, x))); } \\
BL_INLINE V bl_clip_##S(V x, V low, V high) { \\
    V y = bl_choose_##S((x < low) | (low != low), low, x); \\
    return bl_choose_##S((y > high) | (high != high), high, y); }
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
BL_INLINE V bl_below_##S(V x, T high) { return bl_choose_##S(x > high, (V)EACH(high), x); } \\
BL_INLINE V bl_above_##S(V x, T low) { return bl_choose_##S(x < low, (V)EACH(low), x); } \\
BL_INLINE V bl_one_at_zero_##S(V x, V y) { return bl_choose_##S(x == 0, (V)EACH(1), y); }
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
    V high = bl_choose_##S(x > y, x, y), distance = bl_choose_##S(x > y, y - x, x - y); \\
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
    r = bl_choose_d((quarter & 1) != 0, s, c);
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
    if (!bl_any_q(u >= thresholds[7])) return found;
    found -= u >= thresholds[7];
    k = 8;
#endif
    for (; k < 64; k += 8) {
        found -= (u >= thresholds[k]) + (u >= thresholds[k + 1]) + (u >= thresholds[k + 2]) + (u >= thresholds[k + 3]);
        found -= (u >= thresholds[k + 4]) + (u >= thresholds[k + 5]) + (u >= thresholds[k + 6]) + (u >= thresholds[k + 7]);
        if (!bl_any_q(u >= thresholds[k + 7])) break;
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

OF_ONE = tuple(
    "log log10 log1p sin cos tan sinh cosh tanh asin acos atan erf sqrt floor ceil fabs sign exp expm1 exprel inverse_exprel exprel_slope "
    "exprel_curvature".split()
)
_DRAW = "uint32_t, uint32_t, uint32_t, uint32_t, uint64_t, uint32_t"


def declarations() -> list[str]:
    """What Cython has to know of them."""
    rows = []
    for kind, vector in (("d", "vd"), ("f", "vf"), ("q", "vq"), ("h", "vh"), ("i", "vi")):
        rows += [row(vector, f"{name}_{kind}", vector) for name in ("square", "cube", "fourth")]
    for kind, vector in (("d", "vd"), ("f", "vf")):
        rows += [row(vector, f"{name}_{kind}", vector) for name in OF_ONE]
        rows += [row(vector, f"{name}_{kind}", f"{vector}, {vector}") for name in ("pow", "floor_divide", "floor_modulo", "exp_difference")]
        rows.append(row(vector, f"clip_{kind}", f"{vector}, {vector}, {vector}"))
        rows += [row(vector, f"draw_{law}_{kind}", _DRAW) for law in ("uniform", "normal")]
    for kind, vector in (("q", "vq"), ("h", "vh")):
        rows += [row(vector, f"{name}_{kind}", f"{vector}, {vector}") for name in ("floor_divide", "floor_modulo")]
    rows += [row("vq", "timestep_d", "vd, vd"), row("vq", "table_row_d", "vd, vd, vd")]
    for suffix, vector, element in (("", "vd", "double"), ("_long", "vq", "int64_t"), ("_int", "vh", "int32_t"), ("_byte", "vm", "uint8_t")):
        rows.append(row(vector, f"value_at_v{suffix}", f"const {element} *, int64_t, vq"))
    for kind, vector in (("q", "vq"), ("w", "vw")):
        rows += [row(vector, f"find_poisson_{kind}", f"{_DRAW}, i64, double"), row(vector, f"find_binomial_{kind}", f"{_DRAW}, i64, double, double")]
    return [*rows, row("vq", "draw_poisson_q", f"{_DRAW}, vd"), row("vq", "draw_binomial_q", f"{_DRAW}, vd, vd")]
