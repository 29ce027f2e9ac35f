"""The C kernels of linear pathways against numpy, over shapes that fill vectors, blocks and tiles, and that do not."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from brianlike.build import CompilerUnavailable, build_cython, find_compiler
from codegen.emit.products import FUNCTIONS, density_limits, sources

DTYPES = ("float32", "float64")
COUNTING = {"scan", "scan_bytes", "list_bits"}


@pytest.fixture(scope="module", params=DTYPES)
def kernels(request):
    """The functions of one float type, which take arrays and whole numbers, and the type."""
    try:
        find_compiler()
    except CompilerUnavailable as error:
        pytest.skip(str(error))
    built = build_cython(list(sources(request.param).values()))
    return {name: callable_at(built[f"{name}_{request.param}"].address, name in COUNTING) for name in FUNCTIONS}, np.dtype(request.param)


def callable_at(address, counts):
    def call(*arguments):
        kinds = [ctypes.c_void_p if a is None or isinstance(a, np.ndarray) else ctypes.c_ssize_t for a in arguments]
        function = ctypes.CFUNCTYPE(ctypes.c_ssize_t if counts else None, *kinds)(address)
        return function(*(a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments))

    return call


def aligned(shape, dtype):
    """Zeros that begin at a multiple of 64 bytes."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def padded(n):
    return -(-n // 16) * 16


def filled(rng, rows, n, dtype, extra=16):
    """Normal numbers in a matrix with padding of zeros behind each row."""
    matrix = aligned((rows, padded(n) + extra), dtype)
    matrix[:, :n] = rng.standard_normal((rows, n))
    return matrix


def event_lists(rng, rows, n_source, density):
    active = rng.random((rows, n_source)) < density
    first = np.concatenate([[0], np.cumsum(active.sum(1))]).astype(np.int64)
    return active, first, np.nonzero(active)[1].astype(np.int32)


def close(found, wanted, terms):
    """To the rounding of a sum of so many terms of size one."""
    eps = np.finfo(found.dtype).eps
    np.testing.assert_allclose(found, wanted, rtol=4 * eps * terms, atol=4 * eps * terms)


SHAPES = [(1, 1, 16), (1, 20, 16), (3, 7, 20), (8, 70, 256), (13, 33, 100), (32, 130, 272), (5, 300, 48), (6, 17, 1)]
"""Rows, sources, targets."""


@pytest.mark.parametrize("rows, n_source, n_target", SHAPES)
@pytest.mark.parametrize("density", [0.0, 0.05, 0.6])
@pytest.mark.parametrize("graded", [False, True])
def test_event_rows_and_their_gradient(kernels, rows, n_source, n_target, density, graded):
    call, dtype = kernels
    rng = np.random.default_rng(rows + n_source)
    active, first, index = event_lists(rng, rows, n_source, density)
    value = rng.standard_normal(len(index)).astype(dtype) if graded else None
    x = active.astype(dtype)
    x[active] = 1 if value is None else value
    w, acc, bar, dw = (filled(rng, n, n_target, dtype) for n in (n_source, rows, rows, n_source))
    exact = np.float64
    wanted = acc.astype(exact) + x.astype(exact) @ w.astype(exact)
    gradient = dw.astype(exact) + x.T.astype(exact) @ bar.astype(exact)
    dense, other = acc.copy(), aligned(acc.shape, dtype)
    other[:] = dense
    call["event_rows"](acc, acc.shape[1], w, w.shape[1], padded(n_target), index, value, first, rows)
    close(acc, wanted, n_source)
    aligned_x = np.ascontiguousarray(x)
    call["product"](other, other.shape[1], aligned_x, n_source, w, w.shape[1], n_source, padded(n_target), rows)
    assert np.array_equal(acc, other)  # the same order, the same rounding
    before = dw.copy()
    call["gradient_rows"](dw, dw.shape[1], 0, padded(n_target), bar, bar.shape[1], first, index, value, rows)
    close(dw, gradient, rows)
    assert not dw[:, n_target:].any()
    tile = aligned(before.shape, dtype)
    tile[:] = before
    call["gradient_product"](tile, tile.shape[1], 0, padded(n_target), bar, bar.shape[1], aligned_x, n_source, n_source, rows)
    assert np.array_equal(dw, tile)
    if value is None:
        bits = np.zeros((rows, -(-n_source // 64)), np.uint64)
        for k in range(rows):
            call["pack_bits"](np.ascontiguousarray(padded_bytes(active[k])), n_source, bits[k])
        tile[:] = before
        call["gradient_bits"](tile, tile.shape[1], 0, padded(n_target), bar, bar.shape[1], bits, bits.shape[1], rows)
        assert np.array_equal(dw, tile)


@pytest.mark.parametrize("n_source, n_target, most", [(1, 1, 0), (7, 20, 3), (33, 5, 9), (20, 64, 30)])
@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("delays", ["each", "sources", "all"])
def test_windows_on_time(kernels, n_source, n_target, most, graded, delays):
    """What sends events ahead, returns cotangents, and adds gradients, where every synapse has a delay and some pairs of neurons have none, or two."""
    call, dtype = kernels
    rng = np.random.default_rng(n_source)
    source = np.arange(n_source).repeat(n_target)
    source = np.sort(np.concatenate([source, rng.integers(0, n_source, 3)])) if delays == "each" else source
    target = rng.integers(0, n_target, len(source)) if delays == "each" else np.tile(np.arange(n_target), n_source)
    delay = {"each": rng.integers(0, most + 1, len(source)), "sources": rng.integers(0, most + 1, n_source)[source], "all": np.full(len(source), most)}[delays]
    width, rows = padded(n_target), 5
    row = np.searchsorted(source, np.arange(n_source + 1)).astype(np.int64)
    place = (delay * width + target).astype(np.int32)
    flat = np.array([delays != "each"] * n_source, np.uint8)
    w = rng.standard_normal(len(source)).astype(dtype)
    active, first, index = event_lists(rng, rows, n_source, 0.4)
    value = rng.standard_normal(len(index)).astype(dtype) if graded else None
    x = active.astype(np.float64)
    x[active] = 1 if value is None else value
    for gone in (0, 1, most):
        window = aligned((rows, (most + 1) * width), dtype)
        wanted = window.astype(np.float64)
        for s in np.flatnonzero(delay >= gone):
            wanted[:, place[s] - gone * width] += x[:, source[s]] * w[s]
        call["delayed_rows"](window, window.shape[1], w, row, place, flat, index, value, first, rows, gone * width)
        close(window, wanted, 9)
        bars, y = aligned(((most + 1) * width, 8), dtype), aligned((rows, padded(n_source)), dtype)
        bars[:] = rng.standard_normal(bars.shape)
        some = rng.random((rows, n_source)) < 0.5
        returned = np.zeros((rows, n_source))
        for s in np.flatnonzero(delay >= gone):
            returned[:, source[s]] += float(w[s]) * bars[place[s] - gone * width, :rows].astype(np.float64)
        given = None if gone else some.astype(np.uint8)
        call["delayed_back"](y, y.shape[1], bars, w, row, place, n_source, rows, given, n_source, gone * width)
        close(y[:, :n_source], returned if gone else np.where(some, returned, 0), n_target + 3)
    _gradients_on_time(call, dtype, rng, (row, place, flat, delay, source, target), (index, value, first), (n_source, width, most))


def _gradients_on_time(call, dtype, rng, synapses, events, sizes):
    row, place, flat, delay, source, target = synapses
    index, value, first = events
    n_source, width, most = sizes
    count, amounts = int(first[1]), np.ones(int(first[1])) if value is None else value
    sent = np.zeros(n_source)
    sent[index[:count]] = amounts[:count]
    bar = rng.standard_normal((most + 3, width)).astype(dtype)  # the row of events that arrive at once is the second one
    at = bar[1:].ravel()
    dw = np.zeros(len(place), dtype)
    exact = bar.astype(np.float64)
    for begin, end in ((0, n_source // 2), (n_source // 2, n_source)):
        call["delayed_gradient"](dw, begin, end, at, row, place, flat, index, value, count)
    close(dw, sent[source] * exact[delay + 1, target], 3)
    pairs, early = (np.full((n, width, 2), np.nan, dtype) for n in (most + 1, 1))
    call["delayed_pairs"](pairs, early, at, width, most + 1, 1)
    together, both = np.concatenate([pairs, early]), np.zeros((len(place), 2), dtype)
    apart = (2 * place + np.where(delay == 0, 2 * (most + 1) * width, 0)).astype(np.int32)
    call["delayed_gradients"](both, 0, n_source, together, row, apart, flat, index, value, count)
    close(both[:, 0], dw, 1)
    close(both[:, 1], sent[source] * (exact[delay + 2, target] - exact[np.where(delay == 0, 1, delay), target]), 3)


def padded_bytes(flags):
    x = np.zeros(padded(len(flags)), np.uint8)
    x[: len(flags)] = flags
    return x


def test_columns_are_gradients_of_their_own(kernels):
    """Ranges of columns, in any partition, give the bits of the whole, and touch nothing else."""
    call, dtype = kernels
    rng = np.random.default_rng(2)
    count, n_source, n_target = 700, 150, 272
    active, first, index = event_lists(rng, count, n_source, 0.1)
    bar, x = filled(rng, count, n_target, dtype), active.astype(dtype)
    bits = np.stack([np.frombuffer(np.packbits(padded_bytes(row), bitorder="little").tobytes().ljust(24, b"\0"), np.uint64) for row in active])

    def gradients(limits):
        results = [aligned((n_source, n_target), dtype) for _ in range(3)]
        for begin, end in zip(limits, limits[1:]):
            call["gradient_rows"](results[0], n_target, begin, end, bar, bar.shape[1], first, index, None, count)
            call["gradient_bits"](results[1], n_target, begin, end, bar, bar.shape[1], bits, 3, count)
            call["gradient_product"](results[2], n_target, begin, end, bar, bar.shape[1], x, n_source, n_source, count)
        return results

    whole, parts, inner = gradients([0, n_target]), gradients([0, 16, 144, 272]), gradients([32, 128])
    close(whole[0], x.T.astype(float) @ bar[:, :n_target], count)
    for k in range(3):
        assert np.array_equal(whole[0], whole[k]) and np.array_equal(whole[k], parts[k])
        assert np.array_equal(whole[k][:, 32:128], inner[k][:, 32:128]) and not inner[k][:, :32].any() and not inner[k][:, 128:].any()


def test_rows_do_not_know_of_each_other(kernels):
    """A row has the same bits whichever rows are computed with it."""
    call, dtype = kernels
    rng = np.random.default_rng(3)
    n_source, n_target = 300, 112
    w, x = filled(rng, n_source, n_target, dtype), filled(rng, 15, n_source, dtype)
    together = aligned((15, n_target), dtype)
    call["product"](together, n_target, x, x.shape[1], w, w.shape[1], n_source, n_target, 15)
    close(together, x[:, :n_source].astype(float) @ w[:, :n_target], n_source)
    for rows in (1, 2, 4, 7, 8):
        part = aligned((rows, n_target), dtype)
        call["product"](part, n_target, x, x.shape[1], w, w.shape[1], n_source, n_target, rows)
        assert np.array_equal(part, together[:rows])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_propagates(kernels, bad):
    call, dtype = kernels
    rng = np.random.default_rng(4)
    n_source, n_target, rows = 9, 32, 3
    w, x, bar = filled(rng, n_source, n_target, dtype), filled(rng, rows, n_source, dtype), filled(rng, rows, n_target, dtype)
    w[2, 5] = x[1, 3] = bar[0, 7] = bad
    acc, dw, back = aligned((rows, n_target), dtype), aligned((n_source, n_target), dtype), aligned((rows, 16), dtype)
    call["product"](acc, n_target, x, x.shape[1], w, w.shape[1], n_source, n_target, rows)
    call["gradient_product"](dw, n_target, 0, n_target, bar, bar.shape[1], x, x.shape[1], n_source, rows)
    wanted = np.ones((rows, n_source), np.uint8)
    call["some_products"](back, 16, bar, bar.shape[1], w, w.shape[1], n_target, wanted, n_source, n_source, rows)
    with np.errstate(invalid="ignore"):
        for found, exact in (
            (acc, x[:, :n_source].astype(float) @ w[:, :n_target]),
            (dw, x[:, :n_source].T.astype(float) @ bar[:, :n_target]),
            (back[:, :n_source], bar[:, :n_target].astype(float) @ w[:, :n_target].T),
        ):
            assert (np.isfinite(found) == np.isfinite(exact)).all() and not np.isfinite(found).all()
    first, index, value = np.array([0, 1, 2, 3], np.int64), np.array([2, 0, 1], np.int32), np.array([1, bad, 2], dtype)
    acc = aligned((rows, n_target), dtype)
    call["event_rows"](acc, n_target, w, w.shape[1], n_target, index, value, first, rows)
    assert not np.isfinite(acc[0, 5]) and np.isfinite(acc[0]).sum() == n_target - 1 and not np.isfinite(acc[1]).any() and np.isfinite(acc[2]).all()


@pytest.mark.parametrize("n_source, n_target", [(1, 16), (16, 16), (20, 48), (700, 256), (33, 5), (256, 700)])
def test_transpose(kernels, n_source, n_target):
    call, dtype = kernels
    w = filled(np.random.default_rng(5), n_source, n_target, dtype)
    out = aligned((n_target, padded(n_source) + 16), dtype)
    out[:] = 7
    call["transpose"](out, out.shape[1], w, w.shape[1], n_source, n_target)
    assert np.array_equal(out[:, :n_source], w[:, :n_target].T)
    assert not out[:, n_source : padded(n_source)].any() and (out[:, padded(n_source) :] == 7).all()


@pytest.mark.parametrize("n", [0, 1, 15, 16, 31, 64, 65, 700, 1000])
@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 1.0])
def test_finding_events(kernels, n, density):
    call, dtype = kernels
    rng = np.random.default_rng(n)
    x = rng.random(n + 1)[1:].astype(dtype) * (rng.random(n) < density)
    x[: n // 3] = x[: n // 3] != 0
    if n > 40:
        x[40] = np.nan
    index, value, graded = np.full(n + 1, -1, np.int32), np.full(n + 1, -1, dtype), np.zeros(1, np.int32)
    unaligned = np.concatenate([np.zeros(1, dtype), x])[1:]
    found = call["scan"](unaligned, n, index, value, graded)
    wanted = np.nonzero(x)[0]
    assert found == len(wanted) and np.array_equal(index[:found], wanted) and np.array_equal(value[:found], x[wanted], equal_nan=True)
    assert bool(graded[0]) == bool((x[wanted] != 1).any()) and index[n] == -1 and value[n] == -1
    graded[0] = 1
    call["scan"](np.zeros(n, dtype), n, index, value, graded)
    assert graded[0] == 1

    active = np.zeros(padded(n) + 1, np.uint8)[1:]
    active[:n] = (x != 0) * rng.choice([1, 3, 128], n)
    active[n:] = 9  # behind the end: no events
    index[:] = -1
    assert call["scan_bytes"](active, n, index) == len(wanted) and np.array_equal(index[: len(wanted)], wanted) and index[n] == -1
    words = -(-n // 64)
    bits, listed, back = np.zeros(words + 1, np.uint64), np.full(64 * words + 1, -1, np.int32), np.full(padded(n) + 1, 7, np.uint8)
    call["pack_bits"](active, n, bits)
    assert np.array_equal(np.unpackbits(bits.view(np.uint8), bitorder="little")[: padded(n)], padded_bytes(x != 0)) and bits[words] == 0
    assert call["list_bits"](bits, words, listed) == len(wanted) and np.array_equal(listed[: len(wanted)], wanted) and listed[-1] == -1
    call["unpack_bits"](bits, n, back)
    assert np.array_equal(back[:-1], padded_bytes(x != 0)) and back[-1] == 7


def test_bits_of_many_sources(kernels):
    """More sources than the list of events of a part holds."""
    call, dtype = kernels
    rng = np.random.default_rng(6)
    count, n_source = 3, 9000
    active = rng.random((count, n_source)) < 0.7
    bits = np.zeros((count, 141), np.uint64)
    for k in range(count):
        call["pack_bits"](padded_bytes(active[k]), n_source, bits[k])
    bar, dw = filled(rng, count, 16, dtype), aligned((n_source, 16), dtype)
    call["gradient_bits"](dw, 16, 0, 16, bar, bar.shape[1], bits, 141, count)
    close(dw, active.T.astype(float) @ bar[:, :16], count)


@pytest.mark.parametrize("rows, n_source, n_target", [(1, 5, 16), (8, 60, 100), (13, 200, 33), (16, 30, 900)])
@pytest.mark.parametrize("graded", [False, True])
def test_lists_of_synapses(kernels, rows, n_source, n_target, graded):
    call, dtype = kernels
    rng = np.random.default_rng(rows)
    active, first, index = event_lists(rng, rows, n_source, 0.2)
    value = rng.standard_normal(len(index)).astype(dtype) if graded else None
    x = active.astype(float)
    x[active] = 1 if value is None else value
    row = np.concatenate([[0], np.cumsum(rng.integers(0, 20, n_source))]).astype(np.int64)
    target, source = rng.integers(0, n_target, row[-1]).astype(np.int32), np.repeat(np.arange(n_source), np.diff(row))  # some twice
    w = rng.standard_normal(row[-1]).astype(dtype)
    matrix = np.zeros((n_source, n_target))
    np.add.at(matrix, (source, target), w)
    acc, bar = filled(rng, rows, n_target, dtype), filled(rng, rows, n_target, dtype)
    exact = acc[:, :n_target] + x @ matrix
    call["sparse_rows"](acc, acc.shape[1], w, row, target, index, value, first, rows)
    close(acc[:, :n_target], exact, 20 * n_source)
    y = filled(rng, rows, n_source, dtype)
    exact = y[:, :n_source] + bar[:, :n_target] @ matrix.T
    call["sparse_back"](y, y.shape[1], bar, bar.shape[1], w, row, target, n_source, rows, None, 0)
    close(y[:, :n_source], exact, 100)
    again = filled(np.random.default_rng(1), rows, n_source, dtype)
    alone = again.copy()
    call["sparse_back"](again, y.shape[1], bar, bar.shape[1], w, row, target, n_source, rows, None, 0)
    for k in range(rows):  # a row has the same bits alone
        call["sparse_back"](alone[k], y.shape[1], bar[k], bar.shape[1], w, row, target, n_source, 1, None, 0)
    assert np.array_equal(alone, again)
    dw = rng.standard_normal(row[-1]).astype(dtype)
    exact = dw + (x[:, source] * bar[:, target]).sum(0)
    parts = dw.copy()
    call["sparse_gradient"](dw, 0, n_source, bar, bar.shape[1], row, target, first, index, value, rows)
    close(dw, exact, 4 * rows)
    for begin, end in ((0, n_source // 3), (n_source // 3, n_source)):
        call["sparse_gradient"](parts, begin, end, bar, bar.shape[1], row, target, first, index, value, rows)
    assert np.array_equal(parts, dw)


@pytest.mark.parametrize("n_target", [16, 32, 48, 100, 256, 272])
def test_products_where_they_are_wanted(kernels, n_target):
    call, dtype = kernels
    rng = np.random.default_rng(n_target)
    rows, n_source = 5, 37
    bar, w = filled(rng, rows, n_target, dtype), filled(rng, n_source, n_target, dtype)
    exact = bar[:, :n_target].astype(float) @ w[:, :n_target].T
    everything = aligned((rows, 48), dtype)
    call["some_products"](everything, 48, bar, bar.shape[1], w, w.shape[1], padded(n_target), np.ones((rows, 48), np.uint8), 48, n_source, rows)
    close(everything[:, :n_source], exact, n_target)
    wanted = np.zeros((rows, 48), np.uint8)
    wanted[:, :n_source] = rng.random((rows, n_source)) < 0.3
    y = aligned((rows, 48), dtype)
    y[:] = 2
    call["some_products"](y, 48, bar, bar.shape[1], w, w.shape[1], padded(n_target), wanted, 48, n_source, rows)
    assert np.array_equal(y, np.where(wanted, everything + dtype.type(2), dtype.type(2)))


def test_densities_grow_with_rows_and_fall_with_distance():
    narrow, wide, far = (density_limits(256, n, cache, "float32") for n, cache in ((16, 2**20), (256, 2**20), (256, 2**14)))
    assert narrow.bits < narrow.lists and narrow.bits < wide.bits < wide.lists and narrow.wanted < wide.wanted
    assert far.rows < wide.rows and far.lists < wide.lists and far.bits < wide.bits and far.wanted < wide.wanted
    assert density_limits(256, 128, 2**20, "float64") == density_limits(256, 256, 2**20, "float32")  # bytes count


# ---------------------------------------------------------------------------------------------------------------------------------------------- records
@pytest.mark.parametrize("of_bytes", [False, True])
@pytest.mark.parametrize("n", [1, 20, 64, 150])
def test_sums_and_maxima_of_rows(kernels, n, of_bytes):
    call, dtype = kernels
    rng, rows, steps = np.random.default_rng(n), 5, 6
    values = rng.integers(0, 2, (steps, rows, n)).astype(np.uint8) if of_bytes else rng.integers(-3, 3, (steps, rows, n)).astype(dtype)
    if not of_bytes:
        values[0, 0, 0], values[3, 1, 0] = np.nan, np.nan  # a first NaN stays, a later one is never above or equal
    end, words = "_bytes" if of_bytes else "", -(-n // 64)
    total, high, ties = rng.standard_normal((rows, n + 3)).astype(dtype), np.full((rows, n), 7, dtype), np.full((rows, n), 7, dtype)
    when, bits, wanted = np.full((rows, n), 7, np.int32), np.full((steps, rows, words), 7, np.uint64), total.copy()
    for t in range(steps):
        x = np.zeros((rows, padded(n)), values.dtype)
        x[:, :n] = values[t]
        call["sum" + end](total, n + 3, x, padded(n), n, rows)
        call["maximum" + end](high, ties, when, bits[t], x, padded(n), n, rows, t)
        wanted[:, :n] += values[t].astype(dtype)
    np.testing.assert_array_equal(total, wanted)
    running = np.maximum.accumulate(values.astype(dtype), axis=0) if of_bytes else np.fmax.accumulate(values, axis=0)
    if not of_bytes:
        running[:, 0, 0] = np.nan
    reached = values == running
    np.testing.assert_array_equal(high, running[-1])
    np.testing.assert_array_equal(ties, (values == running[-1]).sum(0))
    np.testing.assert_array_equal(when, np.argmax(values == running[-1], 0))
    unpacked = np.unpackbits(bits.view(np.uint8), axis=-1, bitorder="little")[..., :n].astype(bool)
    np.testing.assert_array_equal(unpacked, reached)
