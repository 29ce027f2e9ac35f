# cython: language_level=3, cdivision=True
"""The loop over steps and operations."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport INT64_MAX, int64_t, uint64_t

from ._arrivals cimport gather, touch
from ._operations cimport CALLED, CHUNK, COLLECT, DELIVER, DONE, LISTS, MAP, NO_MEMORY, RECORD_EVENTS, RECORD_RATE, RECORD_VALUES, RUN, SPARSE_MAP, STOPPED, SYNAPSE, TABLE_EVENTS, TABLE_VALUES
from ._operations cimport Event, KernelContext, Loop, Operation, own_step, seconds_now
from ._records cimport record_events, record_row, table_events, table_values
from ._spikes cimport position, scan
from ._threads cimport deliver_parts, run_blocks, run_share, share

cdef inline bint ran(Loop *loop, Operation *op) noexcept nogil:
    """Whether a Deliver reached anything in this step."""
    return op.active and (op.every == 1 or loop.step % op.every == 0)


cdef inline bint wanted(Loop *loop, Operation *op) noexcept nogil:
    """Whether any of the operations after which this one runs did something."""
    cdef ptrdiff_t n
    if op.n_after == 0:
        return True
    for n in range(op.n_after):
        if ran(loop, &loop.operations[op.after[n]]):
            return True
    return False


cdef inline bint few(Loop *loop, Operation *op) noexcept nogil:
    """Whether so little arrived that going through it again costs less than going through all elements."""
    cdef ptrdiff_t n
    cdef int64_t total = 0
    for n in range(op.n_after):
        if ran(loop, &loop.operations[op.after[n]]):
            total += loop.operations[op.after[n]].load
    return total * 8 < op.stop - op.first


cdef inline int run_touched(Loop *loop, Operation *op) noexcept nogil:
    """Add what arrived where something did: a second time at one element it adds nothing."""
    cdef ptrdiff_t n
    cdef Operation *other
    cdef KernelContext context = op.context
    op.used = 0
    for n in range(op.n_after):
        other = &loop.operations[op.after[n]]
        if ran(loop, other) and not touch(other, op, op.windows[n]):
            return NO_MEMORY
    context.spikes, context.begin, context.end = op.touched, 0, op.used
    op.sparse(op.pointers, &context)
    return DONE


cdef inline int find_events(Loop *loop, Operation *op) noexcept nogil:
    """List the elements that a Map has marked."""
    cdef ptrdiff_t n
    cdef Event *event
    for n in range(op.n_events):
        event = &loop.events[op.events[n]]
        if not scan(event, own_step(loop.step, event.every) % event.slots):
            return NO_MEMORY
    return DONE


cdef inline int run_map(Loop *loop, Operation *op) noexcept nogil:
    if op.first == op.stop or not wanted(loop, op):
        return DONE
    op.context.step = <uint64_t>(own_step(loop.step, op.every))
    if op.sparse != NULL and few(loop, op):
        return run_touched(loop, op)
    if op.parallel and loop.crew.threads > 1 and (op.stop - op.first) * op.cost >= loop.crew.shared_from:
        op.due = True
        share(loop, RUN, op, 1)
    else:
        run_blocks(op, 0, 1)
    return find_events(loop, op)


cdef inline int run_sparse_map(Loop *loop, Operation *op) noexcept nogil:
    cdef Event *event = &loop.events[op.event]
    cdef ptrdiff_t slot = (own_step(loop.step, op.every) - op.late + event.slots) % event.slots
    if event.counts[slot] and wanted(loop, op):
        op.context.step = <uint64_t>(own_step(loop.step, op.every))
        op.context.spikes = event.lists[slot]
        op.context.begin = 0 if op.first == 0 else position(event.lists[slot], event.counts[slot], op.first)
        op.context.end = event.counts[slot] if op.stop >= event.size else position(event.lists[slot], event.counts[slot], op.stop)
        op.function(op.pointers, &op.context)
    return DONE


cdef inline int run_deliver(Loop *loop, Operation *op) noexcept nogil:
    gather(loop, op)
    if op.failed:
        return NO_MEMORY
    if not op.active:
        return DONE
    if op.parts > 1 and loop.crew.threads > 1 and op.load * SYNAPSE >= loop.crew.shared_from:
        op.due = True
        share(loop, RUN, op, 1)
    else:
        deliver_parts(op, 0, op.parts)
    return DONE


cdef inline int run_due(Loop *loop, Operation *first, ptrdiff_t count) noexcept nogil:
    """Those of some operations that are due, each thread its share of all of them."""
    cdef ptrdiff_t n
    cdef double total = 0
    for n in range(count):
        if first[n].due:
            total += first[n].load * <double>SYNAPSE if first[n].kind == DELIVER else (first[n].stop - first[n].first) * first[n].cost
    if total >= loop.crew.shared_from:
        share(loop, RUN, first, count)
    else:
        for n in range(count):
            if first[n].due:
                run_share(&first[n], 0, 1)
    for n in range(count):
        if first[n].due and first[n].n_events and find_events(loop, &first[n]) != DONE:
            return NO_MEMORY
    return DONE


cdef inline int run_together(Loop *loop, Operation *first, ptrdiff_t count) noexcept nogil:
    """Operations between which no thread has to wait for another, as `_plan` has found."""
    cdef Operation *op
    cdef ptrdiff_t n, begin = 0
    if first.lists >= LISTS:
        share(loop, COLLECT, first, count)
    else:
        for n in range(count):
            if first[n].kind == DELIVER:
                gather(loop, &first[n])
    for n in range(count):
        op = &first[n]
        if op.kind == DELIVER:
            if op.failed:
                return NO_MEMORY
            op.due = op.active
            continue
        op.due = op.first < op.stop and wanted(loop, op)
        op.context.step = <uint64_t>(own_step(loop.step, op.every))
        if op.due and op.sparse != NULL and few(loop, op):
            if run_due(loop, first + begin, n - begin) != DONE or run_touched(loop, op) != DONE:
                return NO_MEMORY
            begin = n + 1
    return run_due(loop, first + begin, count - begin)


cdef inline int execute(Loop *loop, Operation *op) noexcept nogil:
    if op.kind == MAP:
        return run_map(loop, op)
    if op.kind == SPARSE_MAP:
        return run_sparse_map(loop, op)
    if op.kind == DELIVER:
        return run_deliver(loop, op)
    if op.kind == RECORD_VALUES or op.kind == RECORD_RATE:
        return record_row(loop, op)
    if op.kind == RECORD_EVENTS:
        return record_events(loop, op)
    if op.kind == TABLE_EVENTS:
        return table_events(loop, op)
    if op.kind == TABLE_VALUES:
        return table_values(loop, op)
    return CALLED


cdef inline void write_clocks(Loop *loop) noexcept nogil:
    """Every clock shows the step that begins now, or the next one."""
    cdef ptrdiff_t n
    cdef int64_t number
    for n in range(loop.n_clocks):
        number = (loop.step + loop.clocks[n].every - 1) // loop.clocks[n].every
        if loop.clocks[n].t != NULL:
            loop.clocks[n].t[0] = number * loop.clocks[n].dt
        if loop.clocks[n].timestep != NULL:
            loop.clocks[n].timestep[0] = number


cdef inline int64_t following(Loop *loop, int64_t tick) noexcept nogil:
    """The first tick from this one on at which a clock begins a step."""
    cdef int64_t first = INT64_MAX, every
    cdef ptrdiff_t n
    for n in range(loop.n_clocks):
        every = loop.clocks[n].every
        if every == 1:
            return tick
        first = min(first, (tick + every - 1) // every * every)
    return tick if first == INT64_MAX else first


cdef inline void begin_step(Loop *loop) noexcept nogil:
    cdef ptrdiff_t n
    write_clocks(loop)
    for n in range(loop.n_events):
        if loop.events[n].every == 1 or loop.step % loop.events[n].every == 0:
            loop.events[n].counts[own_step(loop.step, loop.events[n].every) % loop.events[n].slots] = 0


cdef inline bint late_by_now(Loop *loop, double limit) noexcept nogil:
    """Whether it is time to return. To look at a clock takes half as long as a step of a small network does: only every 0.1 ms or so."""
    cdef double now
    loop.unseen -= 1
    if loop.unseen > 0:
        return False
    now = seconds_now()
    loop.looking = min(2 * loop.looking, 1024) if now - loop.looked < 5e-5 else loop.looking // 2
    loop.looking = max(loop.looking, 1)
    loop.unseen, loop.looked = loop.looking, now
    return now >= limit


cdef inline int advance(Loop *loop, int64_t target, double limit) noexcept nogil:
    """Steps until `target`, or until something needs the interpreter."""
    cdef Operation *op
    cdef double began
    cdef int code
    cdef ptrdiff_t count
    while True:
        if loop.position == 0:
            if loop.step >= target:
                write_clocks(loop)
                return DONE
            begin_step(loop)
        while loop.position < loop.n_operations:
            op = &loop.operations[loop.position]
            if op.every == 1 or loop.step % op.every == 0:
                began = seconds_now() if loop.profiling else 0.0
                if op.together > 1 and not loop.profiling:
                    count, code = op.together, run_together(loop, op, op.together)
                else:
                    count, code = 1, execute(loop, op)
                if loop.profiling:
                    op.spent += seconds_now() - began
                if code == CALLED:
                    loop.blocked = loop.position
                    loop.position += 1
                    return CALLED
                if code != DONE:
                    return code
                loop.position += count
            else:
                loop.position += 1
        loop.position = 0
        loop.step = min(following(loop, loop.step + 1), target)
        if loop.stop:
            write_clocks(loop)
            return STOPPED
        if loop.step < target and late_by_now(loop, limit):
            return CHUNK
