"""Pathways whose synapses have delays of their own in C: events that are sent ahead, the cotangents of events, and the gradients of weights and delays.

A window holds one row for each step, and the place of a synapse in it is known before the run: `place[s]` is its delay times the width of a row, and its
target. So one pass over the synapses of a source reaches all delays, and an event costs one addition a synapse, however many delays there are. The letters
after `$` are those of `tiles.py`.
"""

from __future__ import annotations

from .events import back

DELAYED_ROWS = """
void bl_delayed_rows_$S($T *window, ptrdiff_t window_stride, const $T *w, const int64_t *row, const int32_t *place, const int32_t *index, const $T *value,
    const int64_t *first, ptrdiff_t rows, ptrdiff_t gone) {
    ptrdiff_t r, e, s;
    for (r = 0; r < rows; r++, window += window_stride) for (e = first[r]; e < first[r + 1]; e++) {
        const ptrdiff_t end = row[index[e] + 1];
        const $T v = value == NULL ? 1 : value[e];
        s = row[index[e]];
        if (gone) { for (; s < end; s++) if (place[s] >= gone) window[place[s] - gone] = bl_multiply_add_$S(v, w[s], window[place[s] - gone]); }
        else if (value == NULL) for (; s < end; s++) window[place[s]] += w[s];
        else for (; s < end; s++) window[place[s]] = bl_multiply_add_$S(v, w[s], window[place[s]]);
    }
}
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


def _gradient(weights: bool, delays: bool, graded: bool) -> str:
    """A loop over the synapses of an event."""
    lines = ["const $T *x = bar + place[s];"]
    add = "{0} = bl_multiply_add_$S(v, {1}, {0});" if graded else "{0} += {1};"
    lines += [add.format("dw[s]", "*x")] if weights else []
    lines += [add.format("dd[s]", "(x[width] - x[place[s] < width ? 0 : -width])")] if delays else []
    return f"for (; s < end; s++) {{ {' '.join(lines)} }}"


DELAYED_GRADIENT = f"""
void bl_delayed_gradient_$S($T *restrict dw, $T *restrict dd, ptrdiff_t source_begin, ptrdiff_t source_end, const $T *restrict bar, ptrdiff_t width,
    const int64_t *restrict row, const int32_t *restrict place, const int32_t *index, const $T *value, ptrdiff_t count) {{
    ptrdiff_t e, s;
    for (e = 0; e < count; e++) {{
        const ptrdiff_t source = index[e];
        const $T v = value == NULL ? 1 : value[e];
        ptrdiff_t end;
        if (source < source_begin || source >= source_end) continue;
        s = row[source]; end = row[source + 1];
        if (dd == NULL && value == NULL) {_gradient(True, False, False)}
        else if (dd == NULL) {_gradient(True, False, True)}
        else if (dw == NULL && value == NULL) {_gradient(False, True, False)}
        else if (dw == NULL) {_gradient(False, True, True)}
        else if (value == NULL) {_gradient(True, True, False)}
        else {_gradient(True, True, True)}
    }}
}}
"""
