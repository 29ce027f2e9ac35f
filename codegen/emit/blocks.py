"""Bernoulli draws for whole blocks of elements, in C: which elements fire is found by gaps of geometric length wherever few do.

`brianlike/randomness.py` says what is drawn, and has the same bits. A vector holds the next gaps of one block.
"""

from __future__ import annotations

import math

RATES = ", ".join(repr(1.0 / math.log1p(-(2.0**-k))) for k in range(4, 33))

BLOCKS = """
static const double bl_gap_rates[29] = {BL_RATES};
/* the class of a probability: none below or at 0 and for NaN, 0 from 1/16 on, k from 2**-(k + 1) up to 2**-k, and 32 for all below */
#define BL_CLASS(bits) ((bits) >> 52 >= 1019 ? 0 : (bits) >> 52 <= 990 ? 32 : 1022 - ((bits) >> 52))
BL_INLINE int bl_class(double p) { int64_t bits; memcpy(&bits, &p, sizeof bits); return p > 0 ? (int)BL_CLASS(bits) : -1; }
BL_INLINE bl_vd bl_wide_d(const double *p) { return bl_load_d(p); }
BL_INLINE bl_vd bl_wide_f(const float *p) { bl_vg x; memcpy(&x, p, sizeof x); return BL_TO(bl_vd, x); }
BL_INLINE int64_t bl_classes_of(bl_vd p) {
    bl_vq exponent = (bl_vq)p >> 52, k = 1022 - exponent, one = BL_EACH(1), found; int64_t all = 0; int lane;
    k = bl_choose_q(k < 4, one - 1, bl_choose_q(k > 32, one * 32, k));
    found = (one << k) & (p > 0);
    for (lane = 0; lane < BL_LANES; lane++) all |= found[lane];
    return all;
}
/* the gap after which the next candidate comes, for 63 random bits */
static int64_t bl_exact_gap(uint64_t u, int k, int64_t most) {
    unsigned __int128 left = (unsigned __int128)1 << 126; int64_t gap;
    for (gap = 0; gap < most; gap++) {
        left -= left >> k;
        if (u < ((uint64_t)1 << 63) - (uint64_t)(left >> 63)) break;
    }
    return gap;
}
BL_INLINE bl_vq bl_gaps(bl_vq u, int k, int64_t most) { /* by a logarithm, unless that is too close to a whole number to trust its last digits */
    bl_vd x = bl_log_small((BL_TO(bl_vd, INT64_MAX - u) + 1.0) * 0x1p-63) * bl_gap_rates[k - 4], whole = BL_TO(bl_vd, BL_TO(bl_vq, x + 0.5));
    bl_vq gap = BL_TO(bl_vq, x), close = (x - whole < 1e-5) & (whole - x < 1e-5);
    int n;
    if (bl_any_q(close)) for (n = 0; n < BL_LANES; n++) if (close[n]) gap[n] = bl_exact_gap((uint64_t)u[n], k, most);
    return gap;
}
BL_INLINE void bl_put_bytes(uint8_t *p, bl_vq m) {
#ifdef BL_AVX512
    bl_char16 x = __builtin_ia32_pmovqb512_mask((bl_long8)m, (bl_char16){0}, (unsigned char)-1) & (bl_char16)BL_EACH2(1);
    memcpy(p, &x, 8);
#else
    bl_b8 x = BL_TO(bl_b8, m & 1);
    memcpy(p, &x, sizeof x);
#endif
}
#define BL_BLOCKS(S, T) \\
static int64_t bl_classes_##S(const T *p, ptrdiff_t begin, ptrdiff_t end) { \\
    int64_t all = 0; ptrdiff_t n; \\
    for (n = begin; n < end; n += BL_LANES) all |= bl_classes_of(bl_wide_##S(p + n)); \\
    return all; \\
} \\
static void bl_frequent_##S(uint8_t *out, ptrdiff_t begin, ptrdiff_t end, BL_DRAW_FROM, const T *p, int shared) { \\
    ptrdiff_t n; bl_vd first = shared ? bl_splat_d(p[0]) : bl_splat_d(0.0), limit = BL_EACH(0.0625); \\
    for (n = begin; n < end; n += BL_LANES) { \\
        bl_vd x = shared ? first : bl_wide_##S(p + n); bl_vq m = x >= limit; \\
        if (bl_any_q(m)) bl_put_bytes(out + n, m & (bl_draw_uniform_d(seed, epoch, stream, number, step, (uint32_t)n) < x)); \\
    } \\
} \\
static void bl_rare_##S(uint8_t *out, ptrdiff_t begin, ptrdiff_t end, BL_DRAW_FROM, const T *p, int shared, int k) { \\
    const double scale = (double)((int64_t)1 << k); const ptrdiff_t size = k < 10 ? 1024 : k < 12 ? (ptrdiff_t)2 << k : 8192; ptrdiff_t first; \\
    stream ^= (uint32_t)k << 24; \\
    for (first = begin / size * size; first < end; first += size) { \\
        ptrdiff_t stop = first + size < end ? first + size : end, at = first; uint32_t turn = 0; \\
        for (; at < stop; turn += BL_LANES) { \\
            bl_vwords w = bl_philox_v(seed, epoch, stream, number, step, (uint32_t)first + turn); \\
            bl_vq u = (bl_vq)(((w.a & 0xFFFFFFFFu) << 31) | ((w.b & 0xFFFFFFFFu) >> 1)); \\
            int64_t gap[BL_LANES]; double level[BL_LANES]; int n; \\
            bl_store_q(gap, bl_gaps(u, k, size)); bl_store_d(level, bl_unit_v(w.c, w.d)); \\
            for (n = 0; n < BL_LANES; n++, at++) { \\
                at += gap[n]; \\
                if (at >= stop) break; \\
                if (at >= begin) { double x = (double)p[shared ? 0 : at]; out[at] |= (level[n] < x * scale) & (bl_class(x) == k); } \\
            } \\
        } \\
    } \\
} \\
static void bl_draw_bernoulli_##S(uint8_t *out, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t size, BL_DRAW_FROM, const T *p, int64_t length, int64_t classes) { \\
    int shared = length == 1, k; \\
    if (end > begin) memset(out + begin, 0, end - begin); \\
    if (end > size) end = size; \\
    if (classes < 0) classes = shared ? (bl_class(p[0]) < 0 ? 0 : (int64_t)1 << bl_class(p[0])) : bl_classes_##S(p, begin, end); \\
    if (classes & 1) bl_frequent_##S(out, begin, end, BL_FROM, p, shared); \\
    for (k = 4; k < 33; k++) if (classes >> k & 1) bl_rare_##S(out, begin, end, BL_FROM, p, shared, k); \\
}
#define BL_DRAW_FROM uint32_t seed, uint32_t epoch, uint32_t stream, uint32_t number, uint64_t step
#define BL_FROM seed, epoch, stream, number, step
BL_BLOCKS(d, double) BL_BLOCKS(f, float)
""".replace("BL_RATES", RATES)

SIGNATURE = "uint8_t *, ptrdiff_t, ptrdiff_t, ptrdiff_t, uint32_t, uint32_t, uint32_t, uint32_t, uint64_t"


def declarations() -> list[str]:
    """What Cython has to know."""
    kinds = {"d": "double", "f": "float"}
    return [f'void draw_bernoulli_{kind} "bl_draw_bernoulli_{kind}"({SIGNATURE}, const {t} *, int64_t, int64_t)' for kind, t in kinds.items()]
