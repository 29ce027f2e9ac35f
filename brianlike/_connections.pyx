# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, binding=False, auto_pickle=False
"""Loops over very many synapses, without the GIL: random numbers, draws of connections, sorting, delays.

Random numbers are those of `randomness.py`: functions of (seed, epoch, step, element, stream, number), so nothing depends on chunks or threads.
"""

import sys

import numpy as np

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t

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
        ptrdiff_t (*keep)(const uint8_t *, ptrdiff_t, const int32_t *, const int32_t *, int32_t *, int32_t *) noexcept nogil
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


def fill_block(str law, out, uint32_t seed, samples, first, uint32_t stream, uint32_t number):
    """Fill `out` (float64, shape (steps, samples, elements)) with what runs of these samples draw from a step on: `fill` with the sample as epoch.

    Parameters
    ----------
    samples, first : arrays of int64
        The samples, and the number of the first step of each.
    """
    cdef Place place
    cdef ptrdiff_t steps = out.shape[0], count = out.shape[1], size = out.shape[2], t, b
    cdef double *to = <double *>_address(out, np.float64, out.size)
    cdef const int64_t *sample = <const int64_t *>_address(samples, np.int64, count)
    cdef const int64_t *begin = <const int64_t *>_address(first, np.int64, count)
    cdef uint64_t now
    if law not in ("uniform", "normal"):
        raise ValueError(f"a law `uniform` or `normal` is needed, not {law!r}")
    cdef bint normal = law == "normal"
    place.seed, place.stream, place.first = seed, stream, 0
    place.element, place.row, place.column = NULL, NULL, NULL
    with nogil:
        for t in range(steps):
            for b in range(count):
                now = <uint64_t>(begin[b] + t)
                place.step, place.last = <uint32_t>now, (number & <uint32_t>0xFFFF) | (<uint32_t>((now >> 32) & <uint64_t>0xFFFF) << 16)
                place.epoch = <uint32_t>sample[b]
                if normal:
                    _kernels.normals(&place, size, to)
                else:
                    _kernels.uniforms(&place, size, to)
                to += size
    return out


cdef void _row(bint normal, uint32_t seed, uint32_t sample, uint64_t step, uint32_t stream, uint32_t number, ptrdiff_t size, double *to) noexcept nogil:
    """What one sample draws in one step: a row of `fill_block`."""
    cdef Place place
    place.seed, place.epoch, place.stream, place.first = seed, sample, stream, 0
    place.element, place.row, place.column = NULL, NULL, NULL
    place.step, place.last = <uint32_t>step, (number & <uint32_t>0xFFFF) | (<uint32_t>((step >> 32) & <uint64_t>0xFFFF) << 16)
    if normal:
        _kernels.normals(&place, size, to)
    else:
        _kernels.uniforms(&place, size, to)


def row_function():
    """The address of `_row`, for other compiled loops."""
    return <uintptr_t>&_row


def keep(chosen, rows, columns):
    """The pairs (int32) that are chosen (bool): `rows[chosen], columns[chosen]`."""
    cdef ptrdiff_t size = columns.size, count
    cdef const uint8_t *which = <const uint8_t *>_address(chosen, np.bool_, size)
    cdef const int32_t *row = <const int32_t *>_address(rows, np.int32, size)
    cdef const int32_t *column = <const int32_t *>_address(columns, np.int32, size)
    kept_rows, kept_columns = np.empty(size + 16, np.int32), np.empty(size + 16, np.int32)
    cdef int32_t *to_rows = <int32_t *>_address(kept_rows, np.int32, size + 16)
    cdef int32_t *to_columns = <int32_t *>_address(kept_columns, np.int32, size + 16)
    with nogil:
        count = _kernels.keep(which, size, row, column, to_rows, to_columns)
    return kept_rows[:count], kept_columns[:count]


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


cdef struct Piece:
    const int32_t *source
    const int32_t *delay         # or NULL: the same for all
    const int32_t *target        # or NULL
    const int32_t *kind          # of each delay
    const int32_t *part          # of each target, or NULL: one for all
    ptrdiff_t size, n_source, n_delays, n_targets, n_kinds, n_parts, target_offset


cdef int _piece(Piece *piece, source, delay, target, ptrdiff_t target_offset, ptrdiff_t n_source, kind, part, ptrdiff_t n_kinds, ptrdiff_t n_parts) except -1:
    piece.size, piece.n_source, piece.n_kinds, piece.n_parts, piece.target_offset = source.size, n_source, n_kinds, n_parts, target_offset
    piece.source = <const int32_t *>_address(source, np.int32, piece.size)
    piece.delay = NULL if delay is None else <const int32_t *>_address(delay, np.int32, piece.size)
    piece.target = NULL if target is None else <const int32_t *>_address(target, np.int32, piece.size)
    piece.n_delays, piece.kind = kind.size, <const int32_t *>_address(kind, np.int32, 1)
    piece.n_targets, piece.part = 0, NULL
    if part is not None:
        piece.n_targets, piece.part = part.size, <const int32_t *>_address(part, np.int32, 1)
        if target is None:
            raise ValueError("parts need targets")
    return 0


cdef inline int64_t row_of(const Piece *piece, ptrdiff_t k) noexcept nogil:
    """The row of a synapse, or -1 if one of its numbers is out of range."""
    cdef int64_t source = piece.source[k], delay = 0, target = 0, row
    if piece.delay != NULL:
        delay = piece.delay[k]
    if not (0 <= source < piece.n_source and 0 <= delay < piece.n_delays):
        return -1
    row = source * piece.n_kinds + piece.kind[delay]
    if piece.part != NULL:
        target = piece.target[k] + piece.target_offset
        if not 0 <= target < piece.n_targets:
            return -1
        row = row * piece.n_parts + piece.part[target]
    return row


def count_rows(
    source, delay, target, ptrdiff_t target_offset, ptrdiff_t n_source, kind, part, ptrdiff_t n_kinds, ptrdiff_t n_parts, ptrdiff_t first, ptrdiff_t last, rows
):
    """Count the synapses `first` to `last` of a piece: `rows[r + 2]` (int32) grows by one for each in row r = (source*n_kinds + kind)*n_parts + part."""
    cdef Piece piece
    cdef ptrdiff_t k
    cdef int64_t row = 0
    _piece(&piece, source, delay, target, target_offset, n_source, kind, part, n_kinds, n_parts)
    cdef int32_t *count = <int32_t *>_address(rows, np.int32, n_source * n_kinds * n_parts + 2)
    if not 0 <= first <= last <= piece.size:
        raise ValueError("more elements than there are")
    with nogil:
        for k in range(first, last):
            row = row_of(&piece, k)
            if row < 0:
                break
            count[row + 2] += 1
    if row < 0:
        raise ValueError(f"a neuron or the delay of synapse {k} is out of range")


def place_rows(
    source, delay, target, ptrdiff_t target_offset, ptrdiff_t n_source, kind, part, ptrdiff_t n_kinds, ptrdiff_t n_parts, ptrdiff_t first, ptrdiff_t last, rows,
    ptrdiff_t base, order, local, ends,
):
    """Put the synapses `first` to `last` of a piece, which `count_rows` has counted, where `rows[r + 1]` says, and let that go on.

    `order` (int32) gets their numbers, from `base` on, and `ends` (uint16 or int32, or None) the entries of `local` for their targets.
    """
    cdef Piece piece
    cdef ptrdiff_t k, size = order.size
    cdef int64_t at, neuron
    cdef bint narrow = False
    cdef const uint16_t *short_local = NULL
    cdef const int32_t *long_local = NULL
    cdef uint16_t *short_end = NULL
    cdef int32_t *long_end = NULL
    _piece(&piece, source, delay, target, target_offset, n_source, kind, part, n_kinds, n_parts)
    cdef int32_t *cursor = <int32_t *>_address(rows, np.int32, n_source * n_kinds * n_parts + 2)
    cdef int32_t *to = <int32_t *>_address(order, np.int32, size)
    cdef ptrdiff_t n_local = 0
    if ends is not None:
        narrow, n_local = local.dtype == np.uint16, local.size
        if narrow:
            short_local, short_end = <const uint16_t *>_address(local, np.uint16, n_local), <uint16_t *>_address(ends, np.uint16, size)
        else:
            long_local, long_end = <const int32_t *>_address(local, np.int32, n_local), <int32_t *>_address(ends, np.int32, size)
    if not 0 <= first <= last <= piece.size or base + last > size:
        raise ValueError("more elements than there are")
    cdef bint bad = False
    with nogil:
        for k in range(first, last):
            at = row_of(&piece, k)
            if at < 0:
                bad = True
                break
            cursor[at + 1] += 1
            at = cursor[at + 1] - 1
            if at >= size:
                bad = True
                break
            to[at] = <int32_t>(base + k)
            if n_local:
                neuron = piece.target[k] + piece.target_offset
                if not 0 <= neuron < n_local:
                    bad = True
                    break
                if narrow:
                    short_end[at] = short_local[neuron]
                else:
                    long_end[at] = long_local[neuron]
    if bad:
        raise ValueError(f"a neuron or the delay of synapse {k} is out of range")


def gathered(pieces, order, ptrdiff_t first, ptrdiff_t last, out):
    """`out[k] = values[order[k]]` for k from `first` to `last`, where the values are those of the pieces one after the other; 4 or 8 bytes each."""
    cdef ptrdiff_t k, n, n_pieces = len(pieces), size = out.size, width = out.itemsize
    cdef const int32_t *element = <const int32_t *>_address(order, np.int32, size)
    cdef uintptr_t[256] data
    cdef int64_t[257] begin
    cdef int32_t[8] cut
    cdef int32_t at
    cdef int64_t total = 0
    cdef uintptr_t target = out.ctypes.data
    cdef bint bad = False
    if n_pieces > 256 or width not in (4, 8) or not out.flags.c_contiguous or not 0 <= first <= last <= size:
        raise ValueError("at most 256 pieces of values with 4 or 8 bytes can be gathered")
    for n in range(n_pieces):
        if pieces[n].dtype != out.dtype or not pieces[n].flags.c_contiguous:
            raise TypeError("all pieces must have the type of the result, and lie in one piece each")
        begin[n] = total
        data[n] = <uintptr_t>pieces[n].ctypes.data - <uintptr_t>(total * width)
        total += pieces[n].size
    begin[n_pieces] = total
    for n in range(8):  # neighbours in the result come from different pieces: a search with branches would be wrong each time
        cut[n] = begin[n + 1] if n + 1 < n_pieces else 2147483647
    with nogil:
        for k in range(first, last):
            at = element[k]
            if not 0 <= at < total:
                bad = True
                break
            n = (at >= cut[0]) + (at >= cut[1]) + (at >= cut[2]) + (at >= cut[3]) + (at >= cut[4]) + (at >= cut[5]) + (at >= cut[6]) + (at >= cut[7])
            while at >= begin[n + 1]:  # more than nine pieces
                n += 1
            if width == 8:
                (<int64_t *>target)[k] = (<const int64_t *>data[n])[at]
            else:
                (<int32_t *>target)[k] = (<const int32_t *>data[n])[at]
    if bad:
        raise ValueError(f"there is no value {at}")


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
