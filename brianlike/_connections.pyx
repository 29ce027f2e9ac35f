# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, binding=False, auto_pickle=False
"""Loops over very many synapses, without the GIL: random numbers, draws of connections, sorting, delays.

Random numbers are those of `randomness.py`: functions of (seed, epoch, step, element, stream, number), so nothing depends on chunks or threads.
"""

import sys

import numpy as np

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uintptr_t
from libc.string cimport memmove

cdef extern from "_connections.h" nogil:
    ctypedef struct Runs:
        const int32_t *row
        const int32_t *start
        const int32_t *stop
        const double *p
        ptrdiff_t row_step, start_step, stop_step, p_step
        uint32_t seed, epoch
    ctypedef struct Place:
        uint32_t seed, epoch, step, stream, last
        int64_t first
        const int64_t *element
        const int32_t *row
        const int32_t *column
    ctypedef struct Kernels:
        ptrdiff_t (*draw_runs)(const Runs *, ptrdiff_t, ptrdiff_t, int32_t *, int32_t *, int64_t, int64_t *, int32_t *) noexcept nogil
        void (*uniforms)(const Place *, ptrdiff_t, double *) noexcept nogil
        void (*normals)(const Place *, ptrdiff_t, double *) noexcept nogil
    int choose(int, Kernels *)
    void forget_pages(void *, size_t)

cdef Kernels _kernels
width = choose(8, &_kernels)
THINNED = 0x636f6e70  # the last word of the counters by which candidates are thinned


def use_width(int wanted):
    """Take the kernels of 64-bit vectors of `wanted` (0, 4 or 8) or, if the processor has none so wide, less; returns what it is. For tests."""
    return choose(wanted, &_kernels)


cdef void *_address(array, dtype, size) except? NULL:
    if type(array) is not np.ndarray or array.dtype != dtype or not array.flags.c_contiguous or array.size < size:
        raise TypeError(f"an array of {size} {np.dtype(dtype)} in one piece is needed")
    return <void *><uintptr_t>array.ctypes.data


cdef tuple _spread(array, dtype):
    """An array for all runs, and the step from one run to the next: 0 for one value."""
    array = np.ascontiguousarray(array, dtype)
    return array.reshape(-1), 0 if array.ndim == 0 else 1


def draw_runs(row, start, stop, p, key, ptrdiff_t first, ptrdiff_t last, rows, columns, int64_t used, counts=None):
    """Choose among candidates, each with probability p.

    Parameters
    ----------
    row, start, stop, p : arrays of int32 (p: float64), or single values
        Run r has the candidates start to stop of a row.
    key : (seed, epoch)
    first, last : the runs to work through.
    rows, columns : arrays of int32
        Get the chosen ones from number `used` on; rows may be None.
    counts : array of int32, optional
        Gets the number of those chosen of each run.

    Returns
    -------
    (run, used) : the first run for which there was no room (all of its candidates and 32 more), or `last`; how many are filled.
    """
    cdef Runs runs
    cdef int64_t capacity = columns.size, filled = used
    cdef int32_t *to_columns = <int32_t *>_address(columns, np.int32, 0)
    cdef int32_t *to_rows = NULL
    cdef int32_t *to_counts = NULL
    cdef ptrdiff_t done
    row, runs.row_step = _spread(row, np.int32)
    start, runs.start_step = _spread(start, np.int32)
    stop, runs.stop_step = _spread(stop, np.int32)
    p, runs.p_step = _spread(p, np.float64)
    for array, step in ((row, runs.row_step), (start, runs.start_step), (stop, runs.stop_step), (p, runs.p_step)):
        if first < 0 or (step and array.size < last) or not array.size:
            raise ValueError("there are fewer runs than asked for")
    runs.row = <const int32_t *><uintptr_t>row.ctypes.data
    runs.start = <const int32_t *><uintptr_t>start.ctypes.data
    runs.stop = <const int32_t *><uintptr_t>stop.ctypes.data
    runs.p = <const double *><uintptr_t>p.ctypes.data
    runs.seed, runs.epoch = <uint32_t>(key[0] & 0xFFFFFFFF), <uint32_t>(key[1] & 0xFFFFFFFF)
    if rows is not None:
        to_rows = <int32_t *>_address(rows, np.int32, capacity)
    if counts is not None:
        to_counts = <int32_t *>_address(counts, np.int32, last)
    if not 0 <= used <= capacity:
        raise ValueError("more is filled than there is room for")
    with nogil:
        done = _kernels.draw_runs(&runs, first, last, to_rows, to_columns, capacity, &filled, to_counts)
    return done, filled


def fill(str law, out, key, uint32_t step, uint32_t stream, uint32_t last, elements=0, rows=None, columns=None):
    """Fill `out` (float64) with numbers of a law: `uniform` on [0, 1), or standard `normal`.

    Parameters
    ----------
    key : (seed, epoch)
    elements : int or array of int64
        The number of the first element, or of each.
    rows, columns : arrays of int32, optional
        Pairs of neurons, whose numbers take the place of step and element.
    """
    cdef Place place
    cdef ptrdiff_t size = out.size
    cdef double *to = <double *>_address(out, np.float64, size)
    if law not in ("uniform", "normal"):
        raise ValueError(f"a law `uniform` or `normal` is needed, not {law!r}")
    cdef bint normal = law == "normal"
    place.seed, place.epoch, place.step, place.stream, place.last = key[0] & 0xFFFFFFFF, key[1] & 0xFFFFFFFF, step, stream, last
    place.first, place.element, place.row, place.column = 0, NULL, NULL, NULL
    if isinstance(elements, np.ndarray):
        place.element = <const int64_t *>_address(elements, np.int64, size)
    else:
        place.first = elements
    if columns is not None:
        place.row, place.column = <const int32_t *>_address(rows, np.int32, size), <const int32_t *>_address(columns, np.int32, size)
    with nogil:
        if normal:
            _kernels.normals(&place, size, to)
        else:
            _kernels.uniforms(&place, size, to)
    return out


def move(array, ptrdiff_t to, ptrdiff_t begin, ptrdiff_t count):
    """`array[to:to + count] = array[begin:begin + count]` of int32 without a copy between."""
    cdef int32_t *data = <int32_t *>_address(array, np.int32, max(to, begin) + count)
    if min(to, begin, count) < 0:
        raise ValueError("places in an array cannot be negative")
    with nogil:
        memmove(data + to, data + begin, count * sizeof(int32_t))


def release(array, ptrdiff_t begin):
    """Give the memory of `array[begin:]` back to the system, where that is possible; the values there are lost."""
    cdef char *data = <char *><uintptr_t>array.ctypes.data
    cdef ptrdiff_t size = array.nbytes, used = begin * array.itemsize
    if 0 <= used < size and array.flags.c_contiguous:
        forget_pages(data + used, size - used)


# ------------------------------------------------------------------------------------------------------------------------------------------ sorting
def ascending(values):
    """Whether an array of int32 never falls."""
    cdef ptrdiff_t k, size = values.size
    cdef const int32_t *value = <const int32_t *>_address(values, np.int32, size)
    cdef bint rises = True
    with nogil:
        for k in range(1, size):
            if value[k] < value[k - 1]:
                rises = False
                break
    return rises


def largest(values):
    """The smallest and largest of an array of int32 that is not empty."""
    cdef ptrdiff_t k, size = values.size
    cdef const int32_t *value = <const int32_t *>_address(values, np.int32, max(size, 1))
    cdef int32_t low = value[0], high = value[0]
    with nogil:
        for k in range(size):
            low = min(low, value[k])
            high = max(high, value[k])
    return low, high


def present(values, seen):
    """Mark in `seen` (uint8) which of the numbers 0 to its size - 1 occur among the values (int32)."""
    cdef ptrdiff_t k, size = values.size, room = seen.size
    cdef const int32_t *value = <const int32_t *>_address(values, np.int32, size)
    cdef unsigned char *mark = <unsigned char *>_address(seen, np.uint8, room)
    with nogil:
        for k in range(size):
            if 0 <= value[k] < room:
                mark[value[k]] = 1


def group(keys, ptrdiff_t n_keys, starts, order):
    """Sort by key: counting, stable. `starts` (int32, n_keys + 2) gets where the elements of each key begin, `order` (int32) the elements."""
    cdef ptrdiff_t k, size = keys.size
    cdef const int32_t *key = <const int32_t *>_address(keys, np.int32, size)
    cdef int32_t *start = <int32_t *>_address(starts, np.int32, n_keys + 2)
    cdef int32_t *to = NULL if order is None else <int32_t *>_address(order, np.int32, size)
    cdef bint bad = False
    with nogil:
        for k in range(n_keys + 2):
            start[k] = 0
        for k in range(size):
            if not 0 <= key[k] < n_keys:
                bad = True
                break
            start[key[k] + (1 if to == NULL else 2)] += 1
        if not bad:
            for k in range(1, n_keys + 2):
                start[k] += start[k - 1]
            if to != NULL:  # start[key + 1] runs from the begin of the key's elements to their end
                for k in range(size):
                    to[start[key[k] + 1]] = <int32_t>k
                    start[key[k] + 1] += 1
    if bad:
        raise ValueError(f"element {k} has the key {keys[k]}, which is not among 0 to {n_keys - 1}")


def group_within(starts, ptrdiff_t first, ptrdiff_t last, before, which, place, ptrdiff_t n_kinds, rows, order):
    """Sort the elements of each group by kind, stable.

    Parameters
    ----------
    starts : int32; group g has the elements `before[starts[g]:starts[g + 1]]`
    first, last : the groups to sort.
    before : int32, or None: elements are numbered through the groups.
    which : int32, something of each element, and place : int32, the kind that it means.
    rows : int32, shape (groups*n_kinds + 1,)
        Gets where the elements of each group and kind begin.
    order : int32
        Gets the sorted elements.
    """
    cdef ptrdiff_t size = order.size, g, k, d, n_values = place.size
    cdef const int32_t *start = <const int32_t *>_address(starts, np.int32, last + 1)
    cdef const int32_t *old = NULL if before is None else <const int32_t *>_address(before, np.int32, size)
    cdef const int32_t *what = <const int32_t *>_address(which, np.int32, size)
    cdef const int32_t *kind = <const int32_t *>_address(place, np.int32, n_values)
    cdef int32_t *row = <int32_t *>_address(rows, np.int32, last * n_kinds + 1)
    cdef int32_t *to = <int32_t *>_address(order, np.int32, size)
    cursors = np.zeros(n_kinds + 1, np.int32)
    cdef int32_t *cursor = <int32_t *>_address(cursors, np.int32, n_kinds + 1)
    cdef int32_t at, count
    cdef int32_t element
    if start[first] < 0 or start[last] > size:
        raise ValueError("groups end outside of the elements")
    with nogil:
        for g in range(first, last):
            for d in range(n_kinds):
                cursor[d] = 0
            for k in range(start[g], start[g + 1]):
                cursor[kind[what[old[k] if old != NULL else k]]] += 1
            at = start[g]
            for d in range(n_kinds):
                row[g * n_kinds + d] = at
                count = cursor[d]
                cursor[d] = at
                at += count
            for k in range(start[g], start[g + 1]):
                element = old[k] if old != NULL else <int32_t>k
                d = kind[what[element]]
                to[cursor[d]] = element
                cursor[d] += 1
        row[last * n_kinds] = start[last]


def joined(kinds, kind_table, keys, key_table, ptrdiff_t first, ptrdiff_t last, out):
    """`out[k] = kind_table[kinds[k]] + key_table[keys[k]]` of int32, for k from `first` to `last`."""
    cdef ptrdiff_t k, size = out.size, n_kinds = kind_table.size, n_keys = key_table.size
    cdef const int32_t *kind = <const int32_t *>_address(kinds, np.int32, size)
    cdef const int32_t *key = <const int32_t *>_address(keys, np.int32, size)
    cdef const int32_t *of_kind = <const int32_t *>_address(kind_table, np.int32, n_kinds)
    cdef const int32_t *of_key = <const int32_t *>_address(key_table, np.int32, n_keys)
    cdef int32_t *to = <int32_t *>_address(out, np.int32, size)
    cdef bint bad = False
    if not 0 <= first <= last <= size:
        raise ValueError("more elements than there are")
    with nogil:
        for k in range(first, last):
            if not (0 <= kind[k] < n_kinds and 0 <= key[k] < n_keys):
                bad = True
                break
            to[k] = of_kind[kind[k]] + of_key[key[k]]
    if bad:
        raise ValueError(f"element {k} has {kinds[k]} and {keys[k]}, which are not below {n_kinds} and {n_keys}")


def is_identity(order):
    """Whether an array of int32 is 0, 1, 2, ..."""
    cdef ptrdiff_t k, size = order.size
    cdef const int32_t *element = <const int32_t *>_address(order, np.int32, size)
    cdef bint same = True
    with nogil:
        for k in range(size):
            if element[k] != k:
                same = False
                break
    return same


def looked_up(table, keys, order, ptrdiff_t first, ptrdiff_t last, out):
    """`out[k] = table[keys[order[k]]]` (order None: of `keys[k]`) for k from `first` to `last`; table and out are uint16 or int32, both the same."""
    cdef ptrdiff_t k, size = out.size, n_keys = table.size
    cdef const int32_t *key = <const int32_t *>_address(keys, np.int32, size)
    cdef const int32_t *element = NULL if order is None else <const int32_t *>_address(order, np.int32, size)
    cdef const uint16_t *short_table = NULL
    cdef const int32_t *long_table = NULL
    cdef uint16_t *short_out = NULL
    cdef int32_t *long_out = NULL
    cdef int32_t at
    cdef bint bad = False, narrow = table.dtype == np.uint16
    if not 0 <= first <= last <= size:
        raise ValueError("more elements than there are")
    if narrow:
        short_table, short_out = <const uint16_t *>_address(table, np.uint16, n_keys), <uint16_t *>_address(out, np.uint16, size)
    else:
        long_table, long_out = <const int32_t *>_address(table, np.int32, n_keys), <int32_t *>_address(out, np.int32, size)
    with nogil:
        for k in range(first, last):
            at = key[element[k] if element != NULL else k]
            if not 0 <= at < n_keys:
                bad = True
                break
            if narrow:
                short_out[k] = short_table[at]
            else:
                long_out[k] = long_table[at]
    if bad:
        raise ValueError(f"the key {at} is not among 0 to {n_keys - 1}")


def rounded(delays, double step, out):
    """`int(delay/step + 0.5)` of each delay (float64) into `out` (int32). Returns (smallest, largest, the first delay that is no delay or -1)."""
    cdef ptrdiff_t k, size = delays.size, bad = -1
    cdef const double *delay = <const double *>_address(delays, np.float64, size)
    cdef int32_t *to = <int32_t *>_address(out, np.int32, size)
    cdef int32_t low = 2147483647, high = 0
    cdef double value
    with nogil:
        for k in range(size):
            value = delay[k] / step + 0.5
            if not (delay[k] >= 0 and value < 2147483647.0):
                bad = k
                break
            to[k] = <int32_t>value
            low = min(low, to[k])
            high = max(high, to[k])
    return low, high, bad
