# cython: language_level=3, cdivision=True
"""What the driver walks through: events, clocks and operations, as C structures."""

from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

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
    int claim(int64_t *claimed, int64_t generation)
    void relax(int64_t spins)
    void rest(int64_t spins)
    double seconds_now()
    bint any_byte(const uint8_t *bytes)
    uint64_t set_of_64(const uint8_t *bytes)
    int lowest_bit(uint64_t bits)
    int HAS_THREADS, BYTES_AT_ONCE

ctypedef int (*KernelFunction)(void **, KernelContext *) noexcept nogil

cdef enum:
    MAP = 0, SPARSE_MAP, DELIVER, RECORD_VALUES, RECORD_EVENTS, RECORD_RATE, TABLE_EVENTS, TABLE_VALUES, CALL
    DONE, CHUNK, CALLED, NO_MEMORY, FULL, STOPPED
    LISTS = 32                   # of spikes, from which on threads share the search for those that arrive
    COLLECT = 0, RUN                 # tasks of threads
    SYNAPSE = 1                  # nanoseconds that a synapse takes, about

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
    ptrdiff_t n_edges            # of a Map for part of the elements: the arrays that it writes, if blocks reach beyond the part
    char **edges                 # these arrays
    size_t *edge_sizes
    char *kept                   # their values just before and behind the part
    ptrdiff_t together           # how many operations from this one on threads can run without waiting for each other
    ptrdiff_t lists              # of spikes that these have to look at in a step
    bint due                     # one of these, with something to do in this step
    ptrdiff_t n_cuts
    int64_t *cuts                # of a Map: the first element of each thread, and the end
    bint failed                  # of a Deliver: no memory for what arrives
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
    ptrdiff_t reach              # the last of these neurons that synapses reach + 1, or where the last part begins
    char far                     # the letter in signatures for what they have
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
    double shared_from           # nanoseconds that operations take, about; below this, waiting for each other costs more than it saves
    int64_t *claimed             # for each thread, a cache line apart: the last generation of which somebody has begun its part
    int task
    Operation *first             # what it is about
    ptrdiff_t count

cdef struct Loop:
    Event *events
    ptrdiff_t n_events
    Clock *clocks
    ptrdiff_t n_clocks
    Operation *operations
    ptrdiff_t n_operations
    ptrdiff_t position           # the operation that comes next; 0: a new step begins
    int64_t step                 # the tick under way, or the next one
    int64_t blocked              # the operation that stopped the loop
    bint stop                    # end with the step under way
    bint profiling
    double looked                # when somebody last looked at the time,
    int64_t looking, unseen      # after how many steps somebody looks again, and how many of them are left
    Crew crew


cdef inline int64_t own_step(int64_t tick, int64_t every) noexcept nogil:
    """The step of a clock at a tick."""
    return tick if every == 1 else tick // every
