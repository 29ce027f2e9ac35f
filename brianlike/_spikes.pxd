# cython: language_level=3, cdivision=True
"""Lists of the elements that fired, one for each step of history."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy, memset

from ._operations cimport BYTES_AT_ONCE, Event, any_byte, lowest_bit, set_of_64


cdef inline bint reserve(Event *event, ptrdiff_t slot, int64_t count) noexcept nogil:
    """Room for `count` spikes in a slot; False if there is no memory."""
    cdef int64_t capacity = event.capacities[slot]
    cdef int32_t *new
    if count <= capacity:
        return True
    capacity = min(max(count, 2 * capacity, 64), max(<int64_t>event.size, count))
    new = <int32_t *>realloc(event.lists[slot], capacity * sizeof(int32_t))
    if new == NULL:
        return False
    event.lists[slot] = new
    event.capacities[slot] = capacity
    return True


cdef inline bint scan(Event *event, ptrdiff_t slot) noexcept nogil:
    """The list of the elements whose byte in the mask is set."""
    cdef ptrdiff_t n = 0, size = event.size
    cdef int64_t count = 0
    cdef uint64_t bits
    cdef uint8_t last[64]
    cdef int32_t *spikes
    while n < size:
        if n + BYTES_AT_ONCE <= size and not any_byte(event.mask + n):
            n += BYTES_AT_ONCE
            continue
        if n + 64 <= size:
            bits = set_of_64(event.mask + n)
        else:
            memset(last, 0, 64)
            memcpy(last, event.mask + n, size - n)
            bits = set_of_64(last)
        if bits:
            if not reserve(event, slot, count + 64):
                return False
            spikes = event.lists[slot]
            while bits:
                spikes[count] = <int32_t>(n + lowest_bit(bits))
                count += 1
                bits &= bits - 1
        n += 64
    event.counts[slot] = count
    return True


cdef inline ptrdiff_t position(const int32_t *spikes, ptrdiff_t count, ptrdiff_t value) noexcept nogil:
    """The first position in ascending `spikes` that holds `value` or more."""
    cdef ptrdiff_t low = 0, high = count, middle
    while low < high:
        middle = (low + high) // 2
        if spikes[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low
