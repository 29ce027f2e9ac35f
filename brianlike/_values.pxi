# Loops over arrays that have nothing to do with the driver.

def philox_words(uint32_t seed, uint32_t epoch, uint32_t step, elements, uint32_t stream, uint32_t last):
    """The four words of Philox4x32-10, as uint64, for each of `elements` (uint64): what `randomness.philox` gives, in one pass."""
    elements = np.ascontiguousarray(elements, np.uint64)
    words = np.empty((4, elements.size), np.uint64)
    cdef ptrdiff_t n, size = elements.size
    cdef const uint64_t *element = <const uint64_t *><uintptr_t>elements.ctypes.data
    cdef uint64_t *word = <uint64_t *><uintptr_t>words.ctypes.data
    cdef uint32_t a, b, c, d, k, m
    cdef uint64_t p, q
    cdef int turn
    with nogil:
        for n in range(size):
            a, b, c, d, k, m = step, <uint32_t>element[n], stream, last, seed, epoch
            for turn in range(10):
                p, q = <uint64_t>0xD2511F53u * a, <uint64_t>0xCD9E8D57u * c
                a, b, c, d = <uint32_t>(q >> 32) ^ b ^ k, <uint32_t>q, <uint32_t>(p >> 32) ^ d ^ m, <uint32_t>p
                k, m = k + <uint32_t>0x9E3779B9u, m + <uint32_t>0xBB67AE85u
            word[n], word[size + n], word[2 * size + n], word[3 * size + n] = a, b, c, d
    return words[0], words[1], words[2], words[3]


def instances(values, kind):
    """Those of `values` that are of a class or of one derived from it, as far as inheritance goes; among thousands of others they are found in no time."""
    return [value for value in values if PyObject_TypeCheck(value, <PyTypeObject *>kind)]


def within(array, double limit):
    """Whether all values are between -limit and limit; NaN is not."""
    cdef const double *doubles
    cdef const float *floats
    cdef ptrdiff_t n, k, size = array.size
    cdef int64_t inside
    kind = array.dtype.char
    if kind not in "df" or not array.flags.c_contiguous:
        return bool((np.abs(array) < limit).all())
    if kind == "d":
        doubles = <const double *><uintptr_t>array.ctypes.data
        with nogil:
            for n in range(0, size, 4096):
                inside = 1
                for k in range(n, min(n + 4096, size)):
                    inside &= (doubles[k] < limit) & (doubles[k] > -limit)
                if not inside:
                    break
            else:
                inside = 1
    else:
        floats = <const float *><uintptr_t>array.ctypes.data
        with nogil:
            for n in range(0, size, 4096):
                inside = 1
                for k in range(n, min(n + 4096, size)):
                    inside &= (floats[k] < limit) & (floats[k] > -limit)
                if not inside:
                    break
            else:
                inside = 1
    return bool(inside)
