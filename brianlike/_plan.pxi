# Which operations threads run one after the other without waiting for each other.
#
# That is safe where no thread writes what another one reads or writes meanwhile: threads have elements of their own in Maps, and targets of their own in
# Delivers. Whether two operations agree about that is seen from the memory that they touch.

cdef struct Span:
    uintptr_t begin, end
    bint written
    ptrdiff_t thread             # that touches it; -1: any


cdef bint apart(Span *spans, ptrdiff_t old, ptrdiff_t total) noexcept nogil:
    """Whether the spans from `old` on leave alone what other threads touch in those before."""
    cdef ptrdiff_t n, k
    for n in range(old, total):
        for k in range(old):
            if not (spans[n].written or spans[k].written) or (spans[n].thread == spans[k].thread and spans[n].thread >= 0):
                continue
            if spans[n].begin < spans[k].end and spans[k].begin < spans[n].end:
                return False
    return True


cdef list touched_by(Operation *op, touches, int64_t threads):
    """(first byte, end, whether it is written, thread or -1) for what an operation touches."""
    cdef int64_t part
    found = []
    if op.kind == DELIVER:
        bounds = [op.bases[op.parts * part // threads] if op.parts * part // threads < op.parts else op.reach for part in range(threads + 1)]
        alone = op.parts == 1
    else:
        bounds = [share_begin(op, part, threads) for part in range(threads + 1)]
        alone = False
    for address, itemsize, size, token in touches:
        written, letters = token.endswith("!"), token[1:].rstrip("!")
        if alone:  # one thread does all of it
            found.append((address, address + size, written, threads - 1))
        elif letters != ("s" if op.kind == MAP else chr(op.far)):
            found.append((address, address + size, written, -1))
        else:
            own = enumerate(zip(bounds, bounds[1:]))
            found.extend((address + first * itemsize, address + stop * itemsize, written, thread) for thread, (first, stop) in own if first < stop)
    return found


cdef int plan(Loop *loop, list touches, int64_t threads) except -1:
    """Find the operations that so many threads run together."""
    cdef Operation *op
    cdef Span *spans = NULL
    cdef ptrdiff_t n, k, total = 0, room = 0, first = 0
    changed = set()
    try:
        for n in range(loop.n_operations):
            loop.operations[n].together, loop.operations[n].lists = 0, 0
        for n in range(loop.n_operations):
            op = &loop.operations[n]
            if not (op.kind == DELIVER or (op.kind == MAP and op.parallel)):
                total, first = 0, n + 1
                continue
            found = touched_by(op, touches[n], threads)
            if total + len(found) > room:
                room = 2 * (total + len(found))
                spans = <Span *>grow(spans, room, sizeof(Span))
            for k, (begin, end, written, thread) in enumerate(found):
                spans[total + k].begin, spans[total + k].end, spans[total + k].written, spans[total + k].thread = begin, end, written, thread
            reads = op.kind == DELIVER and op.event in changed
            if total and (reads or op.every != loop.operations[first].every or not apart(spans, total, total + len(found))):
                memmove(spans, spans + total, len(found) * sizeof(Span))
                total, first = 0, n
                changed.clear()
            if not total:
                changed.clear()
                first = n
            total += len(found)
            changed.update(op.events[k] for k in range(op.n_events))
            loop.operations[first].together = n + 1 - first
            loop.operations[first].lists += op.n_delays if op.kind == DELIVER else 0
    finally:
        free(spans)
    return 0
