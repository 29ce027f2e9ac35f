# Memory that belongs to a loop: how it grows, what it remembers of events, and how it is freed.

cdef void *grow(void *old, ptrdiff_t count, size_t size) except NULL:
    cdef void *new = realloc(old, count * size)
    if new == NULL:
        raise MemoryError()
    return new


cdef void *copy_of(values) except? NULL:
    """Integers of 8 bytes (addresses, indices) as a C array that belongs to the caller."""
    cdef ptrdiff_t n
    cdef int64_t *new
    if not len(values):
        return NULL
    new = <int64_t *>calloc(len(values), 8)
    if new == NULL:
        raise MemoryError()
    for n, value in enumerate(values):
        new[n] = <int64_t><uint64_t>value
    return new


cdef object copied(const void *source, size_t size):
    """Bytes of the driver as a numpy array of its own."""
    new = np.empty(size, np.uint8)
    if size:
        memcpy(<void *><uintptr_t>new.ctypes.data, source, size)
    return new


cdef void release(Loop *loop) noexcept:
    """Free what belongs to a loop."""
    cdef ptrdiff_t n, k
    cdef Operation *op
    for n in range(loop.n_events):
        for k in range(loop.events[n].slots):
            free(loop.events[n].lists[k])
        free(loop.events[n].lists)
        free(loop.events[n].counts)
        free(loop.events[n].capacities)
    for n in range(loop.n_operations):
        op = &loop.operations[n]
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
        free(op.edges)
        free(op.edge_sizes)
        free(op.kept)
        free(op.cuts)
        free(op.gathered)
        free(op.gathered_sizes)
        free(op.gathered_values)
    free(loop.events)
    free(loop.clocks)
    free(loop.operations)
    free(loop.crew.claimed)


cdef int64_t begun(Event *event, int64_t tick):
    """The steps of an event that began before a tick."""
    return (tick + event.every - 1) // event.every


cdef object spikes_in(Event *event, step):
    """The elements that fired in a step, as far back as the event remembers."""
    cdef ptrdiff_t slot = step % <object>event.slots
    return copied(event.lists[slot], event.counts[slot] * 4).view(np.int32)


cdef int put_spikes(Event *event, step, spikes) except -1:
    """Let these elements be those that fired in a step."""
    cdef ptrdiff_t slot = step % <object>event.slots
    if not reserve(event, slot, len(spikes)):
        raise MemoryError("no memory for spikes")
    if len(spikes):
        memcpy(event.lists[slot], <void *><uintptr_t>spikes.ctypes.data, len(spikes) * sizeof(int32_t))
    event.counts[slot] = len(spikes)
    return 0


cdef int lengthen(Event *event, int64_t tick, ptrdiff_t slots) except -1:
    """Let an event remember so many steps, the current one included, before a tick."""
    cdef ptrdiff_t old = event.slots
    if slots <= old:
        return 0
    past = [spikes_in(event, begun(event, tick) - age) for age in range(1, old + 1)]
    event.lists = <int32_t **>grow(event.lists, slots, sizeof(void *))
    event.counts = <int64_t *>grow(event.counts, slots, sizeof(int64_t))
    event.capacities = <int64_t *>grow(event.capacities, slots, sizeof(int64_t))
    memset(event.lists + old, 0, (slots - old) * sizeof(void *))
    memset(event.capacities + old, 0, (slots - old) * sizeof(int64_t))
    memset(event.counts, 0, slots * sizeof(int64_t))
    event.slots = slots
    for age, spikes in enumerate(past, 1):
        put_spikes(event, begun(event, tick) - age, spikes)
    return 0


cdef object history(Event *event, int64_t tick):
    """The spikes of each step that began before a tick, the latest first."""
    return [spikes_in(event, begun(event, tick) - age) for age in range(1, event.slots + 1)]


cdef object checked_history(Event *event, lists):
    """Such a history from outside, as far as an event remembers it."""
    lists = [np.ascontiguousarray(spikes, np.int32) for spikes in lists[:event.slots]]
    if any(len(s) and not (0 <= s.min() and s.max() < event.size and bool((s[1:] > s[:-1]).all())) for s in lists):
        raise ValueError("a state has a spike of an element that does not exist, or unsorted spikes")
    return lists


cdef int set_history(Event *event, int64_t tick, lists) except -1:
    """Let an event have such a history."""
    memset(event.counts, 0, event.slots * sizeof(int64_t))
    for age, spikes in enumerate(lists, 1):
        put_spikes(event, begun(event, tick) - age, spikes)
    return 0
