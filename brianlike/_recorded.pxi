# What recorders have collected: room for it, and its way into numpy arrays.

cdef int reserve_rows(Loop *loop, int64_t steps) except -1:
    """Memory for the rows that a run of so many steps will record."""
    cdef ptrdiff_t n
    cdef Operation *op
    cdef int64_t capacity
    cdef void *new
    for n in range(loop.n_operations):
        op = &loop.operations[n]
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


cdef class _Memory:
    """Memory of the driver that has become numpy's."""

    cdef char *_data
    cdef Py_ssize_t _size

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self._data, self._size, 0, flags)

    def __dealloc__(self):
        free(self._data)


cdef object bytes_of(char **place, size_t size, bint give):
    """The bytes in memory of the driver as a numpy array: a copy, or if there are many and the driver gives them away, the memory itself."""
    cdef _Memory memory
    cdef void *exact
    if not give or size < HANDED_OVER:
        return copied(place[0], size)
    exact = realloc(place[0], size)  # what was reserved in advance goes back
    memory = _Memory()
    memory._data, memory._size = place[0] if exact == NULL else <char *>exact, size
    place[0] = NULL
    return np.frombuffer(memory, np.uint8)


cdef object recorded(Operation *op, kept, bint give):
    """What a recorder collected so far, as copies; or if it gives it away, it has nothing left. `kept`: the type of its values, or the arrays that it gathers."""
    cdef ptrdiff_t k
    cdef int64_t used = op.used
    steps = bytes_of(<char **>&op.steps, used * 8, give).view(np.int64)
    if op.kind == RECORD_EVENTS:
        gathered = []
        for k, array in enumerate(kept):
            gathered.append(bytes_of(&op.gathered_values[k], used * op.gathered_sizes[k], give).view(array.dtype))
        found = bytes_of(<char **>&op.indices, used * 4, give).view(np.int32), steps, gathered
    else:
        values = bytes_of(&op.values, used * op.width * op.itemsize, give)
        found = steps, values.view(kept).reshape(used, op.width) if op.kind == RECORD_VALUES else values.view(np.int64)
    if give:
        op.used = 0
        if used * max(op.width * op.itemsize, 8) >= HANDED_OVER:
            op.capacity = 0
    return found
