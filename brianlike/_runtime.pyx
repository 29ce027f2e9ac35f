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

from ._loop cimport advance
from ._operations cimport CALL, CALLED, CHUNK, DELIVER, DONE, FULL, MAP, NO_MEMORY, RECORD_EVENTS, RECORD_RATE, RECORD_VALUES, SPARSE_MAP, STOPPED, TABLE_EVENTS, TABLE_VALUES
from ._operations cimport HAS_THREADS, Clock, Event, KernelContext, KernelFunction, Loop, Operation, own_step, seconds_now, store_release
from ._spikes cimport reserve
from ._threads cimport share_begin, work

cdef extern from "Python.h":
    ctypedef struct PyTypeObject
    bint PyObject_TypeCheck(object value, PyTypeObject *kind)

BLOCK = 16
RESERVED = 1 << 28  # bytes of a record that are reserved at once
cdef size_t HANDED_OVER = 1 << 16  # bytes from which on memory changes hands and is not copied
context_size = sizeof(KernelContext)
has_threads = bool(HAS_THREADS)

cdef double SHARED_FROM = 4000  # nanoseconds that an operation takes, about; below this, waiting for each other costs more than it saves

include "_checks.pxi"
include "_memory.pxi"
include "_plan.pxi"
include "_recorded.pxi"
include "_values.pxi"


def set_threads_from(double nanoseconds):
    """Let threads share operations that take so long, by what is known of them; returns the number that held before. Results do not depend on it."""
    global SHARED_FROM
    before, SHARED_FROM = SHARED_FROM, nanoseconds
    return before


cdef class Driver:
    """Runs operations in the order in which they were added, step after step.

    Parameters
    ----------
    seed, epoch : the key of all random numbers; both can be set between runs.
    profiling : whether the time that each operation takes is measured (see `spent`).
    """

    cdef Loop _loop
    cdef list _keep
    cdef dict _touches           # the memory that kernels touch, by the number of the operation
    cdef dict _kept              # what an operation needs, by its number
    cdef dict _functions         # of the calls that `run` makes itself
    cdef bint _calling           # one of these is running
    cdef list _workers
    cdef object _planned         # for how many threads and operations
    cdef bint _running
    cdef public uint32_t seed
    cdef public uint32_t epoch
    cdef public bint profiling

    def __cinit__(self, uint32_t seed=0, uint32_t epoch=0):
        self.seed, self.epoch = seed, epoch
        self._keep, self._workers, self._functions, self._kept, self._touches = [], [], {}, {}, {}
        self._loop.blocked = -1

    def __dealloc__(self):
        release(&self._loop)

    # ------------------------------------------------------------------------------------------------------------------------------- building
    def add_clock(self, double dt, t=None, timestep=None, int64_t every=1):
        """At every `every`-th step, `t` (float64) becomes the time and `timestep` (int64) the number of the step of this clock."""
        self._idle()
        check_positive(every, "every")
        cdef Clock *clock
        self._loop.clocks = <Clock *>grow(self._loop.clocks, self._loop.n_clocks + 1, sizeof(Clock))
        clock = &self._loop.clocks[self._loop.n_clocks]
        clock.every, clock.dt = every, dt
        clock.t = <double *>self._pointer(t, "d", 1)
        clock.timestep = <int64_t *>self._pointer(timestep, "q", 1)
        self._loop.n_clocks += 1

    def add_event(self, ptrdiff_t size, mask=None, *, int64_t every=1):
        """A source of events with `size` elements; `mask` is its event array (bool or uint8). Returns its number.

        Its steps last `every` ticks, and what finds, delivers or records its events must have the same `every`.
        """
        self._idle()
        check_positive(every, "every")
        self._whole()
        cdef Event *event
        self._loop.events = <Event *>grow(self._loop.events, self._loop.n_events + 1, sizeof(Event))
        event = &self._loop.events[self._loop.n_events]
        memset(event, 0, sizeof(Event))
        event.size, event.every = size, every
        event.mask = <uint8_t *>self._pointer(mask, "B", size)
        self._loop.n_events += 1
        lengthen(event, self._loop.step, 2)
        return self._loop.n_events - 1

    def add_map(
        self, kernel, arrays, ptrdiff_t size, *, part=None, events=(), only=None, late=0, after=(), windows=None, sparse=None, double cost=1.0, cuts=(), i=None, j=None, uint32_t stream=0, int64_t every=1
    ):
        """A compiled Map over `size` elements. Returns the number of the operation.

        Parameters
        ----------
        kernel : what `build_cython` returned for it, with `address` and `signature`.
        arrays : one array for each of `Source.parameters`; arrays with one value an element are padded to a multiple of 16.
        part : first and last + 1 element that run; all of them by default. Only for Maps that reach shared values and their own elements.
        events : the events whose masks this Map writes.
        only : the event whose elements run it.
        late : 1 if the Map comes before that event is found in a step, and runs for the elements of the step before.
        after : operations (Delivers); the Map is skipped in steps in which none of them delivered anything.
        windows : for each of `after`, which of its targets is the first element here; 0 by default.
        sparse : the same kernel for a list of elements; it takes the place of the Map where few synapses delivered anything. Nothing may
            change at elements to which nothing was delivered, nor by running an element a second time.
        cost : about how many nanoseconds an element takes; threads share what takes long enough.
        cuts : the first element of each thread, and the end: multiples of 16, ascending. Without it, or with another number of threads, they have
            equal shares. Operations whose threads have the same elements and targets run without waiting for each other.
        i, j : pre- and postsynaptic index of each element.
        """
        kind = kernel.signature[0]
        if kind not in "MmO" or (kind == "O") != (only is not None):
            raise ValueError(f"a kernel {kernel.signature!r} cannot be a Map {'over all elements' if only is None else 'over the elements of an event'}")
        cdef Operation *op = self._new(MAP if only is None else SPARSE_MAP, every)
        padded = -(-size // BLOCK) * BLOCK if only is None else size
        tokens = kernel.signature.split()[1:]
        self._kernel(op, kernel, arrays, {"s": padded, "h": 1, "p": bound_of(i, size, "p", tokens), "o": bound_of(j, size, "o", tokens)})
        op.context.i, op.context.j = <const int32_t *>self._pointer(i, "i", size), <const int32_t *>self._pointer(j, "i", size)
        if sparse is not None:
            if sparse.signature.split() != ["O", *tokens] or not len(after):
                raise ValueError(f"a kernel {sparse.signature!r} cannot stand for {kernel.signature!r}")
            op.sparse = <KernelFunction><uintptr_t>sparse.address
            self._keep.append(sparse)
        op.context.size, op.context.stream = size, stream
        op.first, op.stop = (0, size) if part is None else part
        if not 0 <= op.first <= op.stop <= size:
            raise ValueError(f"a Map over {size} elements has none from {op.first} to before {op.stop}")
        if kind != "O" and (op.first % BLOCK or (op.stop % BLOCK and op.stop < size)):
            if kind != "M" or len(events):
                raise ValueError(f"a kernel {kernel.signature!r} cannot run for part of its elements")
            self._edges(op, [array for token, array in zip(tokens, arrays) if "!" in token])
        op.parallel, op.cost = kind == "M", cost
        check_cuts(cuts, padded)
        op.cuts, op.n_cuts = <int64_t *>copy_of(cuts), len(cuts)
        op.event = -1 if only is None else self._event(only)
        op.late = lateness(late)
        if only is not None and self._loop.events[op.event].size > size:
            raise ValueError("the event has more elements than the Map")
        for event in events:
            if self._loop.events[self._event(event)].mask == NULL or self._loop.events[event].size > padded:
                raise ValueError(f"event {event} has no mask that this Map could write")
            address = <uintptr_t>self._loop.events[event].mask
            if not any("!" in token and array.ctypes.data == address for token, array in zip(kernel.signature.split()[1:], arrays)):
                raise ValueError(f"the mask of event {event} is not among the arrays that this Map writes")
        op.events, op.n_events = <ptrdiff_t *>copy_of(events), len(events)
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
        placed, size = check_rows(rows, (stop - first) * len(delays) * len(bases), order)
        near = kernel.signature[1]
        far = "o" if near == "p" else "p"
        reach = 0
        if any(far in token[1:] for token in kernel.signature.split()[1:]):
            if ends is None or len(ends) < placed:
                raise ValueError("a kernel that reaches the neurons at the other end needs ends, one for each synapse")
            reach = reach_of(rows, ends, bases)
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
        op.delays, op.n_delays = <int64_t *>copy_of(delays), len(delays)
        op.bases, op.parts = <int64_t *>copy_of(bases), len(bases)
        op.reach, op.far = max(reach, bases[len(bases) - 1]), ord(far)
        op.row_length = <double>placed / max((stop - first) * len(delays), 1)
        lengthen(&self._loop.events[op.event], self._loop.step, delays[len(delays) - 1] + 1)
        return self._finish()

    def add_record_values(self, array, elements=None, *, int64_t every=1):
        """Each step adds a row with the values of `array` at `elements` (indices; all by default). Returns the number of the operation."""
        self._idle()
        if elements is not None:
            elements = np.ascontiguousarray(elements, np.int64)
            if len(elements) and not (0 <= int(elements.min()) and int(elements.max()) < len(array)):
                raise ValueError("an element to record does not exist")
        cdef Operation *op = self._new(RECORD_VALUES, every)
        letter = letter_of(array)
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
        op.late = lateness(late)
        op.selected = <uint8_t *>self._pointer(selected, "B", stop - first)
        op.counts = <int64_t *>self._pointer(counts, "q", stop - first)
        addresses, sizes = [], []
        for array in gather:
            if len(array) < stop:
                raise ValueError("an array to gather is shorter than the event")
            addresses.append(address_of(array, letter_of(array)))
            sizes.append(array.dtype.itemsize)
        op.gathered = <char **>copy_of(addresses)
        op.gathered_sizes = <size_t *>copy_of(sizes)
        op.gathered_values = <char **>copy_of([0] * len(addresses))
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
        op.late = lateness(late)
        op.itemsize, op.width = sizeof(int64_t), 1
        return self._finish()

    def add_table_events(self, event, offsets, indices, *, int64_t first_step=0, int64_t every=1):
        """`event` takes the spikes `indices[offsets[r]:offsets[r + 1]]` (int32, ascending in each row) in step `first_step + r`."""
        self._idle()
        number = self._event(event)
        check_table(self._loop.events[<ptrdiff_t>number].size, offsets, indices)
        cdef Operation *op = self._new(TABLE_EVENTS, every)
        op.event = number
        op.previous = -1
        self._table(op, self._loop.n_operations, offsets, indices, first_step)
        return self._finish()

    def set_table_events(self, ptrdiff_t operation, offsets, indices, *, int64_t first_step=0):
        """Replace the spikes of an `add_table_events`, for the steps from `first_step` on."""
        cdef Operation *op = self._recorder(operation, (TABLE_EVENTS,))
        check_table(self._loop.events[op.event].size, offsets, indices)
        self._table(op, operation, offsets, indices, first_step)

    cdef int _table(self, Operation *op, ptrdiff_t operation, offsets, indices, int64_t first_step) except -1:
        cdef Event *event = &self._loop.events[op.event]
        cdef int64_t n
        places = address_of(offsets, "q"), address_of(indices, "i")  # refuses before anything changes
        if event.mask != NULL and op.previous >= 0:
            for n in range(op.offsets[op.previous], op.offsets[op.previous + 1]):
                event.mask[op.table[n]] = 0
        op.offsets, op.table = <int64_t *><uintptr_t>places[0], <const int32_t *><uintptr_t>places[1]
        op.rows, op.first_step, op.previous = len(offsets) - 1, first_step, -1
        self._kept[operation] = offsets, indices
        return 0

    def add_table_values(self, array, table, *, int64_t first_step=0, int64_t steps_per_row=1, int64_t every=1):
        """`array` takes the row of `table` that holds at this step; before the first and after the last row, it takes these."""
        self._idle()
        check_positive(steps_per_row, "steps_per_row")
        if table.ndim != 2 or len(table) == 0 or table.dtype != array.dtype or table.shape[1] > array.size:
            raise ValueError("a table needs rows, the type of the array, and no more columns than it has values")
        cdef Operation *op = self._new(TABLE_VALUES, every)
        letter = letter_of(array)
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
        return self._loop.step

    @step.setter
    def step(self, int64_t value):
        state = self.state()
        state["step"] = value
        self.set_state(state)

    @property
    def called(self):
        """The `add_call` operation at which `run` returned, or None."""
        return None if self._loop.position == 0 or self._loop.blocked < 0 else self._loop.blocked

    def stop(self):
        """Let `run` end with the step under way; to be called from the functions that it calls, or from a signal's handler."""
        self._loop.stop = True

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
        if steps > INT64_MAX - self._loop.step:
            raise OverflowError(f"{steps} steps are too many")
        cdef int64_t start = self._loop.step, target = self._loop.step + steps, n
        cdef double limit = seconds_now() + (1e300 if seconds is None else <double>seconds), chunk
        cdef int code
        for n in range(self._loop.n_operations):
            self._loop.operations[n].context.seed, self._loop.operations[n].context.epoch = self.seed, self.epoch
        self._running, self._loop.stop = True, False
        self._loop.profiling = self.profiling
        try:
            reserve_rows(&self._loop, steps)
            self._hire(threads)
            while True:
                chunk = min(seconds_now() + 0.05, limit)
                with nogil:
                    code = advance(&self._loop, target, chunk)
                if code == DONE:
                    return self._loop.step - start, "done"
                if code == CALLED:
                    if not self._call():
                        return self._loop.step - start, "call"
                    continue
                if code == STOPPED:
                    return self._loop.step - start, "stop"
                if code == NO_MEMORY:
                    raise MemoryError("no memory for the spikes of this run")
                if code == FULL:
                    reserve_rows(&self._loop, target - self._loop.step)
                    continue
                PyErr_CheckSignals()
                if seconds_now() >= limit:
                    return self._loop.step - start, "time"
        finally:
            self._running = False
            self._dismiss()

    cdef bint _call(self) except -1:
        """Call the function of the operation at which the loop stopped; False if it has none."""
        function = self._functions.get(self._loop.blocked)
        if function is None:
            return False
        self._running, self._calling = False, True
        try:
            function()
        finally:
            self._running, self._calling = True, False
        return True

    # ---------------------------------------------------------------------------------------------------------------------- results and state
    def spikes(self, event, late=0):
        """The elements of `event` that fired in the step under way, or in the last one; with `late`, in the step before that."""
        self._idle()
        cdef Event *source = &self._loop.events[self._event(event)]
        cdef int64_t every = source.every
        if not self._loop.position:
            return spikes_in(source, begun(source, self._loop.step) - 1)
        return spikes_in(source, self._loop.step // every - (late if self._loop.step % every == 0 else 0))

    def rows(self, ptrdiff_t operation):
        """The steps and the rows that `add_record_values` or `add_record_rate` collected so far, as copies."""
        return recorded(self._recorder(operation, (RECORD_VALUES, RECORD_RATE)), self._kept.get(operation), False)

    def events(self, ptrdiff_t operation):
        """The indices, the steps and the gathered values (one array for each) that `add_record_events` collected so far, as copies."""
        return recorded(self._recorder(operation, (RECORD_EVENTS,)), self._kept.get(operation), False)

    def take(self, ptrdiff_t operation):
        """What `rows` or `events` would give, which then is forgotten: much memory changes hands, and is not copied."""
        return recorded(self._recorder(operation, (RECORD_VALUES, RECORD_RATE, RECORD_EVENTS)), self._kept.get(operation), True)

    def spent(self, ptrdiff_t operation):
        """Seconds that an operation took while `profiling` was set."""
        if not 0 <= operation < self._loop.n_operations:
            raise ValueError(f"there is no operation {operation}")
        return self._loop.operations[operation].spent

    def together(self):
        """For each operation the number of operations from there on that the threads of the last run do not wait between."""
        return [max(self._loop.operations[n].together, 1) if self._loop.crew.threads > 1 else 1 for n in range(self._loop.n_operations)]

    def clear(self, ptrdiff_t operation):
        """Forget what a recorder collected so far."""
        self._recorder(operation, (RECORD_VALUES, RECORD_RATE, RECORD_EVENTS)).used = 0

    def state(self):
        """The tick, and for each event its spikes in its steps before, the latest first: all that a delay can still deliver."""
        self._idle()
        self._whole()
        return {"step": self._loop.step, "events": [history(&self._loop.events[n], self._loop.step) for n in range(self._loop.n_events)]}

    def set_state(self, state):
        """Go on from a `state()`, of this driver or of one with the same events; spikes older than its longest delay are dropped."""
        self._idle()
        if len(state["events"]) != self._loop.n_events:
            raise ValueError(f"a state of {len(state['events'])} events does not fit a driver with {self._loop.n_events}")
        checked = [checked_history(&self._loop.events[<ptrdiff_t>n], lists) for n, lists in enumerate(state["events"])]
        if state["step"] < 0:
            raise ValueError(f"a step cannot be negative: {state['step']}")
        self._loop.step, self._loop.position = state["step"], 0
        for n, lists in enumerate(checked):
            set_history(&self._loop.events[<ptrdiff_t>n], self._loop.step, lists)

    def take_over(self, Driver other, ptrdiff_t operation):
        """Go on in the middle of the step in which `other`, a driver with the same events, called a function: behind this `operation`.

        Maps that run `after` a Deliver before it do so in this step in any case.
        """
        self._idle()
        cdef ptrdiff_t n
        if not 0 <= operation < self._loop.n_operations or other._loop.position == 0 or other._loop.n_events != self._loop.n_events:
            raise ValueError("a driver can take over from one with the same events that has called a function, behind an operation of its own")
        recent = [[spikes_in(&other._loop.events[n], own_step(other._loop.step, other._loop.events[n].every) - age) for age in range(other._loop.events[n].slots)]
                  for n in range(self._loop.n_events)]
        begins = [other._loop.step % other._loop.events[n].every == 0 for n in range(self._loop.n_events)]
        self.set_state({"step": other._loop.step, "events": [lists[1:] if first else lists for lists, first in zip(recent, begins)]})
        for n in range(self._loop.n_events):
            if begins[n]:
                put_spikes(&self._loop.events[n], own_step(self._loop.step, self._loop.events[n].every), recent[n][0])
        for n in range(operation):
            self._loop.operations[n].active, self._loop.operations[n].load = True, INT64_MAX // 16
        self._loop.position = operation + 1

    # -------------------------------------------------------------------------------------------------------------------------------- private
    cdef int _idle(self) except -1:
        if self._running:
            raise RuntimeError("the driver is running")
        return 0

    cdef int _whole(self) except -1:
        if self._loop.position:
            raise RuntimeError("a step is under way: run it to its end first")
        return 0

    cdef void *_pointer(self, array, str letter, ptrdiff_t least) except? NULL:
        """The memory of an array of at least so many values, which the driver keeps alive; NULL for None."""
        if array is None:
            return NULL
        address = address_of(array, letter)
        if array.size < least:
            raise ValueError(f"an array of {array.size} values is too small: {least} are needed")
        self._keep.append(array)
        return <void *><uintptr_t>address

    cdef ptrdiff_t _event(self, event) except -1:
        if not 0 <= event < self._loop.n_events:
            raise ValueError(f"there is no event {event}")
        return event

    cdef object _range(self, ptrdiff_t number, sources):
        first, stop = (0, self._loop.events[number].size) if sources is None else sources
        if not 0 <= first <= stop <= self._loop.events[number].size:
            raise ValueError(f"sources {first} to {stop} are not among the {self._loop.events[number].size} elements of the event")
        return first, stop

    cdef Operation *_recorder(self, ptrdiff_t number, kinds) except NULL:
        self._idle()
        if not 0 <= number < self._loop.n_operations or self._loop.operations[number].kind not in kinds:
            raise ValueError(f"operation {number} is no such recorder")
        return &self._loop.operations[number]

    cdef Operation *_new(self, int kind, int64_t every) except NULL:
        """The next operation, which counts only once `_finish` was called."""
        self._idle()
        check_positive(every, "every")
        self._whole()
        self._loop.operations = <Operation *>grow(self._loop.operations, self._loop.n_operations + 1, sizeof(Operation))
        memset(&self._loop.operations[self._loop.n_operations], 0, sizeof(Operation))
        self._loop.operations[self._loop.n_operations].kind, self._loop.operations[self._loop.n_operations].every = kind, every
        return &self._loop.operations[self._loop.n_operations]

    cdef ptrdiff_t _finish(self):
        self._loop.n_operations += 1
        return self._loop.n_operations - 1

    cdef int _edges(self, Operation *op, written) except -1:
        """Room for what lies around a part of the elements in the arrays that a Map writes."""
        op.edges = <char **>copy_of([array.ctypes.data for array in written])
        op.edge_sizes = <size_t *>copy_of([array.itemsize for array in written])
        op.kept = <char *>calloc(len(written), 2 * BLOCK * 8)
        if op.kept == NULL:
            raise MemoryError()
        op.n_edges = len(written)
        return 0

    cdef int _after(self, Operation *op, after, windows) except -1:
        if len(windows) != len(after):
            raise ValueError(f"{len(windows)} windows do not fit {len(after)} operations")
        for other in after:
            if not 0 <= other < self._loop.n_operations or self._loop.operations[<ptrdiff_t>other].kind != DELIVER:
                raise ValueError(f"operation {other} is not a Deliver before this Map")
        op.after, op.n_after = <ptrdiff_t *>copy_of(after), len(after)
        op.windows = <int64_t *>copy_of(windows)
        return 0

    cdef int _kernel(self, Operation *op, kernel, arrays, dict least) except -1:
        """Check the arrays of a kernel, and fill its table of pointers."""
        addresses = addresses_of(kernel, arrays, least)
        op.function = <KernelFunction><uintptr_t>kernel.address
        op.pointers = <void **>copy_of(addresses)
        self._keep.append(tuple(["arrays", *arrays, kernel]))
        self._touches[self._loop.n_operations] = [(address, array.itemsize, array.nbytes, token) for address, array, token in zip(addresses, arrays, kernel.signature.split()[1:])]
        return 0

    def _hire(self, int threads):
        """Start helper threads, if there is something that is worth them."""
        self._dismiss()  # whom an interrupt left behind
        crew = &self._loop.crew
        crew.shared_from = SHARED_FROM
        crew.threads = threads if has_threads and threads > 1 and self._worth(threads) else 1
        crew.generation = crew.remaining = crew.stop = 0
        crew.claimed = <int64_t *>grow(crew.claimed, 8 * crew.threads, sizeof(int64_t))
        memset(crew.claimed, 0, 8 * crew.threads * sizeof(int64_t))
        for part in range(1, crew.threads):
            worker = threading.Thread(target=self._work, args=(part,), daemon=True)
            self._workers.append(worker)
            worker.start()

    cdef bint _worth(self, int threads) except -1:
        """Whether so many threads have something to share; what they run together is planned."""
        cdef Operation *op
        cdef ptrdiff_t n, k
        cdef double total
        if self._planned != (threads, self._loop.n_operations):
            plan(&self._loop, [self._touches.get(number) for number in range(self._loop.n_operations)], threads)
            self._planned = threads, self._loop.n_operations
        for n in range(self._loop.n_operations):
            op = &self._loop.operations[n]
            total = 0
            for k in range(n, n + max(op.together, 1)):
                total += (self._loop.operations[k].stop - self._loop.operations[k].first) * self._loop.operations[k].cost if self._loop.operations[k].parallel else 0
            if op.parts > 1 or total >= SHARED_FROM:
                return True
        return False

    def _dismiss(self):
        """Stop the helper threads, and wait until they are gone."""
        store_release(&self._loop.crew.stop, 1)
        while self._workers:
            if self._workers[len(self._workers) - 1].ident is not None:
                self._workers[len(self._workers) - 1].join()
            self._workers.pop()

    def _work(self, int64_t part):
        with nogil:
            work(&self._loop, part)
