"""Sparse parts of linear pathways in C: rows of a matrix for the events that reach it, gradients of such rows, synapses in lists, and finding the events.

An event costs the row of its source and nothing else. A block of targets stays in registers over all events of a row (forward), or the cotangents of a
block over all events of a step (gradients). Sums run in the order of the events. The letters after `$` are those of `tiles.py`.
"""

from __future__ import annotations

WIDEST = 16  # vectors of a block of targets, where there are 32 registers; half of it elsewhere


def _parts(text: str, width: int) -> str:
    """The text once for each vector of a block."""
    return " ".join(text.format(part=part) for part in range(width))


def _gather(width: int) -> str:
    """Add the rows of events to a block of targets."""
    return f"""
static void bl_gather_{width}_$S($T *acc, const $T *w, ptrdiff_t w_stride, const int32_t *index, const $T *value, ptrdiff_t count) {{
    {_parts("$V a{part} = bl_load_$S(acc + {part} * $L);", width)}
    ptrdiff_t e;
    if (value == NULL) for (e = 0; e < count; e++) {{
        const $T *p = w + index[e] * w_stride;
        {_parts("a{part} = a{part} + bl_load_$S(p + {part} * $L);", width)}
    }}
    else for (e = 0; e < count; e++) {{
        const $T *p = w + index[e] * w_stride;
        $V v = bl_splat_$S(value[e]);
        {_parts("a{part} = bl_fma_$S(v, bl_load_$S(p + {part} * $L), a{part});", width)}
    }}
    {_parts("bl_store_$S(acc + {part} * $L, a{part});", width)}
}}"""


def _scatter(width: int) -> str:
    """Add a block of cotangents to the rows of events."""
    return f"""
static void bl_scatter_{width}_$S($T *dw, ptrdiff_t dw_stride, const $T *bar, const int32_t *index, const $T *value, ptrdiff_t count) {{
    {_parts("const $V b{part} = bl_load_$S(bar + {part} * $L);", width)}
    ptrdiff_t e;
    if (value == NULL) for (e = 0; e < count; e++) {{
        $T *p = dw + index[e] * dw_stride;
        {_parts("bl_store_$S(p + {part} * $L, bl_load_$S(p + {part} * $L) + b{part});", width)}
    }}
    else for (e = 0; e < count; e++) {{
        $T *p = dw + index[e] * dw_stride;
        $V v = bl_splat_$S(value[e]);
        {_parts("bl_store_$S(p + {part} * $L, bl_fma_$S(v, b{part}, bl_load_$S(p + {part} * $L)));", width)}
    }}
}}"""


EVENT_ROWS = (
    "".join(map(_gather, range(1, WIDEST + 1)))
    + """
void bl_event_rows_$S($T *acc, ptrdiff_t acc_stride, const $T *w, ptrdiff_t w_stride, ptrdiff_t n_target, const int32_t *index, const $T *value,
    const int64_t *first, ptrdiff_t rows) {
    static void (*const gather[])($T *, const $T *, ptrdiff_t, const int32_t *, const $T *, ptrdiff_t) = { """
    + ", ".join(f"bl_gather_{width}_$S" for width in range(1, WIDEST + 1))
    + """ };
    const ptrdiff_t vectors = n_target / $L;
    ptrdiff_t r, c, blocks, width;
    for (r = 0; r < rows; r++, acc += acc_stride) {
        const $T *values = value == NULL ? NULL : value + first[r];
        const ptrdiff_t count = first[r + 1] - first[r];
        if (count > 0) for (c = 0, blocks = (vectors + 2 * BL_TALL - 1) / (2 * BL_TALL); blocks > 0; blocks--, c += width * $L) {
            width = (vectors - c / $L) / blocks;
            gather[width - 1](acc + c, w + c, w_stride, index + first[r], values, count);
        }
    }
}
"""
)

SCATTER = (
    """
#ifndef BL_SCATTER_$S
#define BL_SCATTER_$S
"""
    + "".join(map(_scatter, range(1, WIDEST + 1)))
    + """
/* what the lists first[k] to first[k + 1] add to the columns [begin, end) */
static void bl_lists_$S($T *dw, ptrdiff_t dw_stride, ptrdiff_t begin, ptrdiff_t end, const $T *bar, ptrdiff_t bar_stride, const int64_t *first,
    const int32_t *index, const $T *value, ptrdiff_t count) {
    static void (*const scatter[])($T *, ptrdiff_t, const $T *, const int32_t *, const $T *, ptrdiff_t) = { """
    + ", ".join(f"bl_scatter_{width}_$S" for width in range(1, WIDEST + 1))
    + """ };
    const ptrdiff_t vectors = (end - begin) / $L;
    ptrdiff_t c, k, blocks = (vectors + 2 * BL_TALL - 1) / (2 * BL_TALL), width;
    for (c = begin; blocks > 0; blocks--, c += width * $L) {
        width = (end - c) / $L / blocks;
        for (k = 0; k < count; k++) {
            const ptrdiff_t start = first[k], events = first[k + 1] - start;
            if (events > 0) scatter[width - 1](dw + c, dw_stride, bar + k * bar_stride + c, index + start, value == NULL ? NULL : value + start, events);
        }
    }
}
#endif
"""
)

GRADIENT_ROWS = """
void bl_gradient_rows_$S($T *dw, ptrdiff_t dw_stride, ptrdiff_t begin, ptrdiff_t end, const $T *bar, ptrdiff_t bar_stride, const int64_t *first,
    const int32_t *index, const $T *value, ptrdiff_t count) {
    bl_lists_$S(dw, dw_stride, begin, end, bar, bar_stride, first, index, value, count);
}
"""

WORDS = """
#ifndef BL_WORDS
#define BL_WORDS
#ifdef BL_AVX512
__attribute__((noinline)) static ptrdiff_t bl_list_full_word(uint64_t word, int32_t base, int32_t *index) {
    static const bl_vi places = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    ptrdiff_t k, done = 0;
    for (k = 0; k < 64; k += 16, word >>= 16) {
        bl_store_i(index + done, __builtin_ia32_compresssi512_mask(places + (base + (int32_t)k), places, (bl_vn)word));
        done += __builtin_popcount(word & 0xffff);
    }
    return done;
}
#endif
/* the positions of the bits of a word, four at a time, and their number: the room for 64 must be there. Nothing is skipped: nobody can guess which words are
   empty */
BL_INLINE ptrdiff_t bl_list_word(uint64_t word, int32_t base, int32_t *index) {
    const uint64_t top = (uint64_t)1 << 63;
    ptrdiff_t count = __builtin_popcountll(word), k, done = 0;
#ifdef BL_AVX512
    if (__builtin_expect(count > 16, 0)) return bl_list_full_word(word, base, index);
#endif
    do {
        for (k = 0; k < 4; k++) { index[done + k] = base + (int32_t)__builtin_ctzll(word | top); word &= word - 1; }
        done += 4;
    } while (__builtin_expect(done < count, 0));
    return count;
}
/* which of eight bytes are not zero, as 1 and 0 in each, and as bits */
BL_INLINE uint64_t bl_ones(const uint8_t *x) {
    const uint64_t low = 0x7f7f7f7f7f7f7f7fu;
    uint64_t w;
    memcpy(&w, x, 8);
    return (((w & low) + low) | w) >> 7 & 0x0101010101010101u;
}
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
BL_INLINE uint64_t bl_byte_bits(const uint8_t *x) { uint64_t b = 0; int k; for (k = 0; k < 8; k++) b |= (uint64_t)(x[k] != 0) << k; return b; }
BL_INLINE void bl_bit_bytes(uint8_t *x, uint64_t b) { int k; for (k = 0; k < 8; k++) x[k] = b >> k & 1; }
#else
BL_INLINE uint64_t bl_byte_bits(const uint8_t *x) { return bl_ones(x) * 0x0102040810204080u >> 56; }
BL_INLINE void bl_bit_bytes(uint8_t *x, uint64_t b) {
    uint64_t w = (((b & 0xff) * 0x0101010101010101u & 0x8040201008040201u) + 0x7f7f7f7f7f7f7f7fu) >> 7 & 0x0101010101010101u;
    memcpy(x, &w, 8); }
#endif
/* which of the first n bytes, 64 at most, are not zero */
BL_INLINE uint64_t bl_some_bytes(const uint8_t *x, ptrdiff_t n) {
    uint64_t word = 0; ptrdiff_t k = 0;
    for (; k + 8 <= n; k += 8) word |= bl_byte_bits(x + k) << k;
    for (; k < n; k++) word |= (uint64_t)(x[k] != 0) << k;
    return word; }
#ifdef BL_AVX512
typedef char bl_char64 __attribute__((vector_size(64)));
BL_INLINE void bl_all_bits(uint8_t *x, uint64_t word) { bl_char64 v = __builtin_ia32_cvtmask2b512(word) & 1; memcpy(x, &v, 64); }
BL_INLINE uint64_t bl_all_bytes(const uint8_t *x) { bl_char64 v; memcpy(&v, x, 64); return __builtin_ia32_ptestmb512(v, v, ~0ull); }
#else
BL_INLINE void bl_all_bits(uint8_t *x, uint64_t word) { int k; for (k = 0; k < 64; k += 8) bl_bit_bytes(x + k, word >> k); }
BL_INLINE uint64_t bl_all_bytes(const uint8_t *x) { return bl_some_bytes(x, 64); }
#endif
#endif
"""

GRADIENT_BITS = """
void bl_gradient_bits_$S($T *dw, ptrdiff_t dw_stride, ptrdiff_t begin, ptrdiff_t end, const $T *bar, ptrdiff_t bar_stride, const uint64_t *bits,
    ptrdiff_t words, ptrdiff_t count) {
    enum { ROOM = 4096, STEPS = 256 };
    int32_t index[ROOM];
    int64_t first[STEPS + 1];
    ptrdiff_t k, word, part, steps = 0, most = BL_PART(words, ROOM / 64), found = 0;
    for (part = 0; part < words; part += most) /* sources apart, so that the events of a step fit */
        for (k = 0; k < count; k++) {
            ptrdiff_t last = BL_PART(words, part + most);
            first[steps++] = found;
            for (word = part; word < last; word++)
                found += bl_list_word(bits[k * words + word], (int32_t)(64 * word), index + found);
            if (found > ROOM - 64 * most || steps == STEPS || k == count - 1) {
                first[steps] = found;
                bl_lists_$S(dw, dw_stride, begin, end, bar + (k + 1 - steps) * bar_stride, bar_stride, first, index, NULL, steps);
                steps = found = 0;
            }
        }
}
"""

SCAN = """
ptrdiff_t bl_scan_$S(const $T *x, ptrdiff_t n, int32_t *index, $T *value, int32_t *graded) {
    ptrdiff_t i = 0, k, found = 0;
    int other = 0;
    for (; i + 16 <= n; i += 16) {
#ifdef BL_AVX512
        $SCAN
#else
        int some = 0;
        for (k = 0; k < 16; k++) some |= x[i + k] != 0;
        if (some) for (k = 0; k < 16; k++) if (x[i + k] != 0) { index[found] = (int32_t)(i + k); other |= x[i + k] != 1; value[found++] = x[i + k]; }
#endif
    }
    for (; i < n; i++) if (x[i] != 0) { index[found] = (int32_t)i; other |= x[i] != 1; value[found++] = x[i]; }
    *graded |= other;
    return found;
}
"""

SCAN_VECTORS = {
    "f": """static const bl_vi places = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
        bl_vf v = bl_load_f(x + i);
        bl_vn m = bl_different_f(v, bl_splat_f(0));
        other |= m & bl_different_f(v, bl_splat_f(1));
        bl_store_f(value + found, __builtin_ia32_compresssf512_mask(v, v, m));
        bl_store_i(index + found, __builtin_ia32_compresssi512_mask(places + (int32_t)i, places, m));
        found += __builtin_popcount(m);""",
    "d": """static const bl_vi places = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
        bl_vd v = bl_load_d(x + i), u = bl_load_d(x + i + 8);
        bl_vm m = bl_different_d(v, bl_splat_d(0)), l = bl_different_d(u, bl_splat_d(0));
        bl_vn both = (bl_vn)(m | l << 8);
        other |= (m & bl_different_d(v, bl_splat_d(1))) | (l & bl_different_d(u, bl_splat_d(1)));
        bl_store_d(value + found, __builtin_ia32_compressdf512_mask(v, v, m));
        bl_store_d(value + found + __builtin_popcount(m), __builtin_ia32_compressdf512_mask(u, u, l));
        bl_store_i(index + found, __builtin_ia32_compresssi512_mask(places + (int32_t)i, places, both));
        found += __builtin_popcount(both);""",
}
"""With AVX-512, without branches: which of 16 values are not zero is as good as random."""

SCAN_BYTES = """
ptrdiff_t bl_scan_bytes_$S(const uint8_t *x, ptrdiff_t n, int32_t *index) {
    ptrdiff_t i, k, found = 0;
    for (i = 0; i + 64 <= n; i += 64) { uint64_t word = bl_all_bytes(x + i); found += bl_list_word(word, (int32_t)i, index + found); }
    for (; i < n; i++) { index[found] = (int32_t)i; found += x[i] != 0; }
    return found;
}
"""

PACK_BITS = """
void bl_pack_bits_$S(const uint8_t *x, ptrdiff_t n, uint64_t *bits) {
    ptrdiff_t i;
    for (i = 0; i + 64 <= n; i += 64) bits[i / 64] = bl_all_bytes(x + i);
    if (i < n) bits[i / 64] = bl_some_bytes(x + i, n - i);
}
"""

UNPACK_BITS = """
void bl_unpack_bits_$S(const uint64_t *bits, ptrdiff_t n, uint8_t *x) {
    ptrdiff_t i, end = (n + 15) / 16 * 16;
    for (i = 0; i + 64 <= end; i += 64) bl_all_bits(x + i, bits[i / 64]);
    for (; i < end; i += 8) bl_bit_bytes(x + i, bits[i / 64] >> i % 64);
}
"""

LIST_BITS = """
ptrdiff_t bl_list_bits_$S(const uint64_t *bits, ptrdiff_t words, int32_t *index) {
    ptrdiff_t word, found = 0;
    for (word = 0; word < words; word++) found += bl_list_word(bits[word], (int32_t)(64 * word), index + found);
    return found;
}
"""

SPARSE_ROWS = """
void bl_sparse_rows_$S($T *acc, ptrdiff_t acc_stride, const $T *w, const int64_t *row, const int32_t *target, const int32_t *index, const $T *value,
    const int64_t *first, ptrdiff_t rows) {
    ptrdiff_t r, e, s;
    for (r = 0; r < rows; r++, acc += acc_stride) for (e = first[r]; e < first[r + 1]; e++) {
        ptrdiff_t end = row[index[e] + 1];
        if (value == NULL) for (s = row[index[e]]; s < end; s++) acc[target[s]] += w[s];
        else for (s = row[index[e]]; s < end; s++) acc[target[s]] = bl_multiply_add_$S(value[e], w[s], acc[target[s]]);
    }
}
"""

def back(loads: str, product: str, vector: str, zero: str) -> str:
    """The sum over the synapses of source j, in four parts: of every fourth synapse, in their order."""
    terms = [f"a{k} = {product}({loads.format(k=k)}, a{k});" for k in range(4)]
    lines = [f"const ptrdiff_t end = row[j + 1]; {vector} a0 = {zero}, a1 = a0, a2 = a0, a3 = a0;", "for (s = row[j]; s + 4 <= end; s += 4) {"]
    lines += [*("    " + term for term in terms), "}"]
    lines += [f"if (s + {k} < end) {term}" for k, term in enumerate(terms[:3])]
    return "\n            ".join([*lines, "a0 = (a0 + a1) + (a2 + a3);"])


SPARSE_BACK = (
    """
typedef $T bl_side_$S __attribute__((vector_size(BL_LANES * sizeof($T)))); /* one target, several rows */
BL_INLINE bl_side_$S bl_multiply_add_side_$S($T a, const $T *b, bl_side_$S c) {
    bl_side_$S r; int k;
    for (k = 0; k < BL_LANES; k++) r[k] = bl_multiply_add_$S(a, b[k], c[k]);
    return r; }
BL_INLINE $T bl_back_$S(const $T *w, const int64_t *row, const int32_t *target, const $T *bar, ptrdiff_t j) {
    ptrdiff_t s;
    """
    + back("w[s + {k}], bar[target[s + {k}]]", "bl_multiply_add_$S", "$T", "0")
    + """
    return a0; }
void bl_sparse_back_$S($T *y, ptrdiff_t y_stride, const $T *bar, ptrdiff_t bar_stride, const $T *w, const int64_t *row, const int32_t *target,
    ptrdiff_t n_source, ptrdiff_t rows, const uint8_t *wanted, ptrdiff_t wanted_stride) {
    ptrdiff_t r, j, s, t, n;
    int32_t last = -1;
    $T near[4096], *side = near;
    if (rows >= BL_LANES) {
        for (s = row[0]; s < row[n_source]; s++) last = target[s] > last ? target[s] : last;
        n = (ptrdiff_t)last + 1;
        if (n * BL_LANES > 4096) side = malloc((size_t)n * BL_LANES * sizeof($T)); /* without it: one row after the other, to the same bits */
        for (; side && rows >= BL_LANES; rows -= BL_LANES, y += BL_LANES * y_stride, bar += BL_LANES * bar_stride) {
            for (t = 0; t < n; t++) for (r = 0; r < BL_LANES; r++) side[t * BL_LANES + r] = bar[r * bar_stride + t];
            for (j = 0; j < n_source; j++) {
                if (wanted != NULL) {
                    ptrdiff_t alone = 0, some = 0;
                    for (r = 0; r < BL_LANES; r++) if (wanted[r * wanted_stride + j]) { some++; alone = r; }
                    if (some == 0) continue;
                    if (some == 1) { y[alone * y_stride + j] += bl_back_$S(w, row, target, bar + alone * bar_stride, j); continue; }
                }
            """
    + back("w[s + {k}], side + (ptrdiff_t)target[s + {k}] * BL_LANES", "bl_multiply_add_side_$S", "bl_side_$S", "{0}")
    + """
                for (r = 0; r < BL_LANES; r++) if (wanted == NULL || wanted[r * wanted_stride + j]) y[r * y_stride + j] += a0[r];
            }
            if (wanted != NULL) wanted += BL_LANES * wanted_stride;
        }
        if (side != near) free(side);
    }
    for (; rows > 0; rows--, y += y_stride, bar += bar_stride) {
        for (j = 0; j < n_source; j++) if (wanted == NULL || wanted[j]) y[j] += bl_back_$S(w, row, target, bar, j);
        if (wanted != NULL) wanted += wanted_stride;
    }
}
"""
)

SPARSE_GRADIENT = """
void bl_sparse_gradient_$S($T *restrict dw, ptrdiff_t source_begin, ptrdiff_t source_end, const $T *restrict bar, ptrdiff_t bar_stride,
    const int64_t *restrict row, const int32_t *restrict target, const int64_t *first, const int32_t *index, const $T *value, ptrdiff_t count) {
    ptrdiff_t k, e, s;
    for (k = 0; k < count; k++, bar += bar_stride) for (e = first[k]; e < first[k + 1]; e++) {
        ptrdiff_t source = index[e], end;
        if (source < source_begin || source >= source_end) continue;
        end = row[source + 1];
        if (value == NULL) for (s = row[source]; s < end; s++) dw[s] += bar[target[s]];
        else for (s = row[source]; s < end; s++) dw[s] = bl_multiply_add_$S(value[e], bar[target[s]], dw[s]);
    }
}
"""
