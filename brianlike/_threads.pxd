# cython: language_level=3, cdivision=True
"""Operations that several threads share, and operations that they run one after the other without waiting for each other."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from ._arrivals cimport gather
from ._operations cimport COLLECT, DELIVER, Crew, KernelContext, Loop, Operation, add_release, claim, load_acquire, relax, rest, store_release


cdef inline void deliver_parts(Operation *op, ptrdiff_t first, ptrdiff_t stop) noexcept nogil:
    """Some of the parts of a Deliver."""
    cdef KernelContext context = op.context
    cdef ptrdiff_t part
    for part in range(first, stop):
        context.base, context.row = op.bases[part], part
        op.function(op.pointers, &context)


cdef inline int64_t share_begin(const Operation *op, int64_t part, int64_t parts) noexcept nogil:
    """The first element of a thread's share of a Map: as given where a division for so many threads is, otherwise of equal ones; whole blocks of 16."""
    cdef int64_t first = op.first // 16, stop = (op.stop + 15) // 16
    if op.n_cuts == parts + 1:
        return min(max(op.cuts[part], first * 16), stop * 16)
    return (first + (stop - first) * part // parts) * 16


cdef inline void keep_edges(Operation *op, const KernelContext *context, bint back) noexcept nogil:
    """Keep what a Map for part of the elements finds beyond the part in its first and last block, if they are among these, or put it back."""
    cdef ptrdiff_t n, edge, begin, end
    cdef char *place
    cdef char *kept
    for edge in range(2):
        begin, end = (op.stop, (op.stop + 15) // 16 * 16) if edge else (op.first // 16 * 16, op.first)
        if begin == end or not context.begin <= begin < context.end:
            continue
        for n in range(op.n_edges):
            place, kept = op.edges[n] + begin * op.edge_sizes[n], op.kept + (2 * n + edge) * 128
            if back:
                memcpy(place, kept, (end - begin) * op.edge_sizes[n])
            else:
                memcpy(kept, place, (end - begin) * op.edge_sizes[n])


cdef inline void run_blocks(Operation *op, int64_t part, int64_t parts) noexcept nogil:
    """A thread's share of the elements of a Map."""
    cdef KernelContext context = op.context
    context.begin, context.end = share_begin(op, part, parts), share_begin(op, part + 1, parts)
    if context.begin >= context.end:
        return
    if op.n_edges:
        keep_edges(op, &context, False)
    op.function(op.pointers, &context)
    if op.n_edges:
        keep_edges(op, &context, True)


cdef inline void run_share(Operation *op, int64_t part, int64_t parts) noexcept nogil:
    """One thread's share of an operation."""
    if op.kind == DELIVER:
        deliver_parts(op, op.parts * part // parts, op.parts * (part + 1) // parts)
    else:
        run_blocks(op, part, parts)


cdef inline void run_part(Loop *loop, int64_t part) noexcept nogil:
    """One thread's share of what is to be done now."""
    cdef Crew *crew = &loop.crew
    cdef ptrdiff_t n
    cdef int64_t delivers = 0
    if crew.task == COLLECT:
        for n in range(crew.count):
            if crew.first[n].kind == DELIVER:
                if delivers % crew.threads == part:
                    gather(loop, &crew.first[n])
                delivers += 1
        return
    for n in range(crew.count):
        if crew.first[n].due:
            run_share(&crew.first[n], part, crew.threads)


cdef inline void work(Loop *loop, int64_t part) noexcept nogil:
    """A helper thread: wait for something to do, and do a part of it unless somebody else does, until told to stop."""
    cdef Crew *crew = &loop.crew
    cdef int64_t seen = 0, now
    cdef int64_t spins
    while True:
        spins = 0
        now = load_acquire(&crew.generation)
        while now == seen:
            if load_acquire(&crew.stop):
                return
            rest(spins)
            spins += 1
            now = load_acquire(&crew.generation)
        seen = now
        if claim(&crew.claimed[8 * part], now):
            run_part(loop, part)
            add_release(&crew.remaining, -1)


cdef inline void share(Loop *loop, int task, Operation *first, ptrdiff_t count) noexcept nogil:
    """Let all threads do their parts of a task; those that nobody has begun are done here, too, so nobody waits for a thread that is not running."""
    cdef Crew *crew = &loop.crew
    cdef int64_t part, now
    cdef int64_t spins = 0
    crew.task, crew.first, crew.count = task, first, count
    store_release(&crew.remaining, crew.threads - 1)
    now = add_release(&crew.generation, 1)
    run_part(loop, 0)
    for part in range(1, crew.threads):
        if claim(&crew.claimed[8 * part], now):
            run_part(loop, part)
            add_release(&crew.remaining, -1)
    while load_acquire(&crew.remaining) > 0:
        relax(spins)
        spins += 1
