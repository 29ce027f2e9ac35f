# cython: language_level=3, cdivision=True, binding=False, auto_pickle=False
"""The driver: it walks a table of compiled kernels, step after step, without the interpreter and without the GIL.

It is built once for a network from operations (`add_...`), which run in the order of their addition. Arrays are numpy arrays whose memory must stay
where it is; the driver keeps references to them. Changing their contents needs no new driver.
"""

import threading

import numpy as np

from cpython.buffer cimport PyBuffer_FillInfo
from cpython.exc cimport PyErr_CheckSignals
from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memmove, memset

cdef extern from "Python.h":
    ctypedef struct PyTypeObject
    bint PyObject_TypeCheck(object value, PyTypeObject *kind)

cdef extern from "_runtime.h" nogil:
    ctypedef struct KernelContext:
        ptrdiff_t begin, end, size, row
        uint64_t step
        uint32_t seed, epoch, stream
        const int32_t *spikes
        const int32_t *rows
        const int32_t *arrivals
        const void *ends
        ptrdiff_t base, narrow, leap
        const int32_t *order
        const int32_t *i
        const int32_t *j
    int64_t load_acquire(int64_t *value)
    void store_release(int64_t *value, int64_t new)
    int64_t add_release(int64_t *value, int64_t change)
    void relax(int spins)
    double seconds_now()
    int HAS_THREADS

ctypedef int (*KernelFunction)(void **, KernelContext *) noexcept nogil

BLOCK = 16
RESERVED = 1 << 28  # bytes of a record that are reserved at once
cdef size_t HANDED_OVER = 1 << 16  # bytes from which on memory changes hands and is not copied
context_size = sizeof(KernelContext)
has_threads = bool(HAS_THREADS)

cdef double SYNAPSE = 1.0  # nanoseconds that a synapse takes, about
cdef double SHARED_FROM = 4000  # nanoseconds that an operation takes, about; below this, waiting for each other costs more than it saves

cdef enum:
    MAP = 0, SPARSE_MAP, DELIVER, RECORD_VALUES, RECORD_EVENTS, RECORD_RATE, TABLE_EVENTS, TABLE_VALUES, CALL
    DONE, CHUNK, CALLED, NO_MEMORY, FULL, STOPPED

cdef struct Event:
    ptrdiff_t size
    int64_t every                # ticks per step
    uint8_t *mask                # one byte an element, or NULL
    ptrdiff_t slots              # steps of history, the current one included
    int32_t **lists
    int64_t *counts
    int64_t *capacities

cdef struct Clock:
    int64_t every
    double dt
    double *t
    int64_t *timestep

cdef struct Operation:
    int kind
    int64_t every
    bint active                  # whether it did anything in this step
    int64_t load                 # a Deliver: about how many synapses it reached in this step
    double spent                 # seconds, while the driver measures them
    ptrdiff_t n_after
    ptrdiff_t *after
    int64_t *windows             # the first of the targets of each of these that is an element here
    # kernels
    KernelFunction function
    void **pointers
    KernelContext context
    bint parallel
    double cost                  # nanoseconds an element takes, about
    KernelFunction sparse        # a Map that adds what arrived: the same for a list of elements
    int32_t *touched             # of a Deliver: the spikes that arrive, and from `used` on their rows
    int64_t room
    ptrdiff_t n_events
    ptrdiff_t *events
    # events read or written
    ptrdiff_t event
    ptrdiff_t first, stop
    int64_t late                 # 1: what runs before its events are found in a step sees those of the step before
    ptrdiff_t n_delays
    int64_t *delays
    ptrdiff_t parts              # of the neurons at the other end, each with rows of its own
    int64_t *bases
    double row_length            # on average
    # recorders; `used` rows or events are filled
    char *array
    size_t itemsize
    ptrdiff_t width
    int64_t *elements
    int64_t used, capacity
    char *values
    int64_t *steps
    int32_t *indices
    int64_t *counts
    bint store
    uint8_t *selected
    ptrdiff_t n_gathered
    char **gathered
    size_t *gathered_sizes
    char **gathered_values
    # tables
    int64_t *offsets
    const int32_t *table
    int64_t rows, first_step, steps_per_row, previous

cdef struct Crew:
    int64_t generation, remaining, stop
    int64_t threads
    Operation *operation

def set_threads_from(double nanoseconds):
    """Let threads share operations that take so long, by what is known of them; returns the number that held before. Results do not depend on it."""
    global SHARED_FROM
    before, SHARED_FROM = SHARED_FROM, nanoseconds
    return before


cdef inline int64_t own_step(int64_t tick, int64_t every) noexcept nogil:
    """The step of a clock at a tick."""
    return tick if every == 1 else tick // every


cdef void deliver_parts(Operation *op, ptrdiff_t first, ptrdiff_t stop) noexcept nogil:
    """Some of the parts of a Deliver."""
    cdef KernelContext context = op.context
    cdef ptrdiff_t part
    for part in range(first, stop):
        context.base, context.row = op.bases[part], part
        op.function(op.pointers, &context)


cdef bint collect(Operation *op, Event *event, int64_t step) noexcept nogil:
    """List the spikes that arrive at a Deliver in this step, and their rows; what was sent longest ago comes first. False if there is no memory."""
    cdef ptrdiff_t n, slot, count, begin, end, spike, total = 0
    cdef const int32_t *spikes
    cdef int32_t *new
    for n in range(op.n_delays - 1, -1, -1):
        slot = (step - op.delays[n]) % event.slots
        slot += event.slots if slot < 0 else 0
        count = event.counts[slot]
        if count == 0:
            continue
        spikes = event.lists[slot]
        begin = 0 if op.first == 0 else position(spikes, count, op.first)
        end = count if op.stop == event.size else position(spikes, count, op.stop)
        if total + end - begin > op.room:
            op.room = max(2 * (total + end - begin), 64)
            new = <int32_t *>realloc(op.touched, 2 * op.room * sizeof(int32_t))
            if new == NULL:
                op.room = 0
                return False
            memmove(new + op.room, new + op.used, total * sizeof(int32_t))  # the rows so far
            op.touched, op.used = new, op.room
        for spike in range(begin, end):
            op.touched[total] = spikes[spike]
            op.touched[op.room + total] = <int32_t>(((spikes[spike] - op.first) * op.n_delays + n) * op.parts)
            total += 1
    op.context.begin, op.context.end = 0, total
    op.context.spikes, op.context.arrivals = op.touched, op.touched + op.room
    return True


cdef bint touch(Operation *op, Operation *target, int64_t window) noexcept nogil:
    """Append the elements of `target` that a Deliver reached in this step to its list; False if there is no memory."""
    cdef ptrdiff_t spike, part, row
    cdef int64_t synapse, reached, used = target.used
    cdef const int32_t *rows = op.context.rows
    cdef const uint16_t *narrow = <const uint16_t *>op.context.ends
    cdef const int32_t *wide = <const int32_t *>op.context.ends
    cdef int32_t *new
    for spike in range(op.context.end):
        for part in range(op.parts):
            row = op.context.arrivals[spike] + part
            if used + rows[row + 1] - rows[row] > target.room:
                target.room = 2 * (used + rows[row + 1] - rows[row])
                new = <int32_t *>realloc(target.touched, target.room * sizeof(int32_t))
                if new == NULL:
                    target.room = 0
                    return False
                target.touched = new
            for synapse in range(rows[row], rows[row + 1]):
                reached = op.bases[part] + (narrow[synapse] if op.context.narrow else wide[synapse]) - window
                if 0 <= reached < target.context.size:
                    target.touched[used] = <int32_t>reached
                    used += 1
    target.used = used
    return True


cdef void run_part(Crew *crew, int64_t part, int64_t parts) noexcept nogil:
    """One thread's share of an operation: blocks of a Map over all elements, or parts of a Deliver."""
    cdef Operation *op = crew.operation
    if op.kind == DELIVER:
        deliver_parts(op, op.parts * part // parts, op.parts * (part + 1) // parts)
    else:
        run_blocks(op, part, parts)


cdef void run_blocks(Operation *op, int64_t part, int64_t parts) noexcept nogil:
    cdef KernelContext context = op.context
    cdef int64_t blocks = (context.size + 15) // 16
    context.begin = blocks * part // parts * 16
    context.end = blocks * (part + 1) // parts * 16
    op.function(op.pointers, &context)


cdef void work(Crew *crew, int64_t part) noexcept nogil:
    """A helper thread: wait for a Map, do a part of it, until told to stop."""
    cdef int64_t seen = 0
    cdef int spins
    while True:
        spins = 0
        while load_acquire(&crew.generation) == seen:
            if load_acquire(&crew.stop):
                return
            relax(spins)
            spins += 1
        seen += 1
        run_part(crew, part, crew.threads)
        add_release(&crew.remaining, -1)


cdef void share(Crew *crew, Operation *op) noexcept nogil:
    """Run an operation with all threads."""
    cdef int spins = 0
    crew.operation = op
    store_release(&crew.remaining, crew.threads - 1)
    add_release(&crew.generation, 1)
    run_part(crew, 0, crew.threads)
    while load_acquire(&crew.remaining) > 0:
        relax(spins)
        spins += 1


cdef bint reserve(Event *event, ptrdiff_t slot, int64_t count) noexcept nogil:
    """Room for `count` spikes in a slot; False if there is no memory."""
    cdef int64_t capacity = event.capacities[slot]
    cdef int32_t *new
    if count <= capacity:
        return True
    capacity = min(max(count, 2 * capacity, 64), max(<int64_t>event.size, count))
    new = <int32_t *>realloc(event.lists[slot], capacity * sizeof(int32_t))
    if new == NULL:
        return False
    event.lists[slot] = new
    event.capacities[slot] = capacity
    return True


cdef inline bint any_of_64(const uint8_t *bytes) noexcept nogil:
    """Whether any of 64 bytes is set."""
    cdef uint64_t words[8]
    memcpy(words, bytes, 64)
    return (words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7]) != 0


cdef bint scan(Event *event, ptrdiff_t slot) noexcept nogil:
    """The list of the elements whose byte in the mask is set."""
    cdef ptrdiff_t n = 0, k, size = event.size
    cdef int64_t count = 0
    cdef uint64_t word
    cdef int32_t *spikes
    while n < size:
        if n + 64 <= size and not any_of_64(event.mask + n):
            n += 64
            continue
        if n + 8 <= size:
            memcpy(&word, event.mask + n, 8)
            if word == 0:
                n += 8
                continue
        if not reserve(event, slot, count + 8):
            return False
        spikes = event.lists[slot]
        for k in range(n, min(n + 8, size)):
            spikes[count] = <int32_t>k
            count += event.mask[k] != 0
        n += 8
    event.counts[slot] = count
    return True


cdef ptrdiff_t position(const int32_t *spikes, ptrdiff_t count, ptrdiff_t value) noexcept nogil:
    """The first position in ascending `spikes` that holds `value` or more."""
    cdef ptrdiff_t low = 0, high = count, middle
    while low < high:
        middle = (low + high) // 2
        if spikes[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


def _letter(array):
    """The letter of an array's type."""
    letters = {"f8": "d", "f4": "f", "i4": "i", "i8": "q", "u1": "B", "b1": "B"}
    kind = f"{array.dtype.kind}{array.dtype.itemsize}"
    if kind not in letters:
        raise TypeError(f"an array of type {array.dtype} is not one that the driver knows")
    return letters[kind]


def _data(array, str letter):
    """The address of an array, after a check of its type and layout."""
    kinds = {"d": ("f8",), "f": ("f4",), "i": ("i4",), "q": ("i8",), "B": ("u1", "b1"), "H": ("u2",)}[letter]
    if not isinstance(array, np.ndarray):
        raise TypeError(f"a numpy array is needed, not {type(array).__name__}")
    if f"{array.dtype.kind}{array.dtype.itemsize}" not in kinds or not array.dtype.isnative:
        raise TypeError(f"an array of type {' or '.join(kinds)} is needed, not {array.dtype}")
    if not array.flags.c_contiguous:
        raise ValueError("an array that lies in one piece (C-contiguous) is needed")
    return array.ctypes.data


def _check_overlap(tokens, arrays):
    """Kernels are compiled for arrays that do not overlap, where one of them is written."""
    spans = sorted((a.ctypes.data, a.ctypes.data + a.nbytes, "!" in t, n) for n, (t, a) in enumerate(zip(tokens, arrays)) if a.nbytes)
    for n, (_, end, written, left) in enumerate(spans):
        for start, _, other, right in spans[n + 1:]:
            if start >= end:
                break
            if written or other:
                raise ValueError(f"arrays {left} and {right} of a kernel overlap in memory")


def philox_words(uint32_t seed, uint32_t epoch, uint32_t step, elements, uint32_t stream, uint32_t last):
    """The four words of Philox4x32-10, as uint64, for each of `elements` (uint64): what `randomness.philox` gives, in one pass."""
    elements = np.ascontiguousarray(elements, np.uint64)
    words = np.empty((4, elements.size), np.uint64)
    cdef ptrdiff_t n, size = elements.size
    cdef const uint64_t *element = <const uint64_t *><uintptr_t>elements.ctypes.data
    cdef uint64_t *word = <uint64_t *><uintptr_t>words.ctypes.data
    cdef uint32_t a, b, c, d, k, m
    cdef uint64_t p, q
    cdef int turn
    with nogil:
        for n in range(size):
            a, b, c, d, k, m = step, <uint32_t>element[n], stream, last, seed, epoch
            for turn in range(10):
                p, q = <uint64_t>0xD2511F53u * a, <uint64_t>0xCD9E8D57u * c
                a, b, c, d = <uint32_t>(q >> 32) ^ b ^ k, <uint32_t>q, <uint32_t>(p >> 32) ^ d ^ m, <uint32_t>p
                k, m = k + <uint32_t>0x9E3779B9u, m + <uint32_t>0xBB67AE85u
            word[n], word[size + n], word[2 * size + n], word[3 * size + n] = a, b, c, d
    return words[0], words[1], words[2], words[3]


def instances(values, kind):
    """Those of `values` that are of a class or of one derived from it, as far as inheritance goes; among thousands of others they are found in no time."""
    return [value for value in values if PyObject_TypeCheck(value, <PyTypeObject *>kind)]


def within(array, double limit):
    """Whether all values are between -limit and limit; NaN is not."""
    cdef const double *doubles
    cdef const float *floats
    cdef ptrdiff_t n, k, size = array.size
    cdef int64_t inside
    kind = array.dtype.char
    if kind not in "df" or not array.flags.c_contiguous:
        return bool((np.abs(array) < limit).all())
    if kind == "d":
        doubles = <const double *><uintptr_t>array.ctypes.data
        with nogil:
            for n in range(0, size, 4096):
                inside = 1
                for k in range(n, min(n + 4096, size)):
                    inside &= (doubles[k] < limit) & (doubles[k] > -limit)
                if not inside:
                    break
            else:
                inside = 1
    else:
        floats = <const float *><uintptr_t>array.ctypes.data
        with nogil:
            for n in range(0, size, 4096):
                inside = 1
                for k in range(n, min(n + 4096, size)):
                    inside &= (floats[k] < limit) & (floats[k] > -limit)
                if not inside:
                    break
            else:
                inside = 1
    return bool(inside)


cdef class Driver:
    """Runs operations in the order in which they were added, step after step.

    Parameters
    ----------
    seed, epoch : the key of all random numbers; both can be set between runs.
    profiling : whether the time that each operation takes is measured (see `spent`).
    """

    cdef Event *_events
    cdef ptrdiff_t _n_events
    cdef Clock *_clocks
    cdef ptrdiff_t _n_clocks
    cdef Operation *_operations
    cdef ptrdiff_t _n_operations
    cdef ptrdiff_t _position     # the operation that comes next; 0: a new step begins
    cdef int64_t _step
    cdef int64_t _blocked        # the operation that stopped the loop
    cdef Crew _crew
    cdef list _keep
    cdef dict _kept              # what an operation needs, by its number
    cdef dict _functions         # of the calls that `run` makes itself
    cdef bint _calling           # one of these is running
    cdef bint _stop              # `run` ends at the end of the step under way
    cdef list _workers
    cdef bint _running
    cdef public uint32_t seed
    cdef public uint32_t epoch
    cdef public bint profiling

    def __cinit__(self, uint32_t seed=0, uint32_t epoch=0):
        self.seed, self.epoch = seed, epoch
        self._keep, self._workers, self._functions, self._kept = [], [], {}, {}
        self._blocked = -1

    def __dealloc__(self):
        cdef ptrdiff_t n, k
        cdef Operation *op
        for n in range(self._n_events):
            for k in range(self._events[n].slots):
                free(self._events[n].lists[k])
            free(self._events[n].lists)
            free(self._events[n].counts)
            free(self._events[n].capacities)
        for n in range(self._n_operations):
            op = &self._operations[n]
            if op.kind == RECORD_EVENTS:
                free(op.indices)
                for k in range(op.n_gathered):
                    free(op.gathered_values[k])
            if op.kind in (RECORD_VALUES, RECORD_RATE):
                free(op.values)
            free(op.steps)
            free(op.pointers)
            free(op.after)
            free(op.events)
            free(op.delays)
            free(op.bases)
            free(op.touched)
            free(op.windows)
            free(op.gathered)
            free(op.gathered_sizes)
            free(op.gathered_values)
        free(self._events)
        free(self._clocks)
        free(self._operations)

    # ------------------------------------------------------------------------------------------------------------------------------- building
    def add_clock(self, double dt, t=None, timestep=None, int64_t every=1):
        """At every `every`-th step, `t` (float64) becomes the time and `timestep` (int64) the number of the step of this clock."""
        self._idle()
        self._positive(every, "every")
        cdef Clock *clock
        self._clocks = <Clock *>self._grow(self._clocks, self._n_clocks + 1, sizeof(Clock))
        clock = &self._clocks[self._n_clocks]
        clock.every, clock.dt = every, dt
        clock.t = <double *>self._pointer(t, "d", 1)
        clock.timestep = <int64_t *>self._pointer(timestep, "q", 1)
        self._n_clocks += 1

    def add_event(self, ptrdiff_t size, mask=None, *, int64_t every=1):
        """A source of events with `size` elements; `mask` is its event array (bool or uint8). Returns its number.

        Its steps last `every` ticks, and what finds, delivers or records its events must have the same `every`.
        """
        self._idle()
        self._positive(every, "every")
        cdef Event *event
        self._events = <Event *>self._grow(self._events, self._n_events + 1, sizeof(Event))
        event = &self._events[self._n_events]
        memset(event, 0, sizeof(Event))
        event.size, event.every = size, every
        event.mask = <uint8_t *>self._pointer(mask, "B", size)
        self._n_events += 1
        self._history(self._n_events - 1, 2)
        return self._n_events - 1

    def add_map(
        self, kernel, arrays, ptrdiff_t size, *, events=(), only=None, late=0, after=(), windows=None, sparse=None, double cost=1.0, i=None, j=None, uint32_t stream=0, int64_t every=1
    ):
        """A compiled Map over `size` elements. Returns the number of the operation.

        Parameters
        ----------
        kernel : what `build_cython` returned for it, with `address` and `signature`.
        arrays : one array for each of `Source.parameters`; arrays with one value an element are padded to a multiple of 16.
        events : the events whose masks this Map writes.
        only : the event whose elements run it.
        late : 1 if the Map comes before that event is found in a step, and runs for the elements of the step before.
        after : operations (Delivers); the Map is skipped in steps in which none of them delivered anything.
        windows : for each of `after`, which of its targets is the first element here; 0 by default.
        sparse : the same kernel for a list of elements; it takes the place of the Map where few synapses delivered anything. Nothing may
            change at elements to which nothing was delivered, nor by running an element a second time.
        cost : about how many nanoseconds an element takes; threads share what takes long enough.
        i, j : pre- and postsynaptic index of each element.
        """
        kind = kernel.signature[0]
        if kind not in "MmO" or (kind == "O") != (only is not None):
            raise ValueError(f"a kernel {kernel.signature!r} cannot be a Map {'over all elements' if only is None else 'over the elements of an event'}")
        cdef Operation *op = self._new(MAP if only is None else SPARSE_MAP, every)
        padded = -(-size // BLOCK) * BLOCK if only is None else size
        tokens = kernel.signature.split()[1:]
        self._kernel(op, kernel, arrays, {"s": padded, "h": 1, "p": _bound(i, size, "p", tokens), "o": _bound(j, size, "o", tokens)})
        op.context.i, op.context.j = <const int32_t *>self._pointer(i, "i", size), <const int32_t *>self._pointer(j, "i", size)
        if sparse is not None:
            if sparse.signature.split() != ["O", *tokens] or not len(after):
                raise ValueError(f"a kernel {sparse.signature!r} cannot stand for {kernel.signature!r}")
            op.sparse = <KernelFunction><uintptr_t>sparse.address
            self._keep.append(sparse)
        op.context.size, op.context.stream = size, stream
        op.parallel, op.cost = kind == "M", cost
        op.event = -1 if only is None else self._event(only)
        op.late = self._lateness(late)
        if only is not None and self._events[op.event].size > size:
            raise ValueError("the event has more elements than the Map")
        for event in events:
            if self._events[self._event(event)].mask == NULL or self._events[event].size > padded:
                raise ValueError(f"event {event} has no mask that this Map could write")
            address = <uintptr_t>self._events[event].mask
            if not any("!" in token and array.ctypes.data == address for token, array in zip(kernel.signature.split()[1:], arrays)):
                raise ValueError(f"the mask of event {event} is not among the arrays that this Map writes")
        op.events, op.n_events = <ptrdiff_t *>self._copy(events, sizeof(ptrdiff_t)), len(events)
        self._after(op, after, [0] * len(after) if windows is None else windows)
        return self._finish()

    def add_deliver(self, kernel, arrays, event, rows, *, ends=None, bases=(0,), delays=(0,), order=None, int64_t leap=0, sources=None, uint32_t stream=0, int64_t every=1):
        """A compiled Deliver. Returns the number of the operation.

        Parameters
        ----------
        delays : the D distinct delays in steps, ascending.
        rows : int32; the synapses of source s (counted from `sources[0]`), delay number d and part p of P are `rows[r]` to `rows[r + 1]`, with
            r = (s*D + d)*P + p.
        ends : int32 or uint16; the neuron at the other end of each of these synapses, counted from the base of its part.
        bases : the first neuron of each of the P parts of the neurons at the other end; threads take parts of their own.
        order : int32; the index of each of these synapses as created. None: they are in this order already.
        leap : not 0 if in each row `ends` ascend by one, and then how far apart the numbers in `order` are; -1 if they are no constant number apart.
        sources : first and last + 1 element of `event` that have synapses; all of them by default.
        """
        self._idle()
        if kernel.signature[0] != "D":
            raise ValueError(f"a kernel {kernel.signature!r} cannot be a Deliver")
        delays, bases = [int(d) for d in delays], [int(base) for base in bases]
        number = self._event(event)
        first, stop = self._range(number, sources)
        if not delays or delays[0] < 0 or any(a >= b for a, b in zip(delays, delays[1:])):
            raise ValueError("delays must be distinct steps, ascending, none of them negative")
        if not bases or bases[0] < 0 or any(a > b for a, b in zip(bases, bases[1:])):
            raise ValueError("bases must ascend from 0 or more")
        stride = len(delays) * len(bases)
        if len(rows) != (stop - first) * stride + 1 or rows[0] < 0 or (len(rows) > 1 and bool((rows[1:] < rows[:-1]).any())):
            raise ValueError("rows must ascend, with one entry for each source, delay and part, and one more")
        placed = int(rows[len(rows) - 1])
        if order is not None and len(order) < placed:
            raise ValueError("order is shorter than rows say")
        size = placed if order is None else (int(order.max()) + 1 if len(order) else 0)
        if order is not None and len(order) and int(order.min()) < 0:
            raise ValueError("order must not be negative")
        near = kernel.signature[1]
        far = "o" if near == "p" else "p"
        reach = 0
        if any(far in token[1:] for token in kernel.signature.split()[1:]):
            if ends is None or len(ends) < placed:
                raise ValueError("a kernel that reaches the neurons at the other end needs ends, one for each synapse")
            reach = _reach(rows, ends, bases)
        cdef Operation *op = self._new(DELIVER, every)
        self._kernel(op, kernel, arrays, {"s": size, "r": placed, "h": 1, near: stop, far: reach})
        op.context.size, op.context.stream = size, stream
        op.context.rows = <const int32_t *>self._pointer(rows, "i", len(rows))
        op.context.order = <const int32_t *>self._pointer(order, "i", placed)
        op.context.leap = leap
        if ends is not None:
            op.context.narrow = ends.dtype == np.uint16
            op.context.ends = self._pointer(ends, "H" if op.context.narrow else "i", placed)
        op.first, op.stop = first, stop
        op.event = number
        op.delays, op.n_delays = <int64_t *>self._copy(delays, sizeof(int64_t)), len(delays)
        op.bases, op.parts = <int64_t *>self._copy(bases, sizeof(int64_t)), len(bases)
        op.row_length = <double>placed / max((stop - first) * len(delays), 1)
        self._history(number, delays[len(delays) - 1] + 1)
        return self._finish()

    def add_record_values(self, array, elements=None, *, int64_t every=1):
        """Each step adds a row with the values of `array` at `elements` (indices; all by default). Returns the number of the operation."""
        self._idle()
        if elements is not None:
            elements = np.ascontiguousarray(elements, np.int64)
            if len(elements) and not (0 <= int(elements.min()) and int(elements.max()) < len(array)):
                raise ValueError("an element to record does not exist")
        cdef Operation *op = self._new(RECORD_VALUES, every)
        letter = _letter(array)
        op.array = <char *>self._pointer(array, letter, 0)
        op.itemsize = array.dtype.itemsize
        op.width = array.size if elements is None else len(elements)
        op.elements = <int64_t *>self._pointer(elements, "q", 0)
        number = self._finish()
        self._kept[number] = array.dtype
        return number

    def add_record_events(self, event, *, sources=None, selected=None, counts=None, bint store=True, gather=(), late=0, int64_t every=1):
        """Each spike of `event` adds (index, step), and the values of the arrays `gather` there. Returns the number of the operation.

        Parameters
        ----------
        sources : first and last + 1 element that count; indices are relative to the first.
        selected : bool, one for each of these; only spikes of selected elements are stored.
        counts : int64, one for each of these, to which all spikes are added.
        late : 1 if the record comes before the event is found in a step, and takes the spikes of the step before.
        """
        self._idle()
        number = self._event(event)
        first, stop = self._range(number, sources)
        cdef Operation *op = self._new(RECORD_EVENTS, every)
        op.event, op.first, op.stop, op.store = number, first, stop, store
        op.late = self._lateness(late)
        op.selected = <uint8_t *>self._pointer(selected, "B", stop - first)
        op.counts = <int64_t *>self._pointer(counts, "q", stop - first)
        addresses, sizes = [], []
        for array in gather:
            if len(array) < stop:
                raise ValueError("an array to gather is shorter than the event")
            addresses.append(_data(array, _letter(array)))
            sizes.append(array.dtype.itemsize)
        op.gathered = <char **>self._copy(addresses, sizeof(void *))
        op.gathered_sizes = <size_t *>self._copy(sizes, sizeof(size_t))
        op.gathered_values = <char **>self._copy([0] * len(addresses), sizeof(void *))
        op.n_gathered = len(addresses)
        done = self._finish()
        self._kept[done] = tuple(gather)
        return done

    def add_record_rate(self, event, *, sources=None, late=0, int64_t every=1):
        """Each step adds the number of spikes of `event` (of its elements `sources[0]` to `sources[1]`). Returns the number of the operation.

        `late` is as for `add_record_events`.
        """
        self._idle()
        number = self._event(event)
        first, stop = self._range(number, sources)
        cdef Operation *op = self._new(RECORD_RATE, every)
        op.event, op.first, op.stop = number, first, stop
        op.late = self._lateness(late)
        op.itemsize, op.width = sizeof(int64_t), 1
        return self._finish()

    def add_table_events(self, event, offsets, indices, *, int64_t first_step=0, int64_t every=1):
        """`event` takes the spikes `indices[offsets[r]:offsets[r + 1]]` (int32, ascending in each row) in step `first_step + r`."""
        self._idle()
        number = self._event(event)
        self._check_table(number, offsets, indices)
        cdef Operation *op = self._new(TABLE_EVENTS, every)
        op.event = number
        op.previous = -1
        self._table(op, self._n_operations, offsets, indices, first_step)
        return self._finish()

    def set_table_events(self, ptrdiff_t operation, offsets, indices, *, int64_t first_step=0):
        """Replace the spikes of an `add_table_events`, for the steps from `first_step` on."""
        cdef Operation *op = self._recorder(operation, (TABLE_EVENTS,))
        self._check_table(op.event, offsets, indices)
        self._table(op, operation, offsets, indices, first_step)

    cdef int _table(self, Operation *op, ptrdiff_t operation, offsets, indices, int64_t first_step) except -1:
        cdef Event *event = &self._events[op.event]
        cdef int64_t n
        places = _data(offsets, "q"), _data(indices, "i")  # refuses before anything changes
        if event.mask != NULL and op.previous >= 0:
            for n in range(op.offsets[op.previous], op.offsets[op.previous + 1]):
                event.mask[op.table[n]] = 0
        op.offsets, op.table = <int64_t *><uintptr_t>places[0], <const int32_t *><uintptr_t>places[1]
        op.rows, op.first_step, op.previous = len(offsets) - 1, first_step, -1
        self._kept[operation] = offsets, indices
        return 0

    cdef int _check_table(self, ptrdiff_t number, offsets, indices) except -1:
        if len(offsets) < 1 or offsets[0] < 0 or bool((offsets[1:] < offsets[:-1]).any()) or offsets[len(offsets) - 1] > len(indices):
            raise ValueError("offsets must ascend and end within indices")
        if len(indices) and not (0 <= int(indices.min()) and int(indices.max()) < self._events[number].size):
            raise ValueError("the table has a spike of an element that does not exist")
        ascends = np.diff(indices) > 0
        starts = np.asarray(offsets)[1:-1]
        ascends[starts[(starts > 0) & (starts < len(indices))] - 1] = True
        if not ascends[int(offsets[0]):max(int(offsets[len(offsets) - 1]) - 1, 0)].all():
            raise ValueError("the spikes of a row of the table must ascend")
        return 0

    def add_table_values(self, array, table, *, int64_t first_step=0, int64_t steps_per_row=1, int64_t every=1):
        """`array` takes the row of `table` that holds at this step; before the first and after the last row, it takes these."""
        self._idle()
        self._positive(steps_per_row, "steps_per_row")
        if table.ndim != 2 or len(table) == 0 or table.dtype != array.dtype or table.shape[1] > array.size:
            raise ValueError("a table needs rows, the type of the array, and no more columns than it has values")
        cdef Operation *op = self._new(TABLE_VALUES, every)
        letter = _letter(array)
        op.array = <char *>self._pointer(array, letter, 0)
        op.values = <char *>self._pointer(table, letter, 0)
        op.itemsize = <size_t>(table.dtype.itemsize * table.shape[1])
        op.rows, op.first_step, op.steps_per_row = len(table), first_step, steps_per_row
        return self._finish()

    def add_call(self, function=None, *, int64_t every=1):
        """`run` calls the function here. Without one it returns with reason "call", and goes on behind it when it is called again.

        While the function runs, what recorders and events hold can be read. An exception leaves the step under way: the next `run` goes on behind
        the call. Returns the number of the operation.
        """
        self._idle()
        self._new(CALL, every)
        number = self._finish()
        if function is not None:
            self._functions[number] = function
        return number

    # -------------------------------------------------------------------------------------------------------------------------------- running
    @property
    def step(self):
        """The tick that comes next (or is under way); setting it keeps the history of events."""
        return self._step

    @step.setter
    def step(self, int64_t value):
        state = self.state()
        state["step"] = value
        self.set_state(state)

    @property
    def called(self):
        """The `add_call` operation at which `run` returned, or None."""
        return None if self._position == 0 or self._blocked < 0 else self._blocked

    def stop(self):
        """Let `run` end with the step under way; to be called from the functions that it calls, or from a signal's handler."""
        self._stop = True

    def run(self, int64_t steps, int threads=1, seconds=None):
        """Run to the end of `steps` more ticks (one under way counts, too). Returns the number of finished ticks and the reason.

        A tick is a step, unless there are clocks with a larger `every`; ticks at which no clock begins a step cost nothing.

        Reasons: "done"; "time", if `seconds` are over; "call" (see `add_call`); "stop" (see `stop`). A signal's exception, such as KeyboardInterrupt, leaves the driver
        between two steps or operations, from where the next `run` goes on.
        """
        self._idle()
        if self._calling:
            raise RuntimeError("the driver waits for a function that it has called")
        if steps <= 0:
            return 0, "done"
        if steps > INT64_MAX - self._step:
            raise OverflowError(f"{steps} steps are too many")
        cdef int64_t start = self._step, target = self._step + steps, n
        cdef double limit = seconds_now() + (1e300 if seconds is None else <double>seconds), chunk
        cdef int code
        for n in range(self._n_operations):
            self._operations[n].context.seed, self._operations[n].context.epoch = self.seed, self.epoch
        self._running, self._stop = True, False
        try:
            self._reserve_rows(steps)
            self._hire(threads)
            while True:
                chunk = min(seconds_now() + 0.05, limit)
                with nogil:
                    code = self._advance(target, chunk)
                if code == DONE:
                    return self._step - start, "done"
                if code == CALLED:
                    if not self._call():
                        return self._step - start, "call"
                    continue
                if code == STOPPED:
                    return self._step - start, "stop"
                if code == NO_MEMORY:
                    raise MemoryError("no memory for the spikes of this run")
                if code == FULL:
                    self._reserve_rows(target - self._step)
                    continue
                PyErr_CheckSignals()
                if seconds_now() >= limit:
                    return self._step - start, "time"
        finally:
            self._running = False
            self._dismiss()

    cdef bint _call(self) except -1:
        """Call the function of the operation at which the loop stopped; False if it has none."""
        function = self._functions.get(self._blocked)
        if function is None:
            return False
        self._running, self._calling = False, True
        try:
            function()
        finally:
            self._running, self._calling = True, False
        return True

    cdef int _advance(self, int64_t target, double limit) noexcept nogil:
        """Steps until `target`, or until something needs the interpreter."""
        cdef Operation *op
        cdef double began
        cdef int code
        while True:
            if self._position == 0:
                if self._step >= target:
                    self._write_clocks()
                    return DONE
                self._begin_step()
            while self._position < self._n_operations:
                op = &self._operations[self._position]
                if op.every == 1 or self._step % op.every == 0:
                    began = seconds_now() if self.profiling else 0.0
                    code = self._execute(op)
                    if self.profiling:
                        op.spent += seconds_now() - began
                    if code == CALLED:
                        self._blocked = self._position
                        self._position += 1
                        return CALLED
                    if code != DONE:
                        return code
                self._position += 1
            self._position = 0
            self._step = min(self._following(self._step + 1), target)
            if self._stop:
                self._write_clocks()
                return STOPPED
            if self._step < target and seconds_now() >= limit:
                return CHUNK

    cdef int64_t _following(self, int64_t tick) noexcept nogil:
        """The first tick from this one on at which a clock begins a step."""
        cdef int64_t first = INT64_MAX, every
        cdef ptrdiff_t n
        for n in range(self._n_clocks):
            every = self._clocks[n].every
            if every == 1:
                return tick
            first = min(first, (tick + every - 1) // every * every)
        return tick if first == INT64_MAX else first

    cdef void _write_clocks(self) noexcept nogil:
        """Every clock shows the step that begins now, or the next one."""
        cdef ptrdiff_t n
        cdef int64_t number
        for n in range(self._n_clocks):
            number = (self._step + self._clocks[n].every - 1) // self._clocks[n].every
            if self._clocks[n].t != NULL:
                self._clocks[n].t[0] = number * self._clocks[n].dt
            if self._clocks[n].timestep != NULL:
                self._clocks[n].timestep[0] = number

    cdef void _begin_step(self) noexcept nogil:
        cdef ptrdiff_t n
        self._write_clocks()
        for n in range(self._n_events):
            if self._events[n].every == 1 or self._step % self._events[n].every == 0:
                self._events[n].counts[own_step(self._step, self._events[n].every) % self._events[n].slots] = 0

    cdef int _execute(self, Operation *op) noexcept nogil:
        if op.kind == MAP:
            return self._map(op)
        if op.kind == SPARSE_MAP:
            return self._sparse_map(op)
        if op.kind == DELIVER:
            return self._deliver(op)
        if op.kind == RECORD_VALUES or op.kind == RECORD_RATE:
            return self._record_row(op)
        if op.kind == RECORD_EVENTS:
            return self._record_events(op)
        if op.kind == TABLE_EVENTS:
            return self._table_events(op)
        if op.kind == TABLE_VALUES:
            return self._table_values(op)
        return CALLED

    cdef bint _wanted(self, Operation *op) noexcept nogil:
        """Whether any of the operations after which this one runs did something."""
        cdef ptrdiff_t n
        if op.n_after == 0:
            return True
        for n in range(op.n_after):
            if self._ran(&self._operations[op.after[n]]):
                return True
        return False

    cdef int _map(self, Operation *op) noexcept nogil:
        cdef ptrdiff_t n
        cdef Event *event
        if op.context.size == 0 or not self._wanted(op):
            return DONE
        op.context.step = <uint64_t>(own_step(self._step, op.every))
        if op.sparse != NULL and self._few(op):
            return self._map_touched(op)
        if op.parallel and self._crew.threads > 1 and op.context.size * op.cost >= SHARED_FROM:
            share(&self._crew, op)
        else:
            run_blocks(op, 0, 1)
        for n in range(op.n_events):
            event = &self._events[op.events[n]]
            if not scan(event, own_step(self._step, event.every) % event.slots):
                return NO_MEMORY
        return DONE

    cdef bint _few(self, Operation *op) noexcept nogil:
        """Whether so little arrived that going through it again costs less than going through all elements."""
        cdef ptrdiff_t n
        cdef int64_t total = 0
        for n in range(op.n_after):
            if self._ran(&self._operations[op.after[n]]):
                total += self._operations[op.after[n]].load
        return total * 8 < op.context.size

    cdef int _map_touched(self, Operation *op) noexcept nogil:
        """Add what arrived where something did: a second time at one element it adds nothing."""
        cdef ptrdiff_t n
        cdef Operation *other
        cdef KernelContext context = op.context
        op.used = 0
        for n in range(op.n_after):
            other = &self._operations[op.after[n]]
            if self._ran(other) and not touch(other, op, op.windows[n]):
                return NO_MEMORY
        context.spikes, context.begin, context.end = op.touched, 0, op.used
        op.sparse(op.pointers, &context)
        return DONE

    cdef bint _ran(self, Operation *op) noexcept nogil:
        """Whether a Deliver reached anything in this step."""
        return op.active and (op.every == 1 or self._step % op.every == 0)

    cdef int _sparse_map(self, Operation *op) noexcept nogil:
        cdef Event *event = &self._events[op.event]
        cdef ptrdiff_t slot = (own_step(self._step, op.every) - op.late + event.slots) % event.slots
        if event.counts[slot] and self._wanted(op):
            op.context.step = <uint64_t>(own_step(self._step, op.every))
            op.context.spikes = event.lists[slot]
            op.context.begin, op.context.end = 0, event.counts[slot]
            op.function(op.pointers, &op.context)
        return DONE

    cdef int _deliver(self, Operation *op) noexcept nogil:
        cdef int64_t step = own_step(self._step, op.every)
        op.context.step = <uint64_t>step
        if not collect(op, &self._events[op.event], step):
            return NO_MEMORY
        op.active, op.load = op.context.end > 0, <int64_t>(op.context.end * op.row_length)
        if not op.active:
            return DONE
        if op.parts > 1 and self._crew.threads > 1 and op.load * SYNAPSE >= SHARED_FROM:
            share(&self._crew, op)
        else:
            deliver_parts(op, 0, op.parts)
        return DONE

    cdef int _record_row(self, Operation *op) noexcept nogil:
        cdef char *row
        cdef ptrdiff_t n
        cdef Event *event
        if op.used >= op.capacity:
            return FULL
        row = op.values + <size_t>op.used * op.width * op.itemsize
        if op.kind == RECORD_RATE:
            event = &self._events[op.event]
            n = (own_step(self._step, op.every) - op.late + event.slots) % event.slots
            (<int64_t *>row)[0] = position(event.lists[n], event.counts[n], op.stop) - position(event.lists[n], event.counts[n], op.first)
        elif op.elements == NULL:
            memcpy(row, op.array, op.width * op.itemsize)
        elif op.itemsize == 8:
            for n in range(op.width):
                (<int64_t *>row)[n] = (<int64_t *>op.array)[op.elements[n]]
        elif op.itemsize == 4:
            for n in range(op.width):
                (<int32_t *>row)[n] = (<int32_t *>op.array)[op.elements[n]]
        else:
            for n in range(op.width):
                row[n] = op.array[op.elements[n]]
        op.steps[op.used] = own_step(self._step, op.every)
        op.used += 1
        return DONE

    cdef int _record_events(self, Operation *op) noexcept nogil:
        cdef Event *event = &self._events[op.event]
        cdef ptrdiff_t slot = (own_step(self._step, op.every) - op.late + event.slots) % event.slots, n, k, element, count = event.counts[slot]
        cdef const int32_t *spikes = event.lists[slot]
        if count and op.store and op.used + count > op.capacity and not self._grow_events(op, op.used + count):
            return NO_MEMORY
        for n in range(count):
            element = spikes[n] - op.first
            if element < 0 or spikes[n] >= op.stop:
                continue
            if op.counts != NULL:
                op.counts[element] += 1
            if not op.store or (op.selected != NULL and not op.selected[element]):
                continue
            op.indices[op.used] = <int32_t>element
            op.steps[op.used] = own_step(self._step, op.every)
            for k in range(op.n_gathered):
                memcpy(op.gathered_values[k] + op.used * op.gathered_sizes[k], op.gathered[k] + spikes[n] * op.gathered_sizes[k], op.gathered_sizes[k])
            op.used += 1
        return DONE

    cdef bint _grow_events(self, Operation *op, int64_t needed) noexcept nogil:
        cdef int64_t capacity = max(needed, 2 * op.capacity, 1024)
        cdef void *new
        cdef ptrdiff_t k
        new = realloc(op.indices, capacity * sizeof(int32_t))
        if new == NULL:
            return False
        op.indices = <int32_t *>new
        new = realloc(op.steps, capacity * sizeof(int64_t))
        if new == NULL:
            return False
        op.steps = <int64_t *>new
        for k in range(op.n_gathered):
            new = realloc(op.gathered_values[k], capacity * op.gathered_sizes[k])
            if new == NULL:
                return False
            op.gathered_values[k] = <char *>new
        op.capacity = capacity
        return True

    cdef int _table_events(self, Operation *op) noexcept nogil:
        cdef Event *event = &self._events[op.event]
        cdef int64_t step = own_step(self._step, op.every)
        cdef ptrdiff_t slot = step % event.slots
        cdef int64_t row = step - op.first_step, n, count
        if event.mask != NULL and op.previous >= 0:
            for n in range(op.offsets[op.previous], op.offsets[op.previous + 1]):
                event.mask[op.table[n]] = 0
        op.previous = -1
        if row < 0 or row >= op.rows:
            return DONE
        count = op.offsets[row + 1] - op.offsets[row]
        if not reserve(event, slot, count):
            return NO_MEMORY
        if count:
            memcpy(event.lists[slot], op.table + op.offsets[row], count * sizeof(int32_t))
        event.counts[slot] = count
        if event.mask != NULL:
            for n in range(op.offsets[row], op.offsets[row + 1]):
                event.mask[op.table[n]] = 1
            op.previous = row
        return DONE

    cdef int _table_values(self, Operation *op) noexcept nogil:
        cdef int64_t row = own_step(self._step, op.every) - op.first_step
        row = 0 if row < 0 else min(row // op.steps_per_row, op.rows - 1)
        memcpy(op.array, op.values + row * op.itemsize, op.itemsize)
        return DONE

    # ---------------------------------------------------------------------------------------------------------------------- results and state
    def spikes(self, event, late=0):
        """The elements of `event` that fired in the step under way, or in the last one; with `late`, in the step before that."""
        self._idle()
        cdef int64_t every = self._events[self._event(event)].every
        if not self._position:
            return self._list(event, (self._step + every - 1) // every - 1)
        return self._list(event, self._step // every - (late if self._step % every == 0 else 0))

    def rows(self, ptrdiff_t operation):
        """The steps and the rows that `add_record_values` or `add_record_rate` collected so far, as copies."""
        self._recorder(operation, (RECORD_VALUES, RECORD_RATE))
        return self._recorded(operation, False)

    def events(self, ptrdiff_t operation):
        """The indices, the steps and the gathered values (one array for each) that `add_record_events` collected so far, as copies."""
        self._recorder(operation, (RECORD_EVENTS,))
        return self._recorded(operation, False)

    def take(self, ptrdiff_t operation):
        """What `rows` or `events` would give, which then is forgotten: much memory changes hands, and is not copied."""
        self._recorder(operation, (RECORD_VALUES, RECORD_RATE, RECORD_EVENTS))
        return self._recorded(operation, True)

    cdef object _recorded(self, ptrdiff_t operation, bint give):
        cdef Operation *op = &self._operations[operation]
        cdef ptrdiff_t k
        cdef int64_t used = op.used
        steps = _bytes_of(<char **>&op.steps, used * 8, give).view(np.int64)
        if op.kind == RECORD_EVENTS:
            gathered = []
            for k, array in enumerate(self._kept[operation]):
                gathered.append(_bytes_of(&op.gathered_values[k], used * op.gathered_sizes[k], give).view(array.dtype))
            found = _bytes_of(<char **>&op.indices, used * 4, give).view(np.int32), steps, gathered
        else:
            values = _bytes_of(&op.values, used * op.width * op.itemsize, give)
            found = steps, values.view(self._kept[operation]).reshape(used, op.width) if op.kind == RECORD_VALUES else values.view(np.int64)
        if give:
            op.used = 0
            if used * max(op.width * op.itemsize, 8) >= HANDED_OVER:
                op.capacity = 0
        return found

    def spent(self, ptrdiff_t operation):
        """Seconds that an operation took while `profiling` was set."""
        if not 0 <= operation < self._n_operations:
            raise ValueError(f"there is no operation {operation}")
        return self._operations[operation].spent

    def clear(self, ptrdiff_t operation):
        """Forget what a recorder collected so far."""
        self._recorder(operation, (RECORD_VALUES, RECORD_RATE, RECORD_EVENTS)).used = 0

    def state(self):
        """The tick, and for each event its spikes in its steps before, the latest first: all that a delay can still deliver."""
        self._idle()
        if self._position:
            raise RuntimeError("a step is under way: run it to its end first")
        history = [[self._list(n, self._begun(n) - age) for age in range(1, self._events[n].slots + 1)] for n in range(self._n_events)]
        return {"step": self._step, "events": history}

    def set_state(self, state):
        """Go on from a `state()`, of this driver or of one with the same events; spikes older than its longest delay are dropped."""
        self._idle()
        cdef ptrdiff_t n, slot
        cdef Event *event
        if len(state["events"]) != self._n_events:
            raise ValueError(f"a state of {len(state['events'])} events does not fit a driver with {self._n_events}")
        checked = []
        for n, lists in enumerate(state["events"]):
            lists = [np.ascontiguousarray(spikes, np.int32) for spikes in lists[:self._events[n].slots]]
            if any(len(s) and not (0 <= s.min() and s.max() < self._events[n].size and bool((s[1:] > s[:-1]).all())) for s in lists):
                raise ValueError("a state has a spike of an element that does not exist, or unsorted spikes")
            checked.append(lists)
        if state["step"] < 0:
            raise ValueError(f"a step cannot be negative: {state['step']}")
        self._step, self._position = state["step"], 0
        for n, lists in enumerate(checked):
            event = &self._events[n]
            for slot in range(event.slots):
                event.counts[slot] = 0
            for age, spikes in enumerate(lists, 1):
                slot = (<object>self._begun(n) - age) % <object>event.slots
                if not reserve(event, slot, len(spikes)):
                    raise MemoryError("no memory for the spikes of a state")
                if len(spikes):
                    memcpy(event.lists[slot], <void *><uintptr_t>spikes.ctypes.data, len(spikes) * sizeof(int32_t))
                event.counts[slot] = len(spikes)

    def take_over(self, Driver other, ptrdiff_t operation):
        """Go on in the middle of the step in which `other`, a driver with the same events, called a function: behind this `operation`.

        Maps that run `after` a Deliver before it do so in this step in any case.
        """
        self._idle()
        cdef ptrdiff_t n
        if not 0 <= operation < self._n_operations or other._position == 0 or other._n_events != self._n_events:
            raise ValueError("a driver can take over from one with the same events that has called a function, behind an operation of its own")
        recent = [[other._list(n, other._step // other._events[n].every - age) for age in range(other._events[n].slots)] for n in range(self._n_events)]
        begins = [other._step % other._events[n].every == 0 for n in range(self._n_events)]
        self.set_state({"step": other._step, "events": [lists[1:] if first else lists for lists, first in zip(recent, begins)]})
        for n in range(self._n_events):
            if begins[n]:
                self._set_list(n, self._step // self._events[n].every, recent[n][0])
        for n in range(operation):
            self._operations[n].active, self._operations[n].load = True, INT64_MAX // 16
        self._position = operation + 1

    # -------------------------------------------------------------------------------------------------------------------------------- private
    cdef int64_t _begun(self, ptrdiff_t number):
        """The steps of an event that began before the tick that comes next."""
        return (self._step + self._events[number].every - 1) // self._events[number].every

    cdef int _idle(self) except -1:
        if self._running:
            raise RuntimeError("the driver is running")
        return 0

    cdef int _positive(self, int64_t value, str name) except -1:
        if value < 1:
            raise ValueError(f"{name} must be 1 or more, not {value}")
        return 0

    cdef int64_t _lateness(self, late) except -1:
        if late not in (0, 1):
            raise ValueError(f"late is 0 or 1, not {late!r}")
        return late

    cdef void *_grow(self, void *old, ptrdiff_t count, size_t size) except NULL:
        cdef void *new = realloc(old, count * size)
        if new == NULL:
            raise MemoryError()
        return new

    cdef void *_copy(self, values, size_t size) except? NULL:
        """Integers of 8 bytes (addresses, indices) as a C array that belongs to the driver."""
        cdef ptrdiff_t n
        cdef int64_t *new
        if not len(values):
            return NULL
        new = <int64_t *>calloc(len(values), 8)
        if new == NULL or size != 8:
            free(new)
            raise MemoryError()
        for n, value in enumerate(values):
            new[n] = <int64_t><uint64_t>value
        return new

    cdef void *_pointer(self, array, str letter, ptrdiff_t least) except? NULL:
        """The memory of an array of at least so many values, which the driver keeps alive; NULL for None."""
        if array is None:
            return NULL
        address = _data(array, letter)
        if array.size < least:
            raise ValueError(f"an array of {array.size} values is too small: {least} are needed")
        self._keep.append(array)
        return <void *><uintptr_t>address

    cdef ptrdiff_t _event(self, event) except -1:
        if not 0 <= event < self._n_events:
            raise ValueError(f"there is no event {event}")
        return event

    cdef object _range(self, ptrdiff_t number, sources):
        first, stop = (0, self._events[number].size) if sources is None else sources
        if not 0 <= first <= stop <= self._events[number].size:
            raise ValueError(f"sources {first} to {stop} are not among the {self._events[number].size} elements of the event")
        return first, stop

    cdef Operation *_recorder(self, ptrdiff_t number, kinds) except NULL:
        self._idle()
        if not 0 <= number < self._n_operations or self._operations[number].kind not in kinds:
            raise ValueError(f"operation {number} is no such recorder")
        return &self._operations[number]

    cdef Operation *_new(self, int kind, int64_t every) except NULL:
        """The next operation, which counts only once `_finish` was called."""
        self._idle()
        self._positive(every, "every")
        if self._position:
            raise RuntimeError("a step is under way: run it to its end first")
        self._operations = <Operation *>self._grow(self._operations, self._n_operations + 1, sizeof(Operation))
        memset(&self._operations[self._n_operations], 0, sizeof(Operation))
        self._operations[self._n_operations].kind, self._operations[self._n_operations].every = kind, every
        return &self._operations[self._n_operations]

    cdef ptrdiff_t _finish(self):
        self._n_operations += 1
        return self._n_operations - 1

    cdef int _after(self, Operation *op, after, windows) except -1:
        if len(windows) != len(after):
            raise ValueError(f"{len(windows)} windows do not fit {len(after)} operations")
        for other in after:
            if not 0 <= other < self._n_operations or self._operations[<ptrdiff_t>other].kind != DELIVER:
                raise ValueError(f"operation {other} is not a Deliver before this Map")
        op.after, op.n_after = <ptrdiff_t *>self._copy(after, sizeof(ptrdiff_t)), len(after)
        op.windows = <int64_t *>self._copy(windows, sizeof(int64_t))
        return 0

    cdef int _kernel(self, Operation *op, kernel, arrays, dict least) except -1:
        """Check the arrays of a kernel against its signature and the `least` sizes for each kind of index, and fill its table of pointers."""
        tokens = kernel.signature.split()[1:]
        if len(tokens) != len(arrays):
            raise ValueError(f"a kernel of {len(tokens)} arrays was given {len(arrays)}")
        addresses = []
        for number, (token, array) in enumerate(zip(tokens, arrays)):
            try:
                addresses.append(_data(array, token[0]))
                need = max((least[letter] for letter in token[1:] if letter != "!"), default=0)
                if array.size < need:
                    raise ValueError(f"it has {array.size} values, {need} are needed")
                if "!" in token and not array.flags.writeable:
                    raise ValueError("it is read-only")
            except (TypeError, ValueError) as error:
                raise type(error)(f"array {number} of a kernel: {error}") from None
        _check_overlap(tokens, arrays)
        op.function = <KernelFunction><uintptr_t>kernel.address
        op.pointers = <void **>self._copy(addresses, sizeof(void *))
        self._keep.append(tuple(["arrays", *arrays, kernel]))
        return 0

    cdef int _history(self, ptrdiff_t number, ptrdiff_t slots) except -1:
        """Let an event remember so many steps, the current one included."""
        cdef Event *event = &self._events[number]
        cdef ptrdiff_t old = event.slots
        if slots <= old:
            return 0
        if self._position:
            raise RuntimeError("a step is under way: run it to its end first")
        past = [self._list(number, self._begun(number) - age) for age in range(1, old + 1)]
        event.lists = <int32_t **>self._grow(event.lists, slots, sizeof(void *))
        event.counts = <int64_t *>self._grow(event.counts, slots, sizeof(int64_t))
        event.capacities = <int64_t *>self._grow(event.capacities, slots, sizeof(int64_t))
        memset(event.lists + old, 0, (slots - old) * sizeof(void *))
        memset(event.capacities + old, 0, (slots - old) * sizeof(int64_t))
        memset(event.counts, 0, slots * sizeof(int64_t))
        event.slots = slots
        for age, spikes in enumerate(past, 1):
            self._set_list(number, self._begun(number) - age, spikes)
        return 0

    def _list(self, ptrdiff_t number, step):
        slot = step % <object>self._events[number].slots
        cdef ptrdiff_t n = slot
        return _copied(self._events[number].lists[n], self._events[number].counts[n] * 4).view(np.int32)

    def _set_list(self, ptrdiff_t number, step, spikes):
        cdef ptrdiff_t n = step % <object>self._events[number].slots
        if not reserve(&self._events[number], n, len(spikes)):
            raise MemoryError("no memory for spikes")
        if len(spikes):
            memcpy(self._events[number].lists[n], <void *><uintptr_t>spikes.ctypes.data, len(spikes) * sizeof(int32_t))
        self._events[number].counts[n] = len(spikes)

    cdef int _reserve_rows(self, int64_t steps) except -1:
        """Memory for the rows that a run of so many steps will record."""
        cdef ptrdiff_t n
        cdef Operation *op
        cdef int64_t capacity
        cdef void *new
        for n in range(self._n_operations):
            op = &self._operations[n]
            if op.kind != RECORD_VALUES and op.kind != RECORD_RATE:
                continue
            room = max(RESERVED // max(op.width * op.itemsize, 1), 64)  # more is taken when it is used
            capacity = op.used + min(steps // op.every + 2, room)
            if capacity <= op.capacity:
                continue
            if op.capacity:
                capacity = max(capacity, op.capacity + op.capacity // 2)
            new = realloc(op.values, max(capacity * op.width * op.itemsize, 8))
            if new == NULL:
                raise MemoryError(f"no memory to record {capacity} steps of {op.width} values")
            op.values = <char *>new
            new = realloc(op.steps, capacity * sizeof(int64_t))
            if new == NULL:
                raise MemoryError(f"no memory to record {capacity} steps")
            op.steps = <int64_t *>new
            op.capacity = capacity
        return 0

    def _hire(self, int threads):
        """Start helper threads, if there is a Map that is worth them."""
        cdef ptrdiff_t n
        cdef bint worth = False
        for n in range(self._n_operations):
            worth = worth or self._operations[n].parts > 1 or (self._operations[n].parallel and self._operations[n].context.size * self._operations[n].cost >= SHARED_FROM)
        self._dismiss()  # whom an interrupt left behind
        self._crew.threads = threads if worth and has_threads and threads > 1 else 1
        self._crew.generation = self._crew.remaining = self._crew.stop = 0
        for part in range(1, self._crew.threads):
            worker = threading.Thread(target=self._work, args=(part,), daemon=True)
            self._workers.append(worker)
            worker.start()

    def _dismiss(self):
        """Stop the helper threads, and wait until they are gone."""
        store_release(&self._crew.stop, 1)
        while self._workers:
            if self._workers[len(self._workers) - 1].ident is not None:
                self._workers[len(self._workers) - 1].join()
            self._workers.pop()

    def _work(self, int64_t part):
        with nogil:
            work(&self._crew, part)


def _reach(rows, ends, bases):
    """How many values an array needs that is reached through `ends` of these rows, each of which belongs to one part after the other."""
    cdef int64_t most = 0, base
    cdef ptrdiff_t row, synapse, n_rows = len(rows) - 1, parts = len(bases), part
    cdef const int32_t *starts = <const int32_t *><uintptr_t>_data(rows, "i")
    cdef bint narrow = ends.dtype == np.uint16, negative = False
    cdef uintptr_t address = _data(ends, "H" if narrow else "i")
    cdef const uint16_t *short_ends = <const uint16_t *>address
    cdef const int32_t *long_ends = <const int32_t *>address
    cdef int64_t end
    for part in range(parts):
        base = bases[part]
        with nogil:
            for row in range(n_rows):
                if row % parts != part:
                    continue
                for synapse in range(starts[row], starts[row + 1]):
                    end = short_ends[synapse] if narrow else long_ends[synapse]
                    negative = negative or end < 0
                    most = max(most, base + end + 1)
    if negative:
        raise ValueError("an index of a neuron is negative")
    return most


def _bound(ends, ptrdiff_t size, letter, tokens):
    """How many values an array needs that is reached through these indices."""
    if not any(letter in token[1:] for token in tokens):
        return 0
    if ends is None:
        raise ValueError(f"a kernel that reaches {'pre' if letter == 'p' else 'post'}synaptic values needs {'i' if letter == 'p' else 'j'}")
    if len(ends) < size:
        raise ValueError(f"{len(ends)} indices of neurons are too few for {size} elements")
    used = ends[:size]
    if len(used) and int(used.min()) < 0:
        raise ValueError("an index of a neuron is negative")
    return int(used.max()) + 1 if len(used) else 0


cdef class _Memory:
    """Memory of the driver that has become numpy's."""

    cdef char *_data
    cdef Py_ssize_t _size

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self._data, self._size, 0, flags)

    def __dealloc__(self):
        free(self._data)


cdef object _bytes_of(char **place, size_t size, bint give):
    """The bytes in memory of the driver as a numpy array: a copy, or if there are many and the driver gives them away, the memory itself."""
    cdef _Memory memory
    cdef void *exact
    if not give or size < HANDED_OVER:
        return _copied(place[0], size)
    exact = realloc(place[0], size)  # what was reserved in advance goes back
    memory = _Memory()
    memory._data, memory._size = place[0] if exact == NULL else <char *>exact, size
    place[0] = NULL
    return np.frombuffer(memory, np.uint8)


cdef object _copied(const void *source, size_t size):
    """Bytes of the driver as a numpy array of its own."""
    new = np.empty(size, np.uint8)
    if size:
        memcpy(<void *><uintptr_t>new.ctypes.data, source, size)
    return new
