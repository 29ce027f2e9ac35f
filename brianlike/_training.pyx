# cython: language_level=3, cdivision=True
"""The driver of training runs: all steps of a Program for one tile of a batch after the other, without the interpreter and without its lock.

`nn/plan.py` writes operations and entries (the pointers of Maps) as rows of whole numbers; `_training.h` says what their fields mean, and carries them out.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint16_t, uint64_t, uintptr_t

import numpy as np

cdef extern from "_training.h" nogil:
    ctypedef struct bl_operation:
        int64_t kind
    ctypedef struct bl_entry:
        int64_t kind
    ctypedef struct KernelContext:
        uint64_t step
    ctypedef struct bl_run:
        const bl_operation *begin
        const bl_operation *step
        const bl_operation *end
        int64_t n_begin, n_step, n_end
        const bl_entry *entries
        int64_t n_entries, steps, members, tile, first_number
        double dt
        int64_t reverse, memory
        const int64_t *active
        const int64_t *lengths
        const int64_t *firsts
        int64_t begin_step "from", end_step "to", apart, segment
        const bl_operation *enter
        const bl_operation *again
        int64_t n_enter, n_again
    ctypedef struct bl_choice:
        int64_t product, n_source, most
        char *scratch
        int64_t most_rows
    int bl_gradient_by_product(const bl_choice *, void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, ptrdiff_t,
        const int64_t *, ptrdiff_t, const int32_t *, const void *, const uint64_t *, ptrdiff_t)
    ptrdiff_t bl_list(const uint64_t *, ptrdiff_t, int32_t *)
    int64_t add_release(int64_t *, int64_t)
    uint16_t bl_half_f(float)
    uint16_t bl_half_d(double)
    ctypedef struct bl_delayed:
        int64_t function
    void bl_delayed_gradients(const bl_delayed *, char *, int32_t *, const int64_t *, int32_t *)
    int64_t bl_run_tiles(const bl_run *, char *, char *, void **, ptrdiff_t *, int64_t *, int32_t *, int (*)() noexcept nogil)

cdef extern from "_event_lists.h" nogil:
    ctypedef struct bl_event_lists:
        const int32_t *t
        const int32_t *b
        const int32_t *n
        const void *value
        int64_t count, rows, members, tile, size, shift, pieces, piece
        int64_t *first
        int32_t *index
        void *values
        int32_t *graded
        int32_t *cuts
        uint64_t *events
        void *amounts
        int64_t *begins
    ctypedef struct bl_event_desk:
        int32_t *places
        int32_t *neurons
        void *amounts
        uint64_t *bits
        uint64_t *words
        void *sums
    int bl_split_f(const bl_event_lists *, const bl_event_desk *, int64_t)
    int bl_split_d(const bl_event_lists *, const bl_event_desk *, int64_t)
    void bl_order_f(const bl_event_lists *, const bl_event_desk *, int64_t)
    void bl_order_d(const bl_event_lists *, const bl_event_desk *, int64_t)

ctypedef int (*Look)() noexcept nogil
ctypedef void (*GradientRows)(void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const void *, ptrdiff_t, const int64_t *, const int32_t *, const void *, ptrdiff_t) noexcept nogil
ctypedef void (*GradientBits)(void *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const void *, ptrdiff_t, const uint64_t *, ptrdiff_t, ptrdiff_t) noexcept nogil
ctypedef void (*SparseGradient)(void *, ptrdiff_t, ptrdiff_t, const void *, ptrdiff_t, const int64_t *, const int32_t *, const int64_t *, const int32_t *, const void *, ptrdiff_t) noexcept nogil

_raised = []  # by the handlers of signals, while the driver runs in the main thread


cdef int interrupted() noexcept with gil:
    """Whether a signal's handler has raised something, which its thread then raises when it leaves the driver."""
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        _raised.append(error)
    return len(_raised)


OPERATION_FIELDS = sizeof(bl_operation) // 8
ENTRY_FIELDS = sizeof(bl_entry) // 8
CONTEXT_BYTES = sizeof(KernelContext)


cdef bl_operation *_rows(int64_t[:, ::1] table):
    return <bl_operation *>&table[0, 0] if table.shape[0] else NULL


def run_tiles(
    int64_t[:, ::1] begin, int64_t[:, ::1] step, int64_t[:, ::1] end, int64_t[:, ::1] enter, int64_t[:, ::1] again, int64_t[:, ::1] entries,
    int64_t steps, int64_t members, int64_t tile, int64_t first_number, double dt, bint reverse, int64_t first, int64_t last, int64_t segment, bint apart,
    int64_t bytes, char[::1] memory, char[::1] tape, int64_t[::1] pointers, int64_t[::1] strides, int64_t[::1] next_tile, int32_t[::1] stop,
    bint first_thread, int64_t[::1] active, int64_t[::1] lengths, int64_t[::1] firsts,
):
    """Carry out the steps `first` to `last` of a run for tiles that no other thread has taken, until there are none left; the number of tiles that this
    thread did. `memory` has one place of so many `bytes`, or (`apart`) one for each tile; `tape` is what of `segment` steps is computed again.
    Where members have `lengths` of their own, the longest comes first, and `active` are how many are left in each step; `firsts` are the numbers of their
    first steps, if not all begin with `first_number`."""
    cdef bl_run run
    cdef int64_t done
    run.begin, run.step, run.end, run.enter, run.again = _rows(begin), _rows(step), _rows(end), _rows(enter), _rows(again)
    run.n_begin, run.n_step, run.n_end, run.n_entries = begin.shape[0], step.shape[0], end.shape[0], entries.shape[0]
    run.n_enter, run.n_again = enter.shape[0], again.shape[0]
    run.entries = <bl_entry *>&entries[0, 0] if entries.shape[0] else NULL
    run.steps, run.members, run.tile, run.first_number, run.dt, run.reverse, run.memory = steps, members, tile, first_number, dt, reverse, bytes
    run.active, run.lengths = &active[0] if active.shape[0] else NULL, &lengths[0] if lengths.shape[0] else NULL
    run.firsts = &firsts[0] if firsts.shape[0] else NULL
    run.begin_step, run.end_step, run.segment, run.apart = first, last, segment, apart
    cdef char *place = &memory[0]
    cdef char *kept = &tape[0]
    cdef void **table = <void **>&pointers[0]
    cdef ptrdiff_t *gaps = <ptrdiff_t *>&strides[0]
    cdef int64_t *following = &next_tile[0]
    cdef int32_t *flag = &stop[0]
    cdef Look look = NULL
    if first_thread:
        look = interrupted
    with nogil:
        done = bl_run_tiles(&run, place, kept, table, gaps, following, flag, look)
    if first_thread and _raised:
        raise _raised.pop(0)
    return done


def dense_gradient(
    int64_t function, int64_t gradient, ptrdiff_t stride, ptrdiff_t begin, ptrdiff_t end, int64_t cotangent, ptrdiff_t cotangent_stride, ptrdiff_t item,
    ptrdiff_t step_from, ptrdiff_t step_to, ptrdiff_t members, ptrdiff_t tile, ptrdiff_t shift, ptrdiff_t rows, int64_t first, int64_t index, int64_t value,
    int64_t bits, ptrdiff_t words, int64_t[::1] active, int32_t[::1] stop, int64_t product, ptrdiff_t n_source, int64_t most, char[::1] scratch,
    ptrdiff_t most_rows, int64_t[::1] counts,
):
    """Columns `begin` to `end` of the gradient of a weight matrix, by the cotangents of the steps `step_from` to `step_to`, the last first, and of all
    members: rows of the events of step `t + shift`, from lists of `rows` steps or from bits. Column 0 of row 0 would be at `gradient`.

    Where rows (so many as there is `scratch` for, a multiple of `tile`) have more than `most` events on average, they become numbers, and `product` adds the
    same bits; `counts` tells how often events were added, and how often products."""
    cdef ptrdiff_t t, k, member, count, part, done, left
    cdef int64_t lists = 0
    cdef const int64_t *ends = &active[0] if active.shape[0] else NULL
    cdef int32_t *flag = &stop[0]
    cdef bl_choice choice
    cdef const char *bar
    cdef const uint64_t *found = NULL
    choice.product, choice.n_source, choice.most, choice.scratch, choice.most_rows = product, n_source, most, &scratch[0], most_rows
    with nogil:
        for k in range(step_to - step_from - 1, -1, -1):
            t = step_from + k
            if flag[0]:
                break
            left = ends[t] if ends != NULL else members
            member = 0
            while member < left:
                count = most_rows if member + most_rows < left else left - member
                bar = <const char *><uintptr_t>(cotangent + (k*members + member)*cotangent_stride*item)
                if bits:
                    found = <const uint64_t *><uintptr_t>bits + ((t + shift)*members + member)*words
                else:
                    lists = first + 8*((member // tile)*rows + t + shift)*(tile + 1)
                if bl_gradient_by_product(
                    &choice, <void *><uintptr_t>gradient, stride, begin, end, bar, cotangent_stride, item, count, tile, <const int64_t *><uintptr_t>lists,
                    rows*(tile + 1), <const int32_t *><uintptr_t>index, <const void *><uintptr_t>value, found, words,
                ):
                    counts[1] += 1
                    member += count
                    continue
                counts[0] += 1
                if bits:
                    (<GradientBits><uintptr_t>function)(<void *><uintptr_t>gradient, stride, begin, end, bar, cotangent_stride, found, words, count)
                    member += count
                    continue
                done = 0
                while done < count:
                    part = tile if done + tile < count else count - done
                    (<GradientRows><uintptr_t>function)(<void *><uintptr_t>gradient, stride, begin, end, bar + done*cotangent_stride*item, cotangent_stride,
                        <const int64_t *><uintptr_t>lists + (done // tile)*rows*(tile + 1), <const int32_t *><uintptr_t>index,
                        <const void *><uintptr_t>value, part)
                    done += part
                member += count


def sparse_gradient(
    int64_t function, int64_t gradient, ptrdiff_t begin, ptrdiff_t end, int64_t cotangent, ptrdiff_t cotangent_stride, ptrdiff_t item, ptrdiff_t step_from,
    ptrdiff_t step_to, ptrdiff_t members, ptrdiff_t tile, ptrdiff_t shift, ptrdiff_t rows, int64_t first, int64_t index, int64_t value, int64_t bits,
    ptrdiff_t words, int64_t row, int64_t target, int64_t[::1] offsets, int32_t[::1] numbers, int64_t[::1] active,
    int32_t[::1] stop,
):
    """The gradient of the amounts of synapses whose sources are `begin` to `end`, as `dense_gradient`; `offsets` and `numbers` have room for the events of one
    tile."""
    cdef ptrdiff_t t, step, member, count, k, left
    cdef const int64_t *counts = &active[0] if active.shape[0] else NULL
    cdef const int64_t *starts
    cdef const int32_t *listed
    cdef int64_t *made = &offsets[0]
    cdef int32_t *found = &numbers[0]
    cdef int32_t *flag = &stop[0]
    with nogil:
        for step in range(step_to - step_from - 1, -1, -1):
            t = step_from + step
            if flag[0]:
                break
            left = counts[t] if counts != NULL else members
            member = 0
            while member < left:
                count = tile if member + tile < left else left - member
                if bits:
                    made[0] = 0
                    for k in range(count):
                        made[k + 1] = made[k] + bl_list(<const uint64_t *><uintptr_t>bits + ((t + shift)*members + member + k)*words, words, found + made[k])
                    starts, listed = made, found
                else:
                    starts = <const int64_t *><uintptr_t>first + ((member // tile)*rows + t + shift)*(tile + 1)
                    listed = <const int32_t *><uintptr_t>index
                (<SparseGradient><uintptr_t>function)(<void *><uintptr_t>gradient, begin, end,
                    <const void *><uintptr_t>(cotangent + (step*members + member)*cotangent_stride*item), cotangent_stride,
                    <const int64_t *><uintptr_t>row, <const int32_t *><uintptr_t>target, starts, listed, <const void *><uintptr_t>value, count)
                member += tile


DELAYED_FIELDS = sizeof(bl_delayed) // 8


def delayed_gradients(int64_t[::1] fields, char[::1] near, int32_t[::1] numbers, int64_t[::1] active, int32_t[::1] stop):
    """The gradients of the weights and delays of some synapses whose delays are learned; `near` has room for the pairs of a block, `numbers` for the events of
    a step (see `_delays.h`)."""
    cdef const int64_t *counts = &active[0] if active.shape[0] else NULL
    cdef int32_t *room = &numbers[0]
    cdef char *pairs = &near[0]
    cdef int32_t *flag = &stop[0]
    if fields.shape[0] != DELAYED_FIELDS:
        raise TypeError(f"{DELAYED_FIELDS} fields are needed, not {fields.shape[0]}")
    with nogil:
        bl_delayed_gradients(<const bl_delayed *>&fields[0], pairs, room, counts, flag)


cdef void *_data(array, kind, int64_t size) except? NULL:
    """Where an array's values are, if it is of this type and has so many."""
    if array.dtype != kind or array.size != size or not array.flags.c_contiguous:
        raise TypeError(f"a contiguous array of {size} values of {np.dtype(kind)} is needed, not {array.size} of {array.dtype}")
    return <void *><uintptr_t>array.ctypes.data


cdef class EventSorting:
    """Events (int32: step, member, neuron; and what they count, or None) on their way to the lists of a run (see `_event_lists.h`): `split` by as many
    threads as there are, then `order`. Threads take pieces, or tiles, by the number in `next`; `stop` is set when one of them fails. `events` and `amounts` are
    room for what is between the two."""

    cdef bl_event_lists o
    cdef object arrays, cuts, begins
    cdef bint wide
    cdef readonly int64_t pieces, tiles

    def __init__(self, t, b, n, value, int64_t shift, int64_t rows, int64_t members, int64_t tile, int64_t size, int64_t piece, first, index, values, graded, events,
                 amounts):
        cdef bl_event_lists *o = &self.o
        real = values.dtype
        if rows*tile >= 1 << 32:
            raise OverflowError(f"{rows} steps are too many for one run with a list of events: give it in pieces, x[begin:end]")
        self.wide, self.tiles, self.pieces = real == np.float64, (members + tile - 1)//tile, (len(t) + piece - 1)//piece
        o.count, o.rows, o.members, o.tile, o.size, o.shift, o.pieces, o.piece = len(t), rows, members, tile, size, shift, self.pieces, piece
        o.t, o.b, o.n = <int32_t *>_data(t, np.int32, o.count), <int32_t *>_data(b, np.int32, o.count), <int32_t *>_data(n, np.int32, o.count)
        o.value = NULL if value is None else _data(value, real, o.count)
        o.first, o.index = <int64_t *>_data(first, np.int64, self.tiles*rows*(tile + 1)), <int32_t *>_data(index, np.int32, o.count)
        o.values, o.graded = _data(values, real, o.count), <int32_t *>_data(graded, np.int32, self.tiles)
        self.cuts, self.begins = np.empty((self.pieces, self.tiles + 1), np.int32), np.zeros(self.tiles + 1, np.int64)
        o.cuts, o.events = <int32_t *>_data(self.cuts, np.int32, self.cuts.size), <uint64_t *>_data(events, np.uint64, o.count)
        o.amounts, o.begins = _data(amounts, real, 0 if value is None else o.count), <int64_t *>_data(self.begins, np.int64, self.tiles + 1)
        self.arrays = t, b, n, value, first, index, values, graded, events, amounts

    def split(self, int64_t[::1] next_piece, int32_t[::1] stop):
        """Bring the events of each tile together, in some pieces."""
        cdef bl_event_desk desk
        cdef int64_t piece
        cdef int inside = 1
        places = np.empty(self.tiles, np.int32)
        desk.places = <int32_t *>_data(places, np.int32, self.tiles)
        with nogil:
            while inside and not stop[0]:
                piece = add_release(&next_piece[0], 1) - 1
                if piece >= self.pieces:
                    break
                inside = bl_split_d(&self.o, &desk, piece) if self.wide else bl_split_f(&self.o, &desk, piece)
        if not inside:
            raise IndexError("there are events outside the run")

    def between(self):
        """After `split`: where the entries of each tile begin."""
        counts = np.diff(self.cuts, axis=1).sum(0, dtype=np.int64)
        if counts.max(initial=0) >= 1 << 31:
            raise OverflowError(f"{counts.max()} events of a few samples are too many for one run: give them in pieces, x[begin:end]")
        np.cumsum(counts, out=self.begins[1:])

    def order(self, int64_t[::1] next_tile, int32_t[::1] stop):
        """Bring the events of some tiles into order."""
        cdef bl_event_desk desk
        cdef int64_t tile, cells = self.o.rows*self.o.tile + 1, size = self.o.size
        most = int(np.diff(self.begins).max(initial=0))
        real = np.float64 if self.wide else np.float32
        places, neurons, amounts = np.empty(cells, np.int32), np.empty(most, np.int32), np.empty(most if self.o.value != NULL else 0, real)
        bits, words, sums = np.zeros((size + 63)//64, np.uint64), np.zeros((size + 4095)//4096, np.uint64), np.empty(size, real)
        desk.places, desk.neurons = <int32_t *>_data(places, np.int32, cells), <int32_t *>_data(neurons, np.int32, most)
        desk.amounts, desk.bits = _data(amounts, real, amounts.size), <uint64_t *>_data(bits, np.uint64, bits.size)
        desk.words, desk.sums = <uint64_t *>_data(words, np.uint64, words.size), _data(sums, real, size)
        with nogil:
            while not stop[0]:
                tile = add_release(&next_tile[0], 1) - 1
                if tile >= self.tiles:
                    break
                if self.wide:
                    bl_order_d(&self.o, &desk, tile)
                else:
                    bl_order_f(&self.o, &desk, tile)


def halves(values):
    """Numbers as bfloat16, in an array of uint16: what a run keeps of them."""
    cdef uint16_t[::1] made
    cdef float[::1] single
    cdef double[::1] double_
    cdef ptrdiff_t n
    result = np.empty(len(values), np.uint16)
    made = result
    if values.dtype == np.float32:
        single = values
        for n in range(single.shape[0]):
            made[n] = bl_half_f(single[n])
    else:
        double_ = values
        for n in range(double_.shape[0]):
            made[n] = bl_half_d(double_[n])
    return result
