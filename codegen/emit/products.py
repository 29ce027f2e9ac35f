"""The C kernels of training runs: products of events and of dense rows with matrices of weights, their gradients, lists of events, sums and maxima of records.

Plain C functions, called with the GIL released, of pointers and `ptrdiff_t` sizes; `T` is float or double. `n_target`, strides and the limits of column
ranges are multiples of 16, the padding holds zeros, and matrices begin at multiples of 64 bytes. `value` may be NULL: all ones. Events of row r are
`first[r] .. first[r + 1]` in `index` and `value`. A product rounds once (multiply-add) where the processor can, so a value of one adds the same bits as NULL,
and `event_rows` the same bits as `product` wherever weights are finite. Strides that are multiples of 4096 bytes put a column into a few sets of a cache:
16 elements more are faster.

    event_rows(T *acc, acc_stride, T *w, w_stride, n_target, int32 *index, T *value, int64 *first, rows)             acc[r] += sum of value[e] * w[index[e]]
    product(T *acc, acc_stride, T *x, x_stride, T *w, w_stride, n_source, n_target, rows)                            acc[r] += sum of x[r][j] * w[j]
    transpose(T *out, out_stride, T *w, w_stride, n_source, n_target)                                                out[j][i] = w[i][j], then zeros
    gradient_rows(T *dw, dw_stride, begin, end, T *bar, bar_stride, int64 *first, int32 *index, T *value, count)     dw[index[e]] += value[e] * bar[k]
    gradient_bits(T *dw, dw_stride, begin, end, T *bar, bar_stride, uint64 *bits, words, count)                      the same of bits[k * words + ...]
    gradient_product(T *dw, dw_stride, begin, end, T *bar, bar_stride, T *x, x_stride, n_source, count)              dw[j] += sum of x[k][j] * bar[k]
    scan(T *x, n, int32 *index, T *value, int32 *graded) -> count           what is not 0 (NaN is not); graded |= whether any is not 1; room for n
    scan_bytes(uint8 *x, n, int32 *index) -> count                          room for n
    pack_bits(uint8 *x, n, uint64 *bits)                                    bits behind n are 0
    unpack_bits(uint64 *bits, n, uint8 *x)                                  bytes 0 and 1, up to the next multiple of 16
    list_bits(uint64 *bits, words, int32 *index) -> count                   room for 64 a word
    sparse_rows(T *acc, acc_stride, T *w, int64 *row, int32 *target, int32 *index, T *value, int64 *first, rows)     acc[r][target[s]] += value[e] * w[s]
    sparse_back(T *y, y_stride, T *bar, bar_stride, T *w, int64 *row, int32 *target, n_source, rows, uint8 *wanted, wanted_stride)
                                                                            y[r][j] += sum of w[s] * bar[r][target[s]], where wanted[r][j] or wanted is NULL
    sparse_gradient(T *dw, source_begin, source_end, T *bar, bar_stride, int64 *row, int32 *target, int64 *first, int32 *index, T *value, count)
    delayed_rows(T *window, window_stride, T *w, int64 *row, int32 *place, uint8 *flat, int32 *index, T *value, int64 *first, rows, gone)
                                                                            window[r][place[s] - gone] += value[e] * w[s], where place[s] >= gone
    delayed_back(T *y, y_stride, T *window, T *w, int64 *row, int32 *place, n_source, rows, uint8 *wanted, wanted_stride, gone)
                                                                            y[r][j] += sum of w[s] * window[place[s] - gone][r], for at most eight r
    delayed_gradient(T *dw, source_begin, source_end, T *bar, int64 *row, int32 *place, uint8 *flat, int32 *index, T *value, count)
                                                                            dw[s] += value[e] * bar[place[s]]
    delayed_pairs(T *to, T *early, T *bar, width, rows, soon)               to[t][i] = bar[t][i], bar[t + 1][i] - bar[t - 1][i], 0 < t < rows; and
                                                                            early[t][i] = bar[t][i], bar[t + 1][i] - bar[t][i], t < soon
    delayed_gradients(T *both, source_begin, source_end, T *pairs, int64 *row, int32 *place, uint8 *flat, int32 *index, T *value, count)
                                                                            both[s][0 and 1] += value[e] * pairs[place[s] and the next one]
    some_products(T *y, y_stride, T *bar, bar_stride, T *w, w_stride, n_target, uint8 *wanted, wanted_stride, n_source, rows)   where wanted[r][j]
    sum(T *y, y_stride, T *x, x_stride, n, rows), sum_bytes(T *y, y_stride, uint8 *x, x_stride, n, rows)                        y[r][k] += x[r][k]
    maximum(T *high, T *ties, int32 *when, uint64 *bits, T *x, x_stride, n, rows, t), maximum_bytes(..., uint8 *x, ...)         with step t of rows of n

`high` is the largest number so far, `ties` how many steps had it, `when` the first one; `bits` (or NULL) tell which numbers of step t are the largest so far.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Template

from ..ir import Source
from . import delays, events, reductions, tiles

FUNCTIONS = {
    "event_rows": (tiles.SCALARS, events.EVENT_ROWS),
    "product": (tiles.SCALARS, tiles.TILES, tiles.PRODUCT),
    "transpose": (tiles.SCALARS, tiles.ORDERS, tiles.TRANSPOSE),
    "gradient_rows": (tiles.SCALARS, events.SCATTER, events.GRADIENT_ROWS),
    "gradient_bits": (tiles.SCALARS, events.WORDS, events.SCATTER, events.GRADIENT_BITS),
    "gradient_product": (tiles.SCALARS, tiles.TILES, tiles.GRADIENT_PRODUCT),
    "scan": (events.SCAN,),
    "scan_bytes": (events.WORDS, events.SCAN_BYTES),
    "pack_bits": (events.WORDS, events.PACK_BITS),
    "unpack_bits": (events.WORDS, events.UNPACK_BITS),
    "list_bits": (events.WORDS, events.LIST_BITS),
    "sparse_rows": (tiles.SCALARS, events.SPARSE_ROWS),
    "sparse_back": ("#include <stdlib.h>\n", tiles.SCALARS, events.SPARSE_BACK),
    "sparse_gradient": (tiles.SCALARS, events.SPARSE_GRADIENT),
    "delayed_rows": (tiles.SCALARS, delays.DELAYED_ROWS),
    "delayed_back": (tiles.SCALARS, delays.DELAYED_BACK),
    "delayed_gradient": (tiles.SCALARS, delays.DELAYED_GRADIENT),
    "delayed_pairs": (delays.PAIRS,),
    "delayed_gradients": (tiles.SCALARS, delays.DELAYED_GRADIENTS),
    "some_products": (tiles.SCALARS, events.WORDS, tiles.ORDERS, tiles.SOME_PRODUCTS),
    "sum": (reductions.SUM,),
    "sum_bytes": (reductions.SUM_BYTES,),
    "maximum": (tiles.SCALARS, events.WORDS, reductions.MAXIMUM),
    "maximum_bytes": (tiles.SCALARS, events.WORDS, reductions.MAXIMUM_BYTES),
}
"""The pieces of each function: its own, and those that it shares with others."""

LETTERS = {"float32": "f", "float64": "d"}
_WORDS = {
    "f": {"T": "float", "V": "bl_vf", "I": "bl_vi", "L": "BL_LANES2", "S": "f"},
    "d": {"T": "double", "V": "bl_vd", "I": "bl_vq", "L": "BL_LANES", "S": "d"},
}


def sources(float_dtype: str) -> dict[str, Source]:
    """Each function by its name, as the Source of a kernel `<name>_<float_dtype>` whose address is the function's.

    >>> sorted(sources("float32"))[5:7], sources("float32")["product"].name
    (['event_rows', 'gradient_bits'], 'product_float32')
    """
    return {name: _source(name, float_dtype) for name in FUNCTIONS}


def _source(name: str, float_dtype: str) -> Source:
    letter = LETTERS[float_dtype]
    text = Template("".join(FUNCTIONS[name])).substitute(_WORDS[letter], SCAN=events.SCAN_VECTORS[letter], FOUR_PAIRS=delays.FOUR_PAIRS[letter])
    kernel = f"{name}_{float_dtype}"
    lines = ["cdef extern from * nogil:", '    """', text.replace("\\", "\\\\"), '    """', f'    void {kernel} "bl_{name}_{letter}"()']
    return Source("cython", kernel, "\n".join([*lines, "", f'kernels["{kernel}"] = (<uintptr_t><void *>{kernel}, "C {name} {letter}")', ""]))


# ------------------------------------------------------------------------------------------------------------------------------------------- density
LEVEL_2 = 2**20
"""Bytes of a core's second-level cache, as far as choices go: the same on every machine, because a dot product and a product differ in their last bits."""

@dataclass(frozen=True, slots=True)
class Densities:
    """The fraction of elements below which a kernel for some of them is faster than the dense one, which takes all.

    `rows`: event_rows, not product; `lists` and `bits`: gradient_rows and gradient_bits, not gradient_product; `wanted`: some_products, not product with
    the transposed matrix.
    """

    rows: float
    lists: float
    bits: float
    wanted: float


def density_limits(n_source: int, n_target: int, cache_bytes: int, float_dtype: str) -> Densities:
    """Where the kernels for events and the dense ones take the same time, given the size of a core's second-level cache.

    Measured on Zen 5 for matrices of 64 x 16 to 2048 x 2064 in both float types (docs/performance.md); a product takes 0.12 ns for 64 bytes of a row, an
    event 0.3 to 0.4 from the second level and 0.55 from the third. What depends on the length of a row, in lines of 64 bytes, is what an event costs
    beside its row.

    >>> density_limits(700, 256, 2**20, "float32").rows, density_limits(1024, 1024, 2**20, "float32").rows
    (0.33, 0.22)
    """
    size = {"float32": 4, "float64": 8}[float_dtype]
    lines = -(-n_target * size // 64)
    near = n_source * n_target * size <= 1.5 * cache_bytes
    lists = 0.3 if near else 0.22
    return Densities(rows=0.33 if near else 0.22, lists=lists, bits=1 / (1 / lists + 4.4 / lines), wanted=min(0.4 if near else 0.25, 0.018 * lines))
