# What the driver refuses: arrays, tables and rows that compiled code must not touch.

def check_positive(value, name):
    """Refuse what is below 1."""
    if value < 1:
        raise ValueError(f"{name} must be 1 or more, not {value}")


def check_cuts(cuts, padded):
    """Refuse a division of so many elements among threads that leaves some out, or takes a block of 16 apart."""
    if len(cuts) and (cuts[0] != 0 or cuts[len(cuts) - 1] != padded or any(cut % BLOCK or cut > after for cut, after in zip(cuts, [*cuts[1:], padded]))):
        raise ValueError(f"cuts {tuple(cuts)} do not divide {padded} elements into blocks of {BLOCK}")


def lateness(late):
    """`late`, if it is 0 or 1."""
    if late not in (0, 1):
        raise ValueError(f"late is 0 or 1, not {late!r}")
    return late


def letter_of(array):
    """The letter of an array's type."""
    letters = {"f8": "d", "f4": "f", "i4": "i", "i8": "q", "u1": "B", "b1": "B"}
    kind = f"{array.dtype.kind}{array.dtype.itemsize}"
    if kind not in letters:
        raise TypeError(f"an array of type {array.dtype} is not one that the driver knows")
    return letters[kind]


def address_of(array, str letter):
    """The address of an array, after a check of its type and layout."""
    kinds = {"d": ("f8",), "f": ("f4",), "i": ("i4",), "q": ("i8",), "B": ("u1", "b1"), "H": ("u2",)}[letter]
    if not isinstance(array, np.ndarray):
        raise TypeError(f"a numpy array is needed, not {type(array).__name__}")
    if f"{array.dtype.kind}{array.dtype.itemsize}" not in kinds or not array.dtype.isnative:
        raise TypeError(f"an array of type {' or '.join(kinds)} is needed, not {array.dtype}")
    if not array.flags.c_contiguous:
        raise ValueError("an array that lies in one piece (C-contiguous) is needed")
    return array.ctypes.data


def check_overlap(tokens, arrays):
    """Kernels are compiled for arrays that do not overlap, where one of them is written."""
    spans = sorted((a.ctypes.data, a.ctypes.data + a.nbytes, "!" in t, n) for n, (t, a) in enumerate(zip(tokens, arrays)) if a.nbytes)
    for n, (_, end, written, left) in enumerate(spans):
        for start, _, other, right in spans[n + 1:]:
            if start >= end:
                break
            if written or other:
                raise ValueError(f"arrays {left} and {right} of a kernel overlap in memory")


def addresses_of(kernel, arrays, least):
    """Where the arrays of a kernel are, after a check against its signature and the `least` sizes for each kind of index."""
    tokens = kernel.signature.split()[1:]
    if len(tokens) != len(arrays):
        raise ValueError(f"a kernel of {len(tokens)} arrays was given {len(arrays)}")
    addresses = []
    for number, (token, array) in enumerate(zip(tokens, arrays)):
        try:
            addresses.append(address_of(array, token[0]))
            need = max((least[letter] for letter in token[1:] if letter != "!"), default=0)
            if array.size < need:
                raise ValueError(f"it has {array.size} values, {need} are needed")
            if "!" in token and not array.flags.writeable:
                raise ValueError("it is read-only")
        except (TypeError, ValueError) as error:
            raise type(error)(f"array {number} of a kernel: {error}") from None
    check_overlap(tokens, arrays)
    return addresses


def check_table(size, offsets, indices):
    """Refuse a table of spikes, of so many elements, that is not in order."""
    if len(offsets) < 1 or offsets[0] < 0 or bool((offsets[1:] < offsets[:-1]).any()) or offsets[len(offsets) - 1] > len(indices):
        raise ValueError("offsets must ascend and end within indices")
    if len(indices) and not (0 <= int(indices.min()) and int(indices.max()) < size):
        raise ValueError("the table has a spike of an element that does not exist")
    ascends = np.diff(indices) > 0
    starts = np.asarray(offsets)[1:-1]
    ascends[starts[(starts > 0) & (starts < len(indices))] - 1] = True
    if not ascends[int(offsets[0]):max(int(offsets[len(offsets) - 1]) - 1, 0)].all():
        raise ValueError("the spikes of a row of the table must ascend")


def check_rows(rows, count, order):
    """How many synapses lie in these rows, and how many values an array with one for each of them needs; so many rows are needed."""
    if len(rows) != count + 1 or rows[0] < 0 or (len(rows) > 1 and bool((rows[1:] < rows[:-1]).any())):
        raise ValueError("rows must ascend, with one entry for each source, delay and part, and one more")
    placed = int(rows[len(rows) - 1])
    if order is None:
        return placed, placed
    if len(order) < placed:
        raise ValueError("order is shorter than rows say")
    if len(order) and int(order.min()) < 0:
        raise ValueError("order must not be negative")
    return placed, int(order.max()) + 1 if len(order) else 0


def reach_of(rows, ends, bases):
    """How many values an array needs that is reached through `ends` of these rows, each of which belongs to one part after the other."""
    cdef int64_t most = 0, base
    cdef ptrdiff_t row, synapse, n_rows = len(rows) - 1, parts = len(bases), part
    cdef const int32_t *starts = <const int32_t *><uintptr_t>address_of(rows, "i")
    cdef bint narrow = ends.dtype == np.uint16, negative = False
    cdef uintptr_t address = address_of(ends, "H" if narrow else "i")
    cdef const uint16_t *short_ends = <const uint16_t *>address
    cdef const int32_t *long_ends = <const int32_t *>address
    cdef int64_t end
    for part in range(parts):
        base = bases[part]
        with nogil:
            for row in range(n_rows):
                if row % parts != part:
                    continue
                for synapse in range(starts[row], starts[row + 1]):
                    end = short_ends[synapse] if narrow else long_ends[synapse]
                    negative = negative or end < 0
                    most = max(most, base + end + 1)
    if negative:
        raise ValueError("an index of a neuron is negative")
    return most


def bound_of(ends, ptrdiff_t size, letter, tokens):
    """How many values an array needs that is reached through these indices."""
    if not any(letter in token[1:] for token in tokens):
        return 0
    if ends is None:
        raise ValueError(f"a kernel that reaches {'pre' if letter == 'p' else 'post'}synaptic values needs {'i' if letter == 'p' else 'j'}")
    if len(ends) < size:
        raise ValueError(f"{len(ends)} indices of neurons are too few for {size} elements")
    used = ends[:size]
    if len(used) and int(used.min()) < 0:
        raise ValueError("an index of a neuron is negative")
    return int(used.max()) + 1 if len(used) else 0
