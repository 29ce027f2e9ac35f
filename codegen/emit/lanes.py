"""What vectorised kernels are made of, in C: vectors, masks, and bytes that are written for a block of vectors at a time.

Vectors are as wide as the processor's registers: 8 doubles with AVX-512, 4 with AVX2, 2 elsewhere, and twice as many floats. gcc 12 takes wider ones apart
badly (10 times slower, measured). A mask is a bit for each lane where the processor has registers for that, otherwise a vector of lanes that are all ones or
all zeros.

Booleans are bytes in memory. A processor stores about one register a cycle, however little it holds, so a kernel with bytes of its own collects them: each
vector of a block sets, in each lane, one byte of a register (`stage`), and the block is written in one piece (`spread`).
"""

from __future__ import annotations

import re

LANES = """
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
#define BL_EIGHTH(k) k, k + 8, k + 16, k + 24, k + 32, k + 40, k + 48, k + 56
#define BL_FOURTH(k) k, k + 4, k + 8, k + 12, k + 16, k + 20, k + 24, k + 28, k + 32, k + 36, k + 40, k + 44, k + 48, k + 52, k + 56, k + 60
#elif defined(__AVX2__)
#define BL_LANES 4
#define BL_EACH(x) {x, x, x, x}
#define BL_EACH2(x) {x, x, x, x, x, x, x, x}
#define BL_LOW 0, 1, 2, 3
#define BL_HIGH 4, 5, 6, 7
#define BL_EIGHTH(k) k, k + 8, k + 16, k + 24
#define BL_FOURTH(k) k, k + 4, k + 8, k + 12, k + 16, k + 20, k + 24, k + 28
#else
#define BL_LANES 2
#define BL_EACH(x) {x, x}
#define BL_EACH2(x) {x, x, x, x}
#define BL_LOW 0, 1
#define BL_HIGH 2, 3
#define BL_EIGHTH(k) k, k + 8
#define BL_FOURTH(k) k, k + 4, k + 8, k + 12
#endif
#define BL_LANES2 (2 * BL_LANES)
#define BL_BLOCK (8 * BL_LANES) /* elements whose bytes fill a register */
#define BL_VECTOR(T, N, name) typedef T name __attribute__((vector_size(N * sizeof(T))));
BL_VECTOR(double, BL_LANES, bl_vd) BL_VECTOR(int64_t, BL_LANES, bl_vq) BL_VECTOR(uint64_t, BL_LANES, bl_vu) BL_VECTOR(int32_t, BL_LANES, bl_vh)
BL_VECTOR(float, BL_LANES2, bl_vf) BL_VECTOR(int32_t, BL_LANES2, bl_vi) BL_VECTOR(uint32_t, BL_LANES2, bl_vj) BL_VECTOR(float, BL_LANES, bl_vg)
BL_VECTOR(uint8_t, BL_LANES, bl_b8) BL_VECTOR(uint8_t, BL_LANES2, bl_b16) BL_VECTOR(uint8_t, BL_BLOCK, bl_bytes)
typedef struct { bl_vq low, high; } bl_vw;
#if BL_LANES == 8 && defined(__GNUC__) && !defined(__clang__) && __GNUC__ <= 15 && !defined(BL_NO_BUILTINS)
#define BL_AVX512 1 /* builtins of gcc's own, which no standard keeps: the headers that name them take longer to read than a kernel to compile */
typedef char bl_char16 __attribute__((vector_size(16)));
typedef long long bl_two __attribute__((vector_size(16)));
typedef long long bl_long8 __attribute__((vector_size(64)));
#endif
#define BL_TO(V, x) __builtin_convertvector(x, V)

/* loads, stores, one value in all lanes, choices by a vector whose lanes are all ones or all zeros, and whether any lane is not zero */
#define BL_MEMORY(V, M, T, S, N, EACH) \\
BL_INLINE V bl_load_##S(const T *p) { V x; memcpy(&x, p, sizeof x); return x; } \\
BL_INLINE void bl_store_##S(T *p, V x) { memcpy(p, &x, sizeof x); } \\
BL_INLINE V bl_splat_##S(T x) { V v = EACH(x); return v; } \\
BL_INLINE V bl_choose_##S(M m, V a, V b) { return (V)((m & (M)a) | (~m & (M)b)); }
BL_MEMORY(bl_vd, bl_vq, double, d, BL_LANES, BL_EACH) BL_MEMORY(bl_vq, bl_vq, int64_t, q, BL_LANES, BL_EACH)
BL_MEMORY(bl_vh, bl_vh, int32_t, h, BL_LANES, BL_EACH) BL_MEMORY(bl_vf, bl_vi, float, f, BL_LANES2, BL_EACH2)
BL_MEMORY(bl_vi, bl_vi, int32_t, i, BL_LANES2, BL_EACH2)
#ifdef BL_AVX512
BL_INLINE int bl_any_q(bl_vq x) { return __builtin_ia32_ptestmq512((bl_long8)x, (bl_long8)x, (unsigned char)-1) != 0; }
BL_INLINE int bl_any_i(bl_vi x) { return __builtin_ia32_ptestmd512(x, x, (unsigned short)-1) != 0; }
#define BL_KEPT(V, S) BL_INLINE V bl_kept_##S(V x) { __asm__("" : "+v"(x)); return x; } /* in a register: gcc 12 loads what is used twice twice */
#else
BL_INLINE int bl_any_q(bl_vq x) { int64_t any = 0; int k; for (k = 0; k < BL_LANES; k++) any |= x[k]; return any != 0; }
BL_INLINE int bl_any_i(bl_vi x) { int32_t any = 0; int k; for (k = 0; k < BL_LANES2; k++) any |= x[k]; return any != 0; }
#define BL_KEPT(V, S) BL_INLINE V bl_kept_##S(V x) { return x; }
#endif
BL_KEPT(bl_vd, d) BL_KEPT(bl_vf, f)

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

/* masks, m beside doubles and n beside floats: of one value, from bytes, from vectors that are not zero, comparisons, choices, all of them a bit a lane */
#ifdef BL_AVX512
typedef unsigned char bl_vm;
typedef unsigned short bl_vn;
BL_INLINE bl_vm bl_splat_m(int x) { return x ? 0xff : 0; }
BL_INLINE bl_vn bl_splat_n(int x) { return x ? 0xffff : 0; }
BL_INLINE int bl_any_m(bl_vm m) { return m != 0; }
BL_INLINE int bl_any_n(bl_vn m) { return m != 0; }
BL_INLINE bl_vm bl_q_to_m(bl_vq x) { return __builtin_ia32_ptestmq512((bl_long8)x, (bl_long8)x, (bl_vm)-1); }
BL_INLINE bl_vn bl_i_to_n(bl_vi x) { return __builtin_ia32_ptestmd512(x, x, (bl_vn)-1); }
BL_INLINE bl_vm bl_load_m(const uint8_t *p) {
    long long word; bl_char16 x; memcpy(&word, p, 8);
    x = (bl_char16)(bl_two){word, 0};  /* not by way of the stack, where gcc 12 makes the load wait for the store */
    return bl_q_to_m((bl_vq)__builtin_ia32_pmovzxbq512_mask(x, (bl_long8)BL_EACH(0), (bl_vm)-1)); }
BL_INLINE bl_vn bl_load_n(const uint8_t *p) {
    bl_char16 x; memcpy(&x, p, 16);
    return bl_i_to_n(__builtin_ia32_pmovzxbd512_mask(x, (bl_vi)BL_EACH2(0), (bl_vn)-1)); }
#define BL_COMPARED(name, of_reals, of_integers, operator) \\
BL_INLINE bl_vm bl_##name##_d(bl_vd a, bl_vd b) { return __builtin_ia32_cmppd512_mask(a, b, of_reals, (bl_vm)-1, 4); } \\
BL_INLINE bl_vn bl_##name##_f(bl_vf a, bl_vf b) { return __builtin_ia32_cmpps512_mask(a, b, of_reals, (bl_vn)-1, 4); } \\
BL_INLINE bl_vm bl_##name##_q(bl_vq a, bl_vq b) { return __builtin_ia32_cmpq512_mask((bl_long8)a, (bl_long8)b, of_integers, (bl_vm)-1); } \\
BL_INLINE bl_vn bl_##name##_i(bl_vi a, bl_vi b) { return __builtin_ia32_cmpd512_mask(a, b, of_integers, (bl_vn)-1); } \\
BL_INLINE bl_vm bl_##name##_h(bl_vh a, bl_vh b) { return bl_##name##_q(BL_TO(bl_vq, a), BL_TO(bl_vq, b)); } \\
BL_INLINE bl_vn bl_##name##_w(bl_vw a, bl_vw b) { return (bl_vn)(bl_##name##_q(a.low, b.low) | bl_##name##_q(a.high, b.high) << 8); }
BL_INLINE bl_vd bl_where_d(bl_vm m, bl_vd a, bl_vd b) { return __builtin_ia32_blendmpd_512_mask(b, a, m); }
BL_INLINE bl_vf bl_where_f(bl_vn m, bl_vf a, bl_vf b) { return __builtin_ia32_blendmps_512_mask(b, a, m); }
BL_INLINE bl_vq bl_where_q(bl_vm m, bl_vq a, bl_vq b) { return (bl_vq)__builtin_ia32_blendmq_512_mask((bl_long8)b, (bl_long8)a, m); }
BL_INLINE bl_vi bl_where_i(bl_vn m, bl_vi a, bl_vi b) { return __builtin_ia32_blendmd_512_mask(b, a, m); }
BL_INLINE bl_vh bl_where_h(bl_vm m, bl_vh a, bl_vh b) { return BL_TO(bl_vh, bl_where_q(m, BL_TO(bl_vq, a), BL_TO(bl_vq, b))); }
BL_INLINE bl_vw bl_where_w(bl_vn m, bl_vw a, bl_vw b) {
    bl_vw r = {bl_where_q((bl_vm)m, a.low, b.low), bl_where_q((bl_vm)(m >> 8), a.high, b.high)}; return r; }
BL_INLINE bl_vq bl_stage_m(bl_vq staged, bl_vm m, bl_vq place) {
    return (bl_vq)__builtin_ia32_porq512_mask((bl_long8)staged, (bl_long8)place, (bl_long8)staged, m); }
BL_INLINE bl_vi bl_stage_n(bl_vi staged, bl_vn m, bl_vi place) { return __builtin_ia32_pord512_mask(staged, place, staged, m); }
#else
typedef bl_vq bl_vm;
typedef bl_vi bl_vn;
BL_INLINE bl_vm bl_splat_m(int x) { return bl_splat_q(-(int64_t)(x != 0)); }
BL_INLINE bl_vn bl_splat_n(int x) { return bl_splat_i(-(x != 0)); }
BL_INLINE int bl_any_m(bl_vm m) { return bl_any_q(m); }
BL_INLINE int bl_any_n(bl_vn m) { return bl_any_i(m); }
BL_INLINE bl_vm bl_q_to_m(bl_vq x) { return x != 0; }
BL_INLINE bl_vn bl_i_to_n(bl_vi x) { return x != 0; }
BL_INLINE bl_vm bl_load_m(const uint8_t *p) { bl_b8 x; memcpy(&x, p, sizeof x); return BL_TO(bl_vq, x) != 0; }
BL_INLINE bl_vn bl_load_n(const uint8_t *p) { bl_b16 x; memcpy(&x, p, sizeof x); return BL_TO(bl_vi, x) != 0; }
#define BL_COMPARED(name, of_reals, of_integers, operator) \\
BL_INLINE bl_vm bl_##name##_d(bl_vd a, bl_vd b) { return a operator b; } \\
BL_INLINE bl_vn bl_##name##_f(bl_vf a, bl_vf b) { return a operator b; } \\
BL_INLINE bl_vm bl_##name##_q(bl_vq a, bl_vq b) { return a operator b; } \\
BL_INLINE bl_vn bl_##name##_i(bl_vi a, bl_vi b) { return a operator b; } \\
BL_INLINE bl_vm bl_##name##_h(bl_vh a, bl_vh b) { return BL_TO(bl_vq, a operator b); } \\
BL_INLINE bl_vn bl_##name##_w(bl_vw a, bl_vw b) { return bl_join_i(BL_TO(bl_vh, a.low operator b.low), BL_TO(bl_vh, a.high operator b.high)); }
BL_INLINE bl_vd bl_where_d(bl_vm m, bl_vd a, bl_vd b) { return bl_choose_d(m, a, b); }
BL_INLINE bl_vf bl_where_f(bl_vn m, bl_vf a, bl_vf b) { return bl_choose_f(m, a, b); }
BL_INLINE bl_vq bl_where_q(bl_vm m, bl_vq a, bl_vq b) { return bl_choose_q(m, a, b); }
BL_INLINE bl_vi bl_where_i(bl_vn m, bl_vi a, bl_vi b) { return bl_choose_i(m, a, b); }
BL_INLINE bl_vh bl_where_h(bl_vm m, bl_vh a, bl_vh b) { return bl_choose_h(BL_TO(bl_vh, m), a, b); }
BL_INLINE bl_vw bl_where_w(bl_vn m, bl_vw a, bl_vw b) {
    bl_vw r = {bl_choose_q(BL_TO(bl_vq, bl_low_i(m)), a.low, b.low), bl_choose_q(BL_TO(bl_vq, bl_high_i(m)), a.high, b.high)}; return r; }
BL_INLINE bl_vq bl_stage_m(bl_vq staged, bl_vm m, bl_vq place) { return staged | (m & place); }
BL_INLINE bl_vi bl_stage_n(bl_vi staged, bl_vn m, bl_vi place) { return staged | (m & place); }
#endif
/* numbers of predicates: false for NaN, but for `different` */
BL_COMPARED(less, 17, 1, <) BL_COMPARED(at_most, 18, 2, <=) BL_COMPARED(greater, 30, 6, >) BL_COMPARED(at_least, 29, 5, >=)
BL_COMPARED(equal, 0, 0, ==) BL_COMPARED(different, 4, 4, !=)
BL_INLINE bl_vm bl_where_m(bl_vm m, bl_vm a, bl_vm b) { return (m & a) | (~m & b); }
BL_INLINE bl_vn bl_where_n(bl_vn m, bl_vn a, bl_vn b) { return (m & a) | (~m & b); }

/* the bytes of a block: byte k of each lane belongs to the k-th of its vectors */
#if defined(BL_SHUFFLE) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BL_IN_ORDER_m(x) __builtin_shufflevector((bl_bytes)x, (bl_bytes)x, BL_EIGHTH(0), BL_EIGHTH(1), BL_EIGHTH(2), BL_EIGHTH(3), \\
    BL_EIGHTH(4), BL_EIGHTH(5), BL_EIGHTH(6), BL_EIGHTH(7))
#define BL_IN_ORDER_n(x) __builtin_shufflevector((bl_bytes)x, (bl_bytes)x, BL_FOURTH(0), BL_FOURTH(1), BL_FOURTH(2), BL_FOURTH(3))
#else
#define BL_IN_ORDER(V, S, N) BL_INLINE bl_bytes BL_IN_ORDER_##S(V x) { \\
    bl_bytes r; int k; for (k = 0; k < BL_BLOCK; k++) r[k] = (uint8_t)(x[k % N] >> k / N * 8); return r; }
BL_IN_ORDER(bl_vq, m, BL_LANES) BL_IN_ORDER(bl_vi, n, BL_LANES2)
#endif
#define BL_STAGED(V, U, S) \\
BL_INLINE V bl_next_##S(V place) { return (V)((U)place << 8); } \\
BL_INLINE void bl_spread_##S(uint8_t *p, V staged, ptrdiff_t count) { \\
    bl_bytes x = BL_IN_ORDER_##S(staged); ptrdiff_t k; \\
    if (count >= BL_BLOCK) { memcpy(p, &x, BL_BLOCK); return; } \\
    for (k = 0; k < count; k += 16) memcpy(p + k, (char *)&x + k, 16); }
BL_STAGED(bl_vq, bl_vu, m) BL_STAGED(bl_vi, bl_vj, n)
static __attribute__((noinline)) void bl_mark(int64_t *p, const uint8_t *events, ptrdiff_t count, int64_t value) {
    ptrdiff_t n, k; uint64_t word;
    for (n = 0; n < count; n += 8) {
        memcpy(&word, events + n, 8);
        for (k = n; word != 0 && k < n + 8; k++) if (events[k]) p[k] = value; } }

/* from one kind to another; a mask counts as 0 or 1 */
BL_INLINE bl_vq bl_d_to_q(bl_vd x) { return BL_TO(bl_vq, x); }
BL_INLINE bl_vh bl_d_to_h(bl_vd x) { return BL_TO(bl_vh, x); }
BL_INLINE bl_vm bl_d_to_m(bl_vd x) { return bl_different_d(x, bl_splat_d(0)); }
BL_INLINE bl_vd bl_q_to_d(bl_vq x) { return BL_TO(bl_vd, x); }
BL_INLINE bl_vh bl_q_to_h(bl_vq x) { return BL_TO(bl_vh, x); }
BL_INLINE bl_vd bl_h_to_d(bl_vh x) { return BL_TO(bl_vd, x); }
BL_INLINE bl_vq bl_h_to_q(bl_vh x) { return BL_TO(bl_vq, x); }
BL_INLINE bl_vm bl_h_to_m(bl_vh x) { return bl_q_to_m(BL_TO(bl_vq, x)); }
BL_INLINE bl_vd bl_m_to_d(bl_vm x) { return bl_where_d(x, bl_splat_d(1), bl_splat_d(0)); }
BL_INLINE bl_vq bl_m_to_q(bl_vm x) { return bl_where_q(x, bl_splat_q(1), bl_splat_q(0)); }
BL_INLINE bl_vh bl_m_to_h(bl_vm x) { return BL_TO(bl_vh, bl_m_to_q(x)); }
BL_INLINE bl_vi bl_f_to_i(bl_vf x) { return BL_TO(bl_vi, x); }
BL_INLINE bl_vn bl_f_to_n(bl_vf x) { return bl_different_f(x, bl_splat_f(0)); }
BL_INLINE bl_vf bl_i_to_f(bl_vi x) { return BL_TO(bl_vf, x); }
BL_INLINE bl_vf bl_n_to_f(bl_vn x) { return bl_where_f(x, bl_splat_f(1), bl_splat_f(0)); }
BL_INLINE bl_vi bl_n_to_i(bl_vn x) { return bl_where_i(x, bl_splat_i(1), bl_splat_i(0)); }
BL_INLINE bl_vw bl_i_to_w(bl_vi x) { bl_vw r = {BL_TO(bl_vq, bl_low_i(x)), BL_TO(bl_vq, bl_high_i(x))}; return r; }
BL_INLINE bl_vw bl_n_to_w(bl_vn x) { return bl_i_to_w(bl_n_to_i(x)); }
BL_INLINE bl_vi bl_w_to_i(bl_vw x) { return bl_join_i(BL_TO(bl_vh, x.low), BL_TO(bl_vh, x.high)); }
BL_INLINE bl_vf bl_w_to_f(bl_vw x) { return bl_join_f(BL_TO(bl_vg, x.low), BL_TO(bl_vg, x.high)); }
BL_INLINE bl_vw bl_f_to_w(bl_vf x) { bl_vw r = {BL_TO(bl_vq, bl_low_f(x)), BL_TO(bl_vq, bl_high_f(x))}; return r; }

/* as many integers of 64 bits as floats are two vectors */
BL_INLINE bl_vw bl_load_w(const int64_t *p) { bl_vw x = {bl_load_q(p), bl_load_q(p + BL_LANES)}; return x; }
BL_INLINE void bl_store_w(int64_t *p, bl_vw x) { bl_store_q(p, x.low); bl_store_q(p + BL_LANES, x.high); }
BL_INLINE bl_vw bl_splat_w(int64_t x) { bl_vw v = {bl_splat_q(x), bl_splat_q(x)}; return v; }
BL_INLINE bl_vn bl_w_to_n(bl_vw x) { return bl_different_w(x, bl_splat_w(0)); }
#define BL_PAIRED(name, operator) BL_INLINE bl_vw bl_##name##_w(bl_vw a, bl_vw b) { bl_vw r = {a.low operator b.low, a.high operator b.high}; return r; }
BL_PAIRED(add, +) BL_PAIRED(subtract, -) BL_PAIRED(multiply, *)
BL_INLINE bl_vw bl_negate_w(bl_vw x) { bl_vw r = {-x.low, -x.high}; return r; }
"""

TYPES = {"vd": "double", "vq": "int64_t", "vh": "int32_t", "vf": "float", "vi": "int32_t", "vm": "int64_t", "vn": "int32_t"}
"""What Cython takes the vectors for: numbers, with which it does nothing but what the text says."""
COMPARISONS = ("less", "at_most", "greater", "at_least", "equal", "different")


def row(result: str, name: str, arguments: str) -> str:
    """A function as Cython declares it."""
    return f'{result} {name} "bl_{name}"({arguments})'


def declarations() -> list[str]:
    """What Cython has to know of them."""
    rows = [f'ctypedef {element} {name} "bl_{name}"' for name, element in TYPES.items()]
    rows += ['ctypedef struct vw "bl_vw":', "    vq low", 'const ptrdiff_t LANES "BL_LANES", LANES2 "BL_LANES2", BLOCK "BL_BLOCK"']
    kinds = {"d": ("vd", "double", "vm"), "q": ("vq", "int64_t", "vm"), "h": ("vh", "int32_t", "vm"), "m": ("vm", "uint8_t", "vm")}
    kinds |= {"f": ("vf", "float", "vn"), "i": ("vi", "int32_t", "vn"), "w": ("vw", "int64_t", "vn"), "n": ("vn", "uint8_t", "vn")}
    for kind, (vector, element, mask) in kinds.items():
        rows += [row(vector, f"load_{kind}", f"const {element} *"), row(vector, f"where_{kind}", f"{mask}, {vector}, {vector}")]
        if kind in "mn":
            rows.append(row(vector, f"splat_{kind}", "int"))
            continue
        rows += [row("void", f"store_{kind}", f"{element} *, {vector}"), row(vector, f"splat_{kind}", element)]
        rows += [row(mask, f"{name}_{kind}", f"{vector}, {vector}") for name in COMPARISONS]
    for mask, staged, own, words in (("m", "vq", "vm", "q"), ("n", "vi", "vn", "i")):
        rows += [row("int", f"any_{mask}", own), row("int", f"any_{words}", staged), row(staged, f"stage_{mask}", f"{staged}, {own}, {staged}")]
        rows += [row(staged, f"next_{mask}", staged), row("void", f"spread_{mask}", f"uint8_t *, {staged}, ptrdiff_t")]
    rows += [row("vd", "kept_d", "vd"), row("vf", "kept_f", "vf"), row("void", "mark", "int64_t *, const uint8_t *, ptrdiff_t, int64_t")]
    rows += [row(kinds[to][0], f"{own}_to_{to}", kinds[own][0]) for own, to in re.findall(r"bl_(\w)_to_(\w)\(", LANES) if own in kinds]
    rows += [row("vw", f"{name}_w", "vw, vw") for name in ("add", "subtract", "multiply")]
    return [*dict.fromkeys(rows), row("vw", "negate_w", "vw")]
