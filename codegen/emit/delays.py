"""Pathways whose synapses have delays of their own in C: events that are sent ahead, the cotangents of events, and the gradients of weights and delays.

A window holds one row for each step, and the place of a synapse in it is known before the run: `place[s]` is its delay times the width of a row, and its
target. So one pass over the synapses of a source reaches all delays, and an event costs one addition a synapse, however many delays there are; where the
synapses of a source lie side by side (`flat`: one delay, targets in order), that is a sum of vectors. The letters after `$` are those of `tiles.py`.
"""

from __future__ import annotations

from .events import back

AT_ONCE = 4  # synapses


def _unrolled(each: str, before: str = "") -> str:
    """A loop over the synapses of a source, some at a time: what `before` reads of each is read first."""
    parts = range(AT_ONCE)
    some = " ".join([*(before.format(k=k) for k in parts), *(each.format(k=k) for k in parts)])
    one = f"{before} {each}".format(k=0)
    return f"{{ for (; s + {AT_ONCE} <= end; s += {AT_ONCE}) {{ {some} }} for (; s < end; s++) {{ {one} }} }}"


READ = "const int32_t p{k} = place[s + {k}];"
ALONG = "for (k = 0; s + k < end; k++) "

DELAYED_ROWS = f"""
void bl_delayed_rows_$S($T *window, ptrdiff_t window_stride, const $T *restrict w, const int64_t *restrict row, const int32_t *restrict place,
    const uint8_t *restrict flat, const int32_t *index, const $T *value, const int64_t *first, ptrdiff_t rows, ptrdiff_t gone) {{
    ptrdiff_t r, e, s, k;
    for (r = 0; r < rows; r++, window += window_stride) for (e = first[r]; e < first[r + 1]; e++) {{
        const ptrdiff_t source = index[e], end = row[source + 1];
        const $T v = value == NULL ? 1 : value[e];
        s = row[source];
        if (gone) {{ for (; s < end; s++) if (place[s] >= gone) window[place[s] - gone] = bl_multiply_add_$S(v, w[s], window[place[s] - gone]); }}
        else if (flat[source]) {{
            $T *restrict to = window + place[s];
            const $T *restrict from = w + s;
            if (value == NULL) {ALONG} to[k] += from[k];
            else {ALONG} to[k] = bl_multiply_add_$S(v, from[k], to[k]);
        }}
        else if (value == NULL) {_unrolled("window[p{k}] += w[s + {k}];", READ)}
        else {_unrolled("window[p{k}] = bl_multiply_add_$S(v, w[s + {k}], window[p{k}]);", READ)}
    }}
}}
"""

DELAYED_BACK = (
    """
typedef $T bl_eight_$S __attribute__((vector_size(8 * sizeof($T)))); /* one place of a window, eight members */
BL_INLINE bl_eight_$S bl_multiply_add_eight_$S($T a, const $T *b, bl_eight_$S c) {
    bl_eight_$S r; int k;
    for (k = 0; k < 8; k++) r[k] = bl_multiply_add_$S(a, b[k], c[k]);
    return r; }
void bl_delayed_back_$S($T *y, ptrdiff_t y_stride, const $T *window, const $T *w, const int64_t *row, const int32_t *place, ptrdiff_t n_source,
    ptrdiff_t rows, const uint8_t *wanted, ptrdiff_t wanted_stride, ptrdiff_t gone) {
    ptrdiff_t r, j, s;
    for (j = 0; j < n_source; j++) {
        if (wanted != NULL) {
            int some = 0;
            for (r = 0; r < rows; r++) some |= wanted[r * wanted_stride + j];
            if (!some) continue;
        }
        if (gone) { /* rarely */
            bl_eight_$S a = {0};
            for (s = row[j]; s < row[j + 1]; s++) if (place[s] >= gone) a = bl_multiply_add_eight_$S(w[s], window + (place[s] - gone) * 8, a);
            for (r = 0; r < rows; r++) y[r * y_stride + j] += a[r];
            continue;
        }
            """
    + back("w[s + {k}], window + (ptrdiff_t)place[s + {k}] * 8", "bl_multiply_add_eight_$S", "bl_eight_$S", "{0}")
    + """
        for (r = 0; r < rows; r++) if (wanted == NULL || wanted[r * wanted_stride + j]) y[r * y_stride + j] += a0[r];
    }
}
"""
)

SOURCES = """ptrdiff_t e, s, k;
    for (e = 0; e < count; e++) {
        const ptrdiff_t source = index[e];
        const $T v = value == NULL ? 1 : value[e];
        ptrdiff_t end;
        if (source < source_begin || source >= source_end) continue;
        s = row[source]; end = row[source + 1];"""

DELAYED_GRADIENT = f"""
void bl_delayed_gradient_$S($T *restrict dw, ptrdiff_t source_begin, ptrdiff_t source_end, const $T *restrict bar, const int64_t *restrict row,
    const int32_t *restrict place, const uint8_t *restrict flat, const int32_t *index, const $T *value, ptrdiff_t count) {{
    {SOURCES}
        if (flat[source]) {{
            $T *restrict to = dw + s;
            const $T *restrict from = bar + place[s];
            if (value == NULL) {ALONG} to[k] += from[k];
            else {ALONG} to[k] = bl_multiply_add_$S(v, from[k], to[k]);
        }}
        else if (value == NULL) for (; s < end; s++) dw[s] += bar[place[s]];
        else for (; s < end; s++) dw[s] = bl_multiply_add_$S(v, bar[place[s]], dw[s]);
    }}
}}
"""

PAIRS = """
/* of `rows` rows, but the first, each cotangent and by how much the next step's exceeds that of the step before; and of `soon` rows, from the first on, each
 * cotangent and by how much the next step's exceeds it */
void bl_delayed_pairs_$S($T *restrict to, $T *restrict early, const $T *restrict bar, ptrdiff_t width, ptrdiff_t rows, ptrdiff_t soon) {
    ptrdiff_t n;
    for (n = width; n < rows * width; n++) { to[2 * n] = bar[n]; to[2 * n + 1] = bar[n + width] - bar[n - width]; }
    for (n = 0; n < soon * width; n++) { early[2 * n] = bar[n]; early[2 * n + 1] = bar[n + width] - bar[n]; }
}
"""

FOUR_PAIRS = {
    "f": """typedef double bl_four_f __attribute__((vector_size(32))); /* each lane carries two floats */
typedef float bl_pairs_f __attribute__((vector_size(32)));
BL_INLINE bl_pairs_f bl_four_pairs_f(const float *a, const float *b, const float *c, const float *d) {
    double x, y, z, u;
    memcpy(&x, a, 8); memcpy(&y, b, 8); memcpy(&z, c, 8); memcpy(&u, d, 8);
    return (bl_pairs_f)(bl_four_f){x, y, z, u}; }
""",
    "d": """typedef double bl_pairs_d __attribute__((vector_size(64)));
BL_INLINE bl_pairs_d bl_four_pairs_d(const double *a, const double *b, const double *c, const double *d) {
    return (bl_pairs_d){a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]}; }
""",
}
"""Two numbers from each of four places, as one vector."""

DELAYED_GRADIENTS = f"""
$FOUR_PAIRS
void bl_delayed_gradients_$S($T *restrict both, ptrdiff_t source_begin, ptrdiff_t source_end, const $T *restrict pairs, const int64_t *restrict row,
    const int32_t *restrict place, const uint8_t *restrict flat, const int32_t *index, const $T *value, ptrdiff_t count) {{
    {SOURCES}
        if (flat[source]) {{
            $T *restrict to = both + 2 * s;
            const $T *restrict from = pairs + place[s];
            const ptrdiff_t n = 2 * (end - s);
            if (value == NULL) for (k = 0; k < n; k++) to[k] += from[k];
            else for (k = 0; k < n; k++) to[k] = bl_multiply_add_$S(v, from[k], to[k]);
            continue;
        }}
        for (; s + 4 <= end; s += 4) {{
            const bl_pairs_$S found = bl_four_pairs_$S(pairs + place[s], pairs + place[s + 1], pairs + place[s + 2], pairs + place[s + 3]);
            bl_pairs_$S sum;
            memcpy(&sum, both + 2 * s, sizeof sum);
            if (value == NULL) sum += found;
            else for (k = 0; k < 8; k++) sum[k] = bl_multiply_add_$S(v, found[k], sum[k]);
            memcpy(both + 2 * s, &sum, sizeof sum);
        }}
        for (; s < end; s++) for (k = 0; k < 2; k++) both[2 * s + k] = bl_multiply_add_$S(v, pairs[place[s] + k], both[2 * s + k]);
    }}
}}
"""
