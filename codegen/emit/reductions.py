"""Records over time in C: sums of spikes or numbers, and maxima with what their gradients need; some rows at a time, of numbers or of bytes.

The letters after `$` are those of `tiles.py`.
"""

from __future__ import annotations


def _sum(name: str, kind: str) -> str:
    return f"""
void bl_{name}_$S($T *restrict y, ptrdiff_t y_stride, const {kind} *restrict x, ptrdiff_t x_stride, ptrdiff_t n, ptrdiff_t rows) {{
    ptrdiff_t k, r;
    for (r = 0; r < rows; r++, y += y_stride, x += x_stride) for (k = 0; k < n; k++) y[k] += ($T)x[k];
}}
"""


def _maximum(name: str, kind: str) -> str:
    return f"""
void bl_{name}_$S($T *restrict high, $T *restrict ties, int32_t *restrict when, uint64_t *restrict bits, const {kind} *restrict x, ptrdiff_t x_stride,
    ptrdiff_t n, ptrdiff_t rows, ptrdiff_t t) {{
    ptrdiff_t begin, k, r;
    for (r = 0; r < rows; r++, x += x_stride, high += n, ties += n, when += n) for (begin = 0; begin < n; begin += 64) {{
        const ptrdiff_t end = BL_PART(n, begin + 64);
        uint8_t reached[64] = {{0}};
        if (t == 0) for (k = begin; k < end; k++) {{ high[k] = ($T)x[k]; ties[k] = 0; when[k] = 0; }}
        for (k = begin; k < end; k++) {{
            const $T value = ($T)x[k];
            const int above = value > high[k], equal = value == high[k];
            ties[k] = above ? ($T)1 : ties[k] + (equal ? ($T)1 : ($T)0);
            when[k] = above ? (int32_t)t : when[k];
            high[k] = above ? value : high[k];
            reached[k - begin] = (uint8_t)(above | equal);
        }}
        if (bits != NULL) *bits++ = bl_all_bytes(reached);
    }}
}}
"""


SUM, SUM_BYTES = _sum("sum", "$T"), _sum("sum_bytes", "uint8_t")
MAXIMUM, MAXIMUM_BYTES = _maximum("maximum", "$T"), _maximum("maximum_bytes", "uint8_t")
