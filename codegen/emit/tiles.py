"""Dense parts of linear pathways in C: products of a few rows with a matrix, the gradient of one, its transpose, and single dot products.

A tile of results stays in registers while all its terms pass by: 8 rows of 3 vectors where there are 32 registers, 4 rows where there are 16. Each element
is summed in the order of its terms, whatever the tile it belongs to, so its bits depend neither on the number of rows nor on their grouping.

In these texts `$T` is the type of an element, `$V` a vector of `$L` of them, and `$S` the letter at the end of the names in `lanes.py`.
"""

from __future__ import annotations

WIDTHS = {8: (3, 2, 1), 4: (3, 2, 1), 2: (12, 3, 2, 1), 1: (12, 3, 2, 1)}
"""Of a tile of so many rows, in vectors. One or two rows alone wait for the matrix, which they read fastest in long pieces."""

SCALARS = """
#ifndef BL_MULTIPLY_ADD
#define BL_MULTIPLY_ADD /* what bl_fma does, for one element: the same rounding */
#if defined(BL_AVX512) || defined(__FMA__) || defined(__ARM_FEATURE_FMA)
BL_INLINE double bl_multiply_add_d(double a, double b, double c) { return __builtin_fma(a, b, c); }
BL_INLINE float bl_multiply_add_f(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#else
BL_INLINE double bl_multiply_add_d(double a, double b, double c) { return a * b + c; }
BL_INLINE float bl_multiply_add_f(float a, float b, float c) { return a * b + c; }
#endif
#if defined(BL_AVX512) || defined(__AVX512F__) || defined(__aarch64__)
#define BL_TALL 8 /* rows of a tile: what 32 registers hold */
#else
#define BL_TALL 4
#endif
#if defined(__GNUC__) || defined(__clang__)
#define BL_PREFETCH_2(address) __builtin_prefetch(address, 0, 2) /* into the second level */
#else
#define BL_PREFETCH_2(address) ((void)0)
#endif
#define BL_PART(length, most) ((length) < (most) ? (length) : (most))
#endif
"""


def _tile(height: int, width: int, name: str = "tile") -> str:
    """`acc[r][:] += sum over k of x[r][k] * w[k][:]` for `height` rows and `width` vectors, k ascending; `ahead`: and fetch the tile to the right."""
    cells = [(row, part) for row in range(height) for part in range(width)]
    lines = [f"static void bl_{name}_{height}_{width}_$S($T *acc, ptrdiff_t acc_stride, const $T *x, ptrdiff_t row, ptrdiff_t next,"]
    lines += ["    const $T *w, ptrdiff_t w_stride, ptrdiff_t depth) {"]
    lines += [f"    const $T *x{row} = x + {row} * row;" for row in range(height)]
    lines += [f"    $V a{row}_{part} = bl_load_$S(acc + {row} * acc_stride + {part} * $L);" for row, part in cells]
    lines += ["    ptrdiff_t k, at = 0;", "    for (k = 0; k < depth; k++, w += w_stride, at += next) {"]
    lines += [f"        $V w{part} = bl_load_$S(w + {part} * $L);" for part in range(width) if height > 2]
    if name == "ahead":
        lines += [f"        BL_PREFETCH_2(w + {width + part} * $L);" for part in range(width)]
    lines += [f"        $V b{row} = bl_splat_$S(x{row}[at]);" for row in range(height) if height <= 2]
    if height <= 2:
        for part in range(width):
            lines += ["        {", f"            $V v = bl_load_$S(w + {part} * $L);"]
            lines += [f"            a{row}_{part} = bl_fma_$S(b{row}, v, a{row}_{part});" for row in range(height)]
            lines += ["        }"]
    else:
        lines += ["        $V b;"]
        for row in range(height):
            lines += [f"        b = bl_splat_$S(x{row}[at]);"]
            lines += [f"        a{row}_{part} = bl_fma_$S(b, w{part}, a{row}_{part});" for part in range(width)]
    lines += ["    }", *(f"    bl_store_$S(acc + {row} * acc_stride + {part} * $L, a{row}_{part});" for row, part in cells), "}"]
    return "\n".join(lines)


def _column(height: int, name: str = "tile") -> str:
    """The rows of one column of tiles, for each width."""
    conditions = [("else " if n else "") + f"if (width == {width}) " for n, width in enumerate(WIDTHS[height])]
    calls = [
        f"        {condition}bl_{name}_{height}_{width}_$S(acc, acc_stride, x, row, next, w, w_stride, depth);"
        for condition, width in zip(conditions, WIDTHS[height], strict=True)
    ]
    return "\n".join([f"    for (; rows >= {height}; rows -= {height}, acc += {height} * acc_stride, x += {height} * row) {{", *calls, "    }", ""])


TILES = (
    """
#ifndef BL_TILES_$S
#define BL_TILES_$S
"""
    + "\n".join(_tile(height, width) for height in WIDTHS for width in WIDTHS[height])
    + """
static void bl_column_$S(int width, $T *acc, ptrdiff_t acc_stride, const $T *x, ptrdiff_t row, ptrdiff_t next, const $T *w, ptrdiff_t w_stride,
    ptrdiff_t depth, ptrdiff_t rows) {
#if BL_TALL == 8
"""
    + _column(8)
    + "#endif\n"
    + "".join(map(_column, (4, 2, 1)))
    + """}
/* vectors of the next tile, so that the last one is not a single vector */
BL_INLINE int bl_width_$S(ptrdiff_t vectors) { return vectors > 4 || vectors == 3 ? 3 : vectors > 1 ? 2 : 1; }
#endif
"""
)

PRODUCT = (  # gradients stay in a panel that is near already: fetching ahead would cost them a tenth
    "\n".join(_tile(8, width, "ahead") for width in WIDTHS[8])
    + """
static void bl_column_ahead_$S(int width, $T *acc, ptrdiff_t acc_stride, const $T *x, ptrdiff_t row, ptrdiff_t next, const $T *w, ptrdiff_t w_stride,
    ptrdiff_t depth, ptrdiff_t rows) {
#if BL_TALL == 8
"""
    + _column(8, "ahead")
    + """#endif
    bl_column_$S(width, acc, acc_stride, x, row, next, w, w_stride, depth, rows);
}
#define BL_DEPTH_$S (512 / (ptrdiff_t)sizeof($T)) /* rows of w that stay near while all rows of acc pass by */
void bl_product_$S($T *acc, ptrdiff_t acc_stride, const $T *x, ptrdiff_t x_stride, const $T *w, ptrdiff_t w_stride, ptrdiff_t n_source, ptrdiff_t n_target,
    ptrdiff_t rows) {
    ptrdiff_t j, c;
    for (j = 0; j < n_source; j += BL_DEPTH_$S) {
        ptrdiff_t depth = BL_PART(n_source - j, BL_DEPTH_$S);
        for (c = 0; c < n_target;) {
            ptrdiff_t vectors = (n_target - c) / $L;
            int width = rows < BL_TALL / 2 && vectors >= 12 ? 12 : bl_width_$S(vectors);
            bl_column_ahead_$S(width, acc + c, acc_stride, x + j, x_stride, 1, w + j * w_stride + c, w_stride, depth, rows);
            c += width * $L;
        }
    }
}
"""
)

GRADIENT_PRODUCT = """
void bl_gradient_product_$S($T *dw, ptrdiff_t dw_stride, ptrdiff_t begin, ptrdiff_t end, const $T *bar, ptrdiff_t bar_stride, const $T *x, ptrdiff_t x_stride,
    ptrdiff_t n_source, ptrdiff_t count) {
    ptrdiff_t k, j, c, panel;
    const ptrdiff_t terms = 512 / (ptrdiff_t)sizeof($T), wide = 2304 / (ptrdiff_t)sizeof($T); /* bar of this size stays in L2, x of eight sources in L1 */
    for (k = 0; k < count; k += terms) for (panel = begin; panel < end; panel += wide) {
        ptrdiff_t depth = BL_PART(count - k, terms), last = BL_PART(end, panel + wide);
        for (j = 0; j < n_source; j += 8) for (c = panel; c < last;) {
            int width = bl_width_$S((last - c) / $L);
            bl_column_$S(width, dw + j * dw_stride + c, dw_stride, x + k * x_stride + j, 1, x_stride, bar + k * bar_stride + c, bar_stride, depth,
                BL_PART(n_source - j, 8));
            c += width * $L;
        }
    }
}
"""

TRANSPOSE = """
#ifndef BL_INTERLEAVE_$S
#define BL_INTERLEAVE_$S
/* the lower, or the upper, halves of two vectors, their elements taken in turn */
#if defined(__clang__)
BL_INLINE void bl_interleave_$S($V a, $V b, $V *low, $V *high) {
    *low = __builtin_shufflevector(a, b, BL_TURN_LOW_$S); *high = __builtin_shufflevector(a, b, BL_TURN_HIGH_$S); }
#else
BL_INLINE void bl_interleave_$S($V a, $V b, $V *low, $V *high) {
    *low = __builtin_shuffle(a, b, ($I){BL_TURN_LOW_$S}); *high = __builtin_shuffle(a, b, ($I){BL_TURN_HIGH_$S}); }
#endif
#endif
void bl_transpose_$S($T *out, ptrdiff_t out_stride, const $T *w, ptrdiff_t w_stride, ptrdiff_t n_source, ptrdiff_t n_target) {
    ptrdiff_t i, j, k;
    for (i = 0; i < (n_source + 15) / 16 * 16; i += $L) for (j = 0; j < n_target; j += $L) {
        $V a[$L], b[$L];
        int half;
        for (k = 0; k < $L; k++) a[k] = i + k < n_source ? bl_load_$S(w + (i + k) * w_stride + j) : bl_splat_$S(0);
        for (half = 1; half < $L; half *= 2) { /* each round doubles how far apart the elements of a vector were; after the last one they were rows apart */
            for (k = 0; k < $L / 2; k++) bl_interleave_$S(a[k], a[k + $L / 2], &b[2 * k], &b[2 * k + 1]);
            for (k = 0; k < $L; k++) a[k] = b[k];
        }
        for (k = 0; k < BL_PART(n_target - j, $L); k++) bl_store_$S(out + (j + k) * out_stride + i, a[k]);
    }
}
"""

def _orders(lanes: int) -> list[str]:
    """Macros with the orders of elements that transposing and summing take, for vectors of so many doubles."""
    lines = []
    for letter, length in (("d", lanes), ("f", 2 * lanes)):
        pairs = [(k, k + length) for k in range(length)]
        for name, part in (("LOW", pairs[: length // 2]), ("HIGH", pairs[length // 2 :])):
            lines.append(f"#define BL_TURN_{name}_{letter} " + ", ".join(f"{a}, {b}" for a, b in part))
        halves = [length >> k for k in range(1, length.bit_length())]
        swaps = [f"x = x + BL_ORDER(x, {letter}, " + ", ".join(str(k ^ half) for k in range(length)) + ");" for half in halves]
        lines.append(f"#define BL_FOLD_{letter}(x) " + " ".join(swaps))
    return lines


ORDERS = "\n".join(
    [
        "#ifndef BL_ORDER",
        "#if defined(__clang__)",
        "#define BL_ORDER(x, S, ...) __builtin_shufflevector(x, x, __VA_ARGS__)",
        "#else",
        "#define BL_INTEGERS_d bl_vq",
        "#define BL_INTEGERS_f bl_vi",
        "#define BL_ORDER(x, S, ...) __builtin_shuffle(x, (BL_INTEGERS_##S){__VA_ARGS__})",
        "#endif",
        *("\n".join([f"#{'elif' if lanes < 8 else 'if'} BL_LANES == {lanes}", *_orders(lanes)]) for lanes in (8, 4, 2)),
        "#endif",
        "#endif",
        "",
    ]
)


def _dots(count: int) -> str:
    """`y[r] += x . bar[r]` for some rows r; four sums of every fourth vector, whatever the number of rows."""
    lines = [f"static void bl_dots_{count}_$S($T *y, ptrdiff_t y_stride, const $T *x, const $T *bar, ptrdiff_t bar_stride, ptrdiff_t n, const int *r) {{"]
    lines += [f"    const $T *p{k} = bar + r[{k}] * bar_stride;" for k in range(count)]
    lines += ["    ptrdiff_t c = 0;", "    $V x0;"]
    lines += [f"    $V {', '.join(f'a{k}_{part} = bl_splat_$S(0)' for part in range(4))};" for k in range(count)]

    def terms(part: int) -> list[str]:
        place = f"c + {part} * $L"
        products = [f"a{k}_{part} = bl_fma_$S(x0, bl_load_$S(p{k} + {place}), a{k}_{part});" for k in range(count)]
        return [f"x0 = bl_load_$S(x + {place});", *products]

    lines += ["    for (; c + 4 * $L <= n; c += 4 * $L) {", *("        " + line for part in range(4) for line in terms(part)), "    }"]
    for part in range(3):
        lines += [f"    if (c + {part} * $L < n) {{", *("        " + line for line in terms(part)), "    }"]
    lines += [f"    y[r[{k}] * y_stride] += bl_lanes_$S((a{k}_0 + a{k}_1) + (a{k}_2 + a{k}_3));" for k in range(count)]
    return "\n".join([*lines, "}", ""])


SOME_PRODUCTS = (
    """
/* the sum of the lanes: of the first half and the second, and so on */
BL_INLINE $T bl_lanes_$S($V x) { BL_FOLD_$S(x) return x[0]; }
"""
    + "".join(map(_dots, (4, 2, 1)))
    + """
/* a row of w meets all the rows of bar that want it while it is near */
void bl_some_products_$S($T *y, ptrdiff_t y_stride, const $T *bar, ptrdiff_t bar_stride, const $T *w, ptrdiff_t w_stride, ptrdiff_t n_target,
    const uint8_t *wanted, ptrdiff_t wanted_stride, ptrdiff_t n_source, ptrdiff_t rows) {
    ptrdiff_t j, k, done;
    for (; rows > 0; rows -= 8, y += 8 * y_stride, bar += 8 * bar_stride, wanted += 8 * wanted_stride) {
        const int part = (int)BL_PART(rows, 8);
        for (j = 0; j < n_source; j += 64) {
            uint64_t some[8], any = 0;
            for (k = 0; k < part; k++) {
                const uint8_t *p = wanted + k * wanted_stride + j;
                some[k] = n_source - j < 64 ? bl_some_bytes(p, n_source - j) : bl_all_bytes(p);
                any |= some[k];
            }
            for (; any; any &= any - 1) {
                const int bit = __builtin_ctzll(any);
                int list[8], n = 0;
                for (k = 0; k < part; k++) { list[n] = (int)k; n += some[k] >> bit & 1; }
                for (done = 0; BL_TALL == 8 && n - done >= 4; done += 4)
                    bl_dots_4_$S(y + j + bit, y_stride, w + (j + bit) * w_stride, bar, bar_stride, n_target, list + done);
                for (; n - done >= 2; done += 2)
                    bl_dots_2_$S(y + j + bit, y_stride, w + (j + bit) * w_stride, bar, bar_stride, n_target, list + done);
                if (n > done) bl_dots_1_$S(y + j + bit, y_stride, w + (j + bit) * w_stride, bar, bar_stride, n_target, list + done);
            }
        }
    }
}
"""
)
