# cython: language_level=3, cdivision=True
"""Operations that several threads share."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from ._operations cimport DELIVER, Crew, KernelContext, Operation, add_release, load_acquire, relax, store_release


cdef inline void deliver_parts(Operation *op, ptrdiff_t first, ptrdiff_t stop) noexcept nogil:
    """Some of the parts of a Deliver."""
    cdef KernelContext context = op.context
    cdef ptrdiff_t part
    for part in range(first, stop):
        context.base, context.row = op.bases[part], part
        op.function(op.pointers, &context)


cdef inline void run_blocks(Operation *op, int64_t part, int64_t parts) noexcept nogil:
    cdef KernelContext context = op.context
    cdef int64_t first = op.first // 16, blocks = (op.stop + 15) // 16 - first
    context.begin = (first + blocks * part // parts) * 16
    context.end = (first + blocks * (part + 1) // parts) * 16
    op.function(op.pointers, &context)


cdef inline void keep_edges(Operation *op, bint back) noexcept nogil:
    """Keep what a Map for part of the elements finds in its first and last block beyond the part, or put it back."""
    cdef ptrdiff_t n, edge, begin, end
    cdef char *place
    cdef char *kept = op.kept
    for n in range(op.n_edges):
        for edge in range(2):
            begin, end = (op.stop, (op.stop + 15) // 16 * 16) if edge else (op.first // 16 * 16, op.first)
            place = op.edges[n] + begin * op.edge_sizes[n]
            if back:
                memcpy(place, kept, (end - begin) * op.edge_sizes[n])
            else:
                memcpy(kept, place, (end - begin) * op.edge_sizes[n])
            kept += (end - begin) * op.edge_sizes[n]


cdef inline void run_part(Crew *crew, int64_t part, int64_t parts) noexcept nogil:
    """One thread's share of an operation: blocks of a Map over all elements, or parts of a Deliver."""
    cdef Operation *op = crew.operation
    if op.kind == DELIVER:
        deliver_parts(op, op.parts * part // parts, op.parts * (part + 1) // parts)
    else:
        run_blocks(op, part, parts)


cdef inline void work(Crew *crew, int64_t part) noexcept nogil:
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


cdef inline void share(Crew *crew, Operation *op) noexcept nogil:
    """Run an operation with all threads."""
    cdef int spins = 0
    crew.operation = op
    store_release(&crew.remaining, crew.threads - 1)
    add_release(&crew.generation, 1)
    run_part(crew, 0, crew.threads)
    while load_acquire(&crew.remaining) > 0:
        relax(spins)
        spins += 1
