# cython: language_level=3, cdivision=True
"""Operations that copy: from arrays and events into records, and from tables into arrays and events."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy

from ._operations cimport DONE, FULL, NO_MEMORY, RECORD_RATE, Event, Loop, Operation, own_step
from ._spikes cimport position, reserve


cdef inline int record_row(Loop *loop, Operation *op) noexcept nogil:
    cdef char *row
    cdef ptrdiff_t n
    cdef Event *event
    if op.used >= op.capacity:
        return FULL
    row = op.values + <size_t>op.used * op.width * op.itemsize
    if op.kind == RECORD_RATE:
        event = &loop.events[op.event]
        n = (own_step(loop.step, op.every) - op.late + event.slots) % event.slots
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
    op.steps[op.used] = own_step(loop.step, op.every)
    op.used += 1
    return DONE


cdef inline bint grow_events(Operation *op, int64_t needed) noexcept nogil:
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


cdef inline int record_events(Loop *loop, Operation *op) noexcept nogil:
    cdef Event *event = &loop.events[op.event]
    cdef ptrdiff_t slot = (own_step(loop.step, op.every) - op.late + event.slots) % event.slots, n, k, element, count = event.counts[slot]
    cdef const int32_t *spikes = event.lists[slot]
    cdef ptrdiff_t begin = 0 if op.first == 0 else position(spikes, count, op.first)
    if op.stop < event.size:
        count = position(spikes, count, op.stop)
    if count > begin and op.store and op.used + count - begin > op.capacity and not grow_events(op, op.used + count - begin):
        return NO_MEMORY
    for n in range(begin, count):
        element = spikes[n] - op.first
        if op.counts != NULL:
            op.counts[element] += 1
        if not op.store or (op.selected != NULL and not op.selected[element]):
            continue
        op.indices[op.used] = <int32_t>element
        op.steps[op.used] = own_step(loop.step, op.every)
        for k in range(op.n_gathered):
            memcpy(op.gathered_values[k] + op.used * op.gathered_sizes[k], op.gathered[k] + spikes[n] * op.gathered_sizes[k], op.gathered_sizes[k])
        op.used += 1
    return DONE


cdef inline int table_events(Loop *loop, Operation *op) noexcept nogil:
    cdef Event *event = &loop.events[op.event]
    cdef int64_t step = own_step(loop.step, op.every)
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


cdef inline int table_values(Loop *loop, Operation *op) noexcept nogil:
    cdef int64_t row = own_step(loop.step, op.every) - op.first_step
    row = 0 if row < 0 else min(row // op.steps_per_row, op.rows - 1)
    memcpy(op.array, op.values + row * op.itemsize, op.itemsize)
    return DONE
