# cython: language_level=3, cdivision=True
"""Which spikes arrive in a step, and which elements they reach."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint16_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memmove

from ._operations cimport Event, Loop, Operation, own_step
from ._spikes cimport position


cdef inline bint collect(Operation *op, Event *event, int64_t step) noexcept nogil:
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


cdef inline void gather(Loop *loop, Operation *op) noexcept nogil:
    """What arrives at a Deliver in this step, and about how many synapses that reaches."""
    cdef int64_t step = own_step(loop.step, op.every)
    op.context.step = <uint64_t>step
    op.failed = not collect(op, &loop.events[op.event], step)
    op.active, op.load = op.context.end > 0, <int64_t>(op.context.end * op.row_length)


cdef inline bint touch(Operation *op, Operation *target, int64_t window) noexcept nogil:
    """Append the elements of `target` that a Deliver reached in this step to its list; False if there is no memory."""
    cdef ptrdiff_t spike, part, row
    cdef int64_t synapse, count, reached, used = target.used
    cdef bint inside = window == 0 and op.reach <= target.context.size
    cdef int32_t base
    cdef const uint16_t *ends
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
            if inside and op.context.narrow:  # in vectors
                base, count = <int32_t>op.bases[part], rows[row + 1] - rows[row]
                new, ends = target.touched + used, narrow + rows[row]
                for synapse in range(count):
                    new[synapse] = base + ends[synapse]
                used += count
                continue
            for synapse in range(rows[row], rows[row + 1]):
                reached = op.bases[part] + (narrow[synapse] if op.context.narrow else wide[synapse]) - window
                if 0 <= reached < target.context.size:
                    target.touched[used] = <int32_t>reached
                    used += 1
    target.used = used
    return True
