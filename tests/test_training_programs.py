"""The passes that make forward and backward Programs cheap change no spike, no record and no gradient; and how cheap they are."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dynamics  # noqa: E402
from adjoints import adjoint_gradients, random_cotangents  # noqa: E402
from trained_models import NEURONS, network  # noqa: E402

import brianlike.nn as bnn  # noqa: E402
from brianlike.nn.gradients import compiler_gradient  # noqa: E402
from brianlike.only import *  # noqa: E402
from codegen.adjoint import adjoint  # noqa: E402
from codegen.emit import cython  # noqa: E402
from codegen.expr import Binary, Compare, DType, Index, Name, Number  # noqa: E402
from codegen.ir import Array, Deliver, Fire, Let, Load, Map, Program, Record, Role, Select, Store, Table  # noqa: E402
from codegen.join import join  # noqa: E402
from codegen.keep import keep  # noqa: E402
from codegen.noise import feed_draws  # noqa: E402
from codegen.pipeline import joined_program, training_programs  # noqa: E402
from codegen.surrogate import SuperSpike, Surrogate  # noqa: E402
from codegen.verify import verify_program  # noqa: E402

WITH_ADJOINT = [name for name in dynamics.MODELS if name not in dynamics.WITHOUT_ADJOINT]
SELF, SHARED, PRE, POST = Index.SELF, Index.SHARED, Index.PRE, Index.POST


@pytest.fixture(autouse=True)
def _fresh():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    before = defaultclock.dt
    yield
    torch.set_num_threads(threads)
    defaultclock.dt = before
    start_scope()


def few(program, gradient, wrt):
    tables = {kernel.name for kernel in program.kernels if isinstance(kernel, Table)}
    return training_programs(joined_program(program), gradient, wrt, again=tables)


def without_reading_again(program, gradient, wrt):
    return training_programs(joined_program(program), gradient, wrt)


def assert_passes_change_nothing(module, inputs, passes=few, **options):
    cotangents = random_cotangents(module, inputs)
    plain, made = (adjoint_gradients(module, inputs, cotangents, passes=one, **options) for one in (adjoint, passes))
    assert plain.records["spikes"].sum() >= 4
    for key, value in plain.records.items():
        np.testing.assert_array_equal(made.records[key], value, err_msg=key)
    for kind in ("learned", "inputs"):
        for name, value in getattr(plain, kind).items():
            np.testing.assert_allclose(getattr(made, kind)[name], value, rtol=0, atol=1e-12 * np.abs(value).max(), err_msg=name)


@pytest.mark.parametrize("shape", bnn.SURROGATES)
def test_every_surrogate(shape):
    assert_passes_change_nothing(*network(NEURONS["adaptive"], bnn.SURROGATES[shape]()))


@pytest.mark.parametrize("neuron", NEURONS)
def test_every_neuron(neuron):
    assert_passes_change_nothing(*network(NEURONS[neuron]))


@pytest.mark.slow
@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("shape", bnn.SURROGATES)
@pytest.mark.parametrize("detach", [None, False], ids=["detached", "through resets"])
def test_every_surrogate_in_every_neuron(shape, neuron, detach):
    assert_passes_change_nothing(*network(NEURONS[neuron], bnn.SURROGATES[shape](), detach_reset=detach))


@pytest.mark.parametrize("name", WITH_ADJOINT)
def test_every_kind_of_dynamics(name):
    module, _ = dynamics.build(name)
    assert_passes_change_nothing(module, {"source": dynamics.inputs()}, seed=7)


@pytest.mark.slow
@pytest.mark.parametrize("shape", bnn.SURROGATES)
@pytest.mark.parametrize("name", WITH_ADJOINT)
def test_every_surrogate_in_every_kind_of_dynamics(name, shape):
    for passes in (few, without_reading_again):
        module, _ = dynamics.build(name, gradient=bnn.Surrogate(bnn.SURROGATES[shape](), detach_reset=False))
        assert_passes_change_nothing(module, {"source": dynamics.inputs()}, passes, seed=7)


@pytest.mark.parametrize("name", ["refractory_text", "adaptive_threshold", "custom_events"])
def test_given_spikes(name):
    module, built = dynamics.build(name)
    x = {"source": dynamics.inputs()}
    with torch.no_grad():
        free = module(**x).spikes
    spikes = (torch.rand(free.shape, generator=torch.Generator().manual_seed(3)) < 0.2).to(free.dtype)
    assert_passes_change_nothing(module, x, force={built.cells: (spikes, torch.ones_like(spikes))})


# ---------------------------------------------------------------------------------------------------------------------------------- what they save
def programs(module, passes=few):
    learned = tuple(held.learn.array for held in module.learned.values())
    return passes(feed_draws(module._prepare(()).program)[0], compiler_gradient(module._gradient), learned)


def maps(program):
    return sum(isinstance(kernel, Map) for kernel in program.kernels)


def kept(forward, backward):
    """How many arrays of each type the backward Program reads from the tape."""
    assert {a.name for a in backward.arrays if a.role is Role.TAPE} == {
        *(a.name for a in forward.arrays if a.role is Role.TAPE), *(f"{kernel}:{array}" for kernel, array in forward.tape),
    }  # fmt: skip
    read = {load.array for kernel in backward.kernels if isinstance(kernel, Map) for load in kernel.loads}
    tapes = [a for a in backward.arrays if a.role is Role.TAPE]
    assert {a.name for a in tapes} <= read
    return {dtype.value: sum(a.dtype is dtype for a in tapes) for dtype in dict.fromkeys(a.dtype for a in sorted(tapes, key=lambda a: a.dtype.value))}


SAVED = {
    "LIF": ((3, 5, {"float": 2, "int64": 1}), (2, 4, {"bool": 1, "float": 2})),
    "adaptive": ((3, 5, {"float": 3}), (2, 4, {"float": 3})),
    "Izhikevich": ((3, 5, {"float": 3}), (2, 4, {"float": 3})),
    "AdEx": ((3, 5, {"float": 3}), (2, 4, {"float": 3})),
    "Hodgkin-Huxley": ((2, 4, {"bool": 1, "float": 5}), (2, 4, {"bool": 1, "float": 5})),
    "conductance": ((3, 4, {"float": 2}), (1, 2, {"float": 2})),
    "refractory_text": ((3, 4, {"float": 2, "int64": 1}), (1, 2, {"bool": 1, "float": 1})),
    "adaptive_threshold": ((3, 4, {"float": 3}), (1, 2, {"float": 2})),
    "short_term_plasticity": ((4, 5, {"float": 7}), (2, 3, {"float": 6})),
    "gap_junctions": ((5, 6, {"float": 4}), (3, 4, {"float": 2})),
    "skip_connections": ((6, 10, {"float": 5}), (3, 7, {"float": 3})),
}
"""Maps of a step forwards and backwards, and arrays kept, without the passes and with them."""


@pytest.mark.parametrize(
    ("neuron", "expected"),
    [
        ("LIF", {"bool": 1, "float": 1}),
        ("adaptive", {"float": 1}),
        ("Izhikevich", {"float": 2}),
        ("AdEx", {"float": 2}),
        ("Hodgkin-Huxley", {"bool": 1, "float": 5}),
    ],
)
def test_what_learned_weights_need(neuron, expected):
    """Of the adaptive neuron its margin, of Izhikevich's and AdEx its potential before and after the step."""
    assert kept(*programs(network(replace(NEURONS[neuron], learn=()))[0])) == expected


@pytest.mark.parametrize("name", SAVED)
def test_fewer_kernels_and_fewer_bytes(name):
    module = network(NEURONS[name])[0] if name in NEURONS else dynamics.build(name)[0]
    found = []
    for passes in (adjoint, few):
        forward, backward = programs(module, passes)
        verify_program(forward)
        verify_program(backward)
        found.append((maps(forward), maps(backward), kept(forward, backward)))
    assert tuple(found) == SAVED[name]


def leaky(learn, **options):
    """Feed-forward neurons with a current."""
    start_scope()
    defaultclock.dt = 1 * ms
    inputs = InputGroup(4, name="source")
    cells = NeuronGroup(3, "dv/dt = (I - v)/tau : 1\ndI/dt = -I/(5*ms) : 1\ntau : second (constant)", threshold="v > 1", reset="v = 0", method="exact",
                        name="cells", **options)  # fmt: skip
    cells.tau = 20 * ms
    feed = Synapses(inputs, cells, "w : 1", on_pre="I_post += w", name="feed")
    feed.connect()
    feed.w = "0.5 + 0.1*i"
    learned = {"w": feed, "tau": cells}
    made = [bnn.Learn(learned[name], name) for name in learn]
    return bnn.NetworkModule(Network(inputs, cells, feed), {"spikes": cells}, made, bnn.Surrogate(bnn.SuperSpike(beta=10)), namespace={})


@pytest.mark.parametrize(
    ("learn", "options", "expected"),
    [
        (("w",), {}, {"float": 1}),
        (("w",), {"refractory": 2 * ms}, {"bool": 1, "float": 1}),
        (("w", "tau"), {"refractory": 2 * ms}, {"bool": 1, "float": 2}),
    ],
    ids=["weights", "weights, refractory", "time constants, refractory"],
)
def test_the_leaky_neuron_keeps_its_potential_and_a_bit(learn, options, expected):
    forward, backward = programs(leaky(learn, **options))
    assert kept(forward, backward) == expected and not forward.tape


def test_updates_and_resets_are_one_kernel():
    forward, _ = programs(network(NEURONS["LIF"])[0])
    assert [kernel.name for kernel in forward.kernels if isinstance(kernel, Map)] == ["cells.update+threshold+reset", "loop.pre:apply"]
    forward, _ = programs(leaky(("w",)))  # nothing comes back: the inputs arrive first
    assert [kernel.name for kernel in forward.kernels] == ["source.spikes", "feed.pre", "cells.update+threshold+reset+pre:apply", "spikes"]


def test_whether_a_neuron_fired_is_not_decided_again():
    _, backward = programs(leaky(("w", "tau"), refractory=2 * ms))
    transposed = next(kernel for kernel in backward.kernels if kernel.name.startswith("cells.update+threshold+reset"))
    assert "cells._spike" in {load.array for load in transposed.loads}
    assert Compare(">", Name("v_1"), Number(1)) not in [line.value for line in transposed.body]


def test_tables_that_can_be_read_again_are_not_kept():
    module, _ = dynamics.build("white_noise")
    (one, back), (two, plain) = programs(module), programs(module, without_reading_again)
    assert kept(one, back)["float"] < kept(two, plain)["float"]
    assert {kernel.name for kernel in back.kernels if isinstance(kernel, Table)} > {kernel.name for kernel in plain.kernels if isinstance(kernel, Table)}


@pytest.mark.parametrize("name", ["refractory_text", "adaptive_threshold", "conductance", "escape_noise", "custom_events"])
def test_what_is_joined_still_runs_as_vectors(name):
    forward, backward = programs(dynamics.build(name)[0])
    arrays = {array.name: array for array in (*forward.arrays, *backward.arrays)}
    of_cells = [kernel for kernel in (*forward.kernels, *backward.kernels) if isinstance(kernel, Map) and kernel.space == "cells"]
    assert len(of_cells) >= 2
    for one in of_cells:
        assert "store_" in cython.render(one, arrays, "float32").text, one.name


# ---------------------------------------------------------------------------------------------------------------------------------------- join, by hand
ARRAYS = (
    *(Array(name, "n", Role.STATE) for name in "abcd"),
    Array("e", "n", Role.EVENT, DType.BOOL),
    Array("s", None, Role.STATE),
    Array("w", "syn", Role.PARAMETER),
)


def kernel(name, reads, writes, space="n", index=SELF, **options):
    """A Map whose every result is the sum of what it reads, plus 1."""
    total = Number(1.0)
    for array in reads:
        total = Binary("+", total, Name(array))
    loads = tuple(Load(array, array, index if array in "abcd" else SELF) for array in reads)
    return Map(name, space, loads, (Let("sum", total),), tuple(Store(array, SELF, "sum") for array in writes), **options)


def names(*kernels):
    program = Program(ARRAYS, (), kernels)
    joined = join(program)
    verify_program(joined)
    return [kernel.name for kernel in joined.kernels]


def test_what_the_first_writes_the_second_does_not_load():
    (joined,) = join(Program(ARRAYS, (), (kernel("n.x", "a", "ab"), kernel("n.y", "bc", "bd")))).kernels
    assert {load.array for load in joined.loads} == {"a", "c"}
    assert sorted(store.array for store in joined.stores) == ["a", "b", "d"]  # b once


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        (Record("r", "c"), ["n.x+y", "r"]),
        (Record("r", "a"), ["n.x+y", "r"]),  # so the second comes first
        (Record("r", "b"), ["r", "n.x+y"]),  # so the first waits
        (Table("r", "d"), ["n.x+y", "r"]),
        (Deliver("r", "syn", PRE, "e", None, (), (Let("one", Number(1.0)),), (Store("c", POST, "one", add=True),)), ["n.x+y", "r"]),
    ],
    ids=["neither", "written by the first", "written by the second", "a table", "a delivery"],
)
def test_what_lies_between_is_passed_over(between, expected):
    assert names(kernel("n.x", "a", "a"), between, kernel("n.y", "b", "b")) == expected


@pytest.mark.parametrize(
    "between",
    [Record("r", "a"), Table("t", "a"), Deliver("d", "syn", PRE, "e", None, (), (Let("one", Number(1.0)),), (Store("a", POST, "one", add=True),))],
    ids=["a record", "a table", "a delivery"],
)
def test_what_both_touch_stays_between(between):
    assert names(kernel("n.x", "a", "a"), between, kernel("n.y", "a", "a")) == ["n.x", between.name, "n.y"]


REFUSED = {
    "other elements": (kernel("n.x", "a", "a"), kernel("m.y", "w", "w", space="syn")),
    "a value at another element": (kernel("syn.x", "w", "w", space="syn"), replace(kernel("syn.y", "", "a", space="syn"), stores=(Store("w", PRE, "sum"),))),
    "an addition to what the other reads": (
        replace(kernel("n.x", "a", "b"), stores=(Store("s", SHARED, "sum", add=True),)),
        replace(kernel("n.y", "a", "b"), loads=(Load("a", "s", SHARED),)),
    ),
    "two additions to one sum": tuple(replace(kernel(f"n.{n}", "a", "b"), stores=(Store("s", SHARED, "sum", add=True),)) for n in "xy"),
    "a condition": (kernel("n.x", "a", "a"), kernel("n.y", "b", "b", only="e")),
    "another clock": (kernel("n.x", "a", "a"), kernel("n.y", "b", "b", clock="slow")),
    "one element for all": (kernel("x.x", "s", "s", space=""), kernel("y.y", "s", "s", space="")),
    "events as numbers": (
        Map("n.x", "n", (), (Fire("fired", Compare(">", Number(1.0), Number(0.0)), None),), (Store("e", SELF, "fired", DType.BOOL),)),
        replace(kernel("n.y", "a", "b"), loads=(Load("a", "e", SELF, DType.FLOAT),)),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_maps_that_stay_apart(case):
    assert names(*REFUSED[case]) == [kernel.name for kernel in REFUSED[case]]


def test_those_that_share_most_are_joined_first():
    """A reset could join either neighbour of a delivery, but not both: it joins the update, whose values it would otherwise load again."""
    deliver = Deliver("d", "syn", PRE, "e", None, (), (Let("one", Number(1.0)),), (Store("c", POST, "one", add=True),))
    fire = Fire("fired", Compare(">", Name("a"), Number(1.0)), None)
    update = Map("n.update", "n", (Load("a", "a", SELF),), (fire,), (Store("e", SELF, "fired", DType.BOOL),))
    apply = kernel("n.apply", "bc", "bc")
    reset = Map("n.reset", "n", (Load("e", "e", SELF, DType.BOOL), Load("a", "a", SELF)), (Select("new", Name("e"), Number(0.0), Name("a"), DType.FLOAT),),
                (Store("a", SELF, "new"),))  # fmt: skip
    assert names(update, deliver, apply, reset) == ["n.update+reset", "d", "n.apply"]


# ---------------------------------------------------------------------------------------------------------------------------------------- keep, by hand
def kept_of(*kernels, arrays=ARRAYS, wrt=("d",)):
    forward, backward = keep(*adjoint(Program(arrays, (), kernels), Surrogate(SuperSpike(beta=1.0)), wrt))
    verify_program(forward)
    verify_program(backward)
    return [array.name for array in forward.arrays if array.role is Role.TAPE], forward.tape


def scaled(name, factor, arrays):
    """d becomes d times a function of the arrays."""
    loads = tuple(Load(array, array, SHARED if array == "s" else SELF) for array in (*arrays, "d"))
    return Map(name, "n", loads, (Let("f", factor), Let("new", Binary("*", Name("f"), Name("d")))), (Store("d", SELF, "new"),))


A, B = Name("a"), Name("b")
MOVES = (Table("ta", "a"), Table("tb", "b"))


def test_one_sum_is_kept_and_not_its_two_terms():
    assert kept_of(*MOVES, scaled("n.x", Binary("+", A, B), "ab")) == (["n.x:f"], ())


def test_of_two_that_weigh_the_same_the_one_nearer_to_its_reader_is_kept():
    assert kept_of(*MOVES, scaled("n.x", Binary("+", A, Number(1.0)), "a")) == (["n.x:f"], ())


def test_not_more_than_the_arrays_that_are_read():
    terms = tuple(Let(f"f{n}", Binary("+", A, Number(float(n)))) for n in range(3))
    body = (*terms, Let("x", Binary("*", Name("f0"), Name("d"))), Let("y", Binary("*", Name("x"), Name("f1"))), Let("z", Binary("*", Name("y"), Name("f2"))))
    many = Map("n.x", "n", (Load("a", "a", SELF), Load("d", "d", SELF)), body, (Store("d", SELF, "z"),))
    assert kept_of(*MOVES, many) == (["n.x:a"], ())


def test_an_array_that_two_kernels_find_alike_is_kept_once():
    both = tuple(scaled(f"n.{name}", Binary("*", A, A), "a") for name in "xy")
    squares = [replace(one, body=(Let("f", Binary("*", A, Name("d"))), Let("new", Binary("*", A, Name("f"))))) for one in both]
    assert kept_of(MOVES[0], *squares) == (["n.y:a"], ())
    assert kept_of(MOVES[0], squares[0], Table("again", "a"), squares[1]) == (["n.y:a", "n.x:a"], ())


def test_what_is_shared_and_what_synapses_read_of_neurons_stays_an_array():
    moves = Table("ts", "s")
    assert kept_of(moves, scaled("n.x", Binary("+", Name("s"), Number(1.0)), "s")) == ([], (("n.x", "s"),))
    sums = Map("syn.x", "syn", (Load("w", "w", SELF), Load("a", "a", PRE)), (Let("f", Binary("*", Name("w"), A)),), (Store("d", POST, "f", add=True),))
    assert kept_of(MOVES[0], sums, wrt=("w",)) == ([], (("syn.x", "a"),))


def test_what_a_map_has_just_computed_it_stores_for_later_readers():
    first = kernel("n.first", "c", "a")
    sums = Map("syn.x", "syn", (Load("w", "w", SELF), Load("a", "a", PRE)), (Let("f", Binary("*", Name("w"), A)),), (Store("d", POST, "f", add=True),))
    assert kept_of(first, sums, wrt=("w",)) == (["n.first:a"], ())


def test_the_running_time_is_not_kept():
    time = Array("clock.t", None, Role.CLOCK)
    timed = replace(scaled("n.x", Binary("*", A, Name("t")), "a"), loads=(Load("a", "a", SELF), Load("t", "clock.t", SHARED), Load("d", "d", SELF)))
    forward, _ = adjoint(Program((*ARRAYS, time), (), (MOVES[0], timed)), Surrogate(SuperSpike(beta=1.0)), ("d",))
    assert forward.tape == (("n.x", "a"),)
