"""Linked variables: other names for variables of other groups. Expected values are Brian's, or worked out by hand."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from networks import SIMULATORS

from brianlike import *
from codegen.errors import EquationError, UnknownNameError

every_simulator = pytest.mark.parametrize("engine", SIMULATORS)
SOURCE = """v : 1
            w : volt
            s : 1 (shared)
            sub = c*v + i : 1
            double = 2*s : 1 (shared)
            number : integer"""


def source(name: str = "A") -> NeuronGroup:
    A = NeuronGroup(5, SOURCE, namespace={"c": 2.0}, name=name)
    A.v, A.s = "i", 3
    return A


def linking(size: int = 5, model: str = "x : 1 (linked)\ny : 1", **options: object) -> NeuronGroup:
    return NeuronGroup(size, model, **{"name": "B", **options})


# ------------------------------------------------------------------------------------------------------------------------------------- what it shows
@pytest.mark.parametrize(
    ("size", "name", "index", "expected"),
    [
        (5, "v", None, [0, 1, 2, 3, 4]),
        (5, "s", None, [3, 3, 3, 3, 3]),
        (5, "sub", None, [0, 3, 6, 9, 12]),
        (5, "double", None, [6, 6, 6, 6, 6]),
        (3, "v", [4, 0, 4], [4, 0, 4]),
        (3, "sub", [4, 3, 0], [12, 9, 0]),
        (3, "s", [4, 3, 0], [3, 3, 3]),
    ],
)
@every_simulator
def test_every_use_of_a_linked_variable(engine: str, size: int, name: str, index: object, expected: list[float]) -> None:
    """Python, threshold, reset, a subexpression, a synapse, its code, a string, and a monitor all see one value."""
    prefs.codegen.target = engine
    A, B = source(), linking(size, "x : 1 (linked)\ny : 1\nz = x + 1 : 1", threshold="x > 2", reset="y += x")
    B.x = linked_var(A, name, index=index)
    S = Synapses(B, B, "w : 1\nseen = x_pre : 1", on_pre="y_post += 10*x_pre")
    S.connect("i == j")
    S.w = "x_post"
    monitor = StateMonitor(B, ["x", "z"], record=True)
    x = np.array(expected)
    for shown in (B.x, B.x_, B.x[:], S.w, S.seen, B.z[:] - 1):
        np.testing.assert_array_equal(shown, x)
    Network(A, B, S, monitor).run(0.1 * ms)
    np.testing.assert_array_equal(B.y, np.where(x > 2, 11 * x, 0))
    np.testing.assert_array_equal(monitor.x[:, 0], x)
    np.testing.assert_array_equal(monitor.z[:, 0], x + 1)
    assert list(B.indices["x > 2"]) == list(np.flatnonzero(x > 2))


def test_one_neuron_stands_for_all_and_views_are_targets() -> None:
    one, B = NeuronGroup(1, "u : volt", name="one"), linking(3, "x : volt (linked)")
    one.u = 2 * mV
    B.x = linked_var(one.u)
    # The view as a whole is one value, as in Brian; single elements can be asked for, too.
    assert B.x == 2 * mV and np.isscalar(np.asarray(B.x[:])[()]) and float(B.x) == 0.002 and B[1:].x == B.x
    assert B.x[1] == 2 * mV and list(B.x[1:] / mV) == [2, 2]


@every_simulator
def test_an_index_by_name_is_read_in_every_step(engine: str) -> None:
    prefs.codegen.target = engine
    A, B = source(), linking(3, "x : 1 (linked)\nk : integer\ndy/dt = x/dt : 1", method="euler")
    B.k = [4, 0, 3]
    B.x = linked_var(A, "v", index="k")
    assert list(B.x) == [4, 0, 3]
    B.k = 1
    assert list(B.x) == [1, 1, 1]
    B.run_regularly("k += 1")
    Network(A, B).run(0.2 * ms)
    assert list(B.y) == [5, 5, 5]


@every_simulator
@pytest.mark.parametrize(("part", "index", "expected"), [(slice(2, 5), None, [2, 3, 4]), (slice(2, 5), [2, 1, 0], [4, 3, 2]), (slice(3, 4), None, [3, 3, 3])])
def test_links_to_parts_count_within_them(engine: str, part: slice, index: object, expected: list[float]) -> None:
    prefs.codegen.target = engine
    A, B = source(), linking(3)
    B.x = linked_var(A[part], "v", index=index)
    B.run_regularly("y = x")
    Network(A, B).run(0.1 * ms)
    assert list(B.x) == list(B.y) == expected and list(B[1:].x) == expected[1:]


@every_simulator
def test_links_to_linked_variables(engine: str) -> None:
    prefs.codegen.target = engine
    A, B, C, D = source(), linking(3), linking(2, name="C"), linking(2, name="D")
    B.x = linked_var(A, "sub", index=[4, 0, 3])
    C.x = linked_var(B, "x", index=[2, 0])
    D.x = linked_var(C.x)
    D.run_regularly("y = x")
    Network(A, B, C, D).run(0.1 * ms)
    assert list(D.x) == list(D.y) == [9, 12]


@every_simulator
def test_links_both_ways_see_each_other_at_once(engine: str) -> None:
    # A runs before B, by name: in step n it sees the u of n steps, and B the v of this one.
    prefs.codegen.target = engine
    A = NeuronGroup(3, "a : 1 (linked)\ndv/dt = a*Hz : 1", method="euler", name="A")
    B = NeuronGroup(3, "b : 1 (linked)\ndu/dt = b*Hz : 1", method="euler", name="B")
    A.a, B.b = linked_var(B, "u"), linked_var(A, "v")
    A.v = 1
    Network(A, B).run(1 * ms)
    np.testing.assert_allclose(A.v, 1 + 45e-8, rtol=1e-12)
    np.testing.assert_allclose(B.u, 1e-3, rtol=1e-6)


@every_simulator
def test_links_within_one_group(engine: str) -> None:
    prefs.codegen.target = engine
    A = NeuronGroup(3, "dv/dt = -x/dt : 1\nx : 1 (linked)", method="euler", name="A")
    A.x = linked_var(A, "v", index=[2, 1, 0])
    A.v = [1, 2, 4]
    Network(A).run(0.1 * ms)
    assert list(A.v) == [-3, 0, 3]  # every neuron sees the other's value of the step before


@every_simulator
def test_the_source_need_not_be_in_the_network(engine: str) -> None:
    prefs.codegen.target = engine
    A = NeuronGroup(5, "dv/dt = 1/dt : 1", method="euler", name="A")
    B = linking()
    A.v = "i"
    B.x = linked_var(A, "v")
    B.run_regularly("y += x")
    Network(B).run(0.2 * ms)
    assert list(B.y) == [0, 2, 4, 6, 8] and list(A.v) == [0, 1, 2, 3, 4]


def test_a_link_keeps_its_source() -> None:
    B = linking()
    B.x = linked_var(source(), "v")
    gc.collect()
    assert list(B.x) == [0, 1, 2, 3, 4]


@every_simulator
def test_linked_variables_of_synapses(engine: str) -> None:
    prefs.codegen.target = engine
    A = source()
    G = NeuronGroup(5, "y : 1", threshold="True", name="G")
    S = Synapses(G, G, "gain : 1 (linked)", on_pre="y_post += gain", name="S")
    S.connect("i == j")
    S.gain = linked_var(A, "v")
    Network(A, G, S).run(0.1 * ms)
    assert list(S.gain) == list(G.y) == [0, 1, 2, 3, 4]


@every_simulator
def test_a_new_link_counts_from_the_next_run_on(engine: str) -> None:
    prefs.codegen.target = engine
    A, B = source(), linking(2)
    B.x = linked_var(A, "v", index=[1, 2])
    B.run_regularly("y = x")
    network = Network(A, B)
    network.run(0.1 * ms)
    assert list(B.y) == [1, 2]
    B.x = linked_var(A, "v", index=[3, 4])
    network.run(0.1 * ms)
    assert list(B.y) == [3, 4]
    B.x = linked_var(A, "s")
    network.run(0.1 * ms)
    assert list(B.y) == [3, 3]


# ------------------------------------------------------------------------------------------------------------------------------------------- writing
@every_simulator
def test_writing_through_a_link(engine: str) -> None:
    """As in Brian, elements can be written, and so can resets and synapses."""
    prefs.codegen.target = engine
    A, B = source(), linking(threshold="x > 2", reset="x = 9")
    B.x = linked_var(A, "v")
    S = Synapses(B, B, "w : 1", on_pre="x_post += 1")
    S.connect("i + 3 == j")  # neurons 0 and 1 reach 3 and 4
    B.x[0] = 7
    B.x["i == 1"] = "x + 5"
    assert list(A.v) == [7, 6, 2, 3, 4]
    Network(A, B, S).run(0.1 * ms)
    assert list(A.v) == [9, 9, 2, 9, 9]


@every_simulator
def test_writing_synapses_through_a_link(engine: str) -> None:
    prefs.codegen.target = engine
    A, B = source(), linking(threshold="y > 0")
    B.x, B.y = linked_var(A, "v"), [0, 0, 1, 1, 1]
    S = Synapses(B, B, "w : 1", on_pre="x_post += w")
    S.connect()
    S.w = "i + 10*j"
    Network(A, B, S).run(0.1 * ms)
    np.testing.assert_array_equal(A.v, np.arange(5) + 9 + 30 * np.arange(5))


@pytest.mark.parametrize(("name", "index"), [("sub", None), ("s", None), ("v", [4, 3, 2, 1, 0])])
def test_code_cannot_write_what_is_computed_shared_or_indexed(name: str, index: object) -> None:
    A, B = source(), linking(threshold="x > 2", reset="x = 0")
    B.x = linked_var(A, name, index=index)
    with pytest.raises(EquationError, match="`x` cannot be written: it is linked to a value") as caught:
        Network(A, B).run(0.1 * ms)
    assert "\n  x = 0\n  ^\n" in str(caught.value)


@pytest.mark.parametrize("value", [3, "i", [1, 2, 3, 4, 5]])
def test_a_link_is_not_set_as_a_whole(value: object) -> None:
    A, B = source(), linking()
    for _ in range(2):
        with pytest.raises(ValueError, match="linked variable B.x cannot be set"):
            B.x = value
        with pytest.raises((ValueError, TypeError)):
            B.x += value
        B.x = linked_var(A, "v")
    assert list(A.v) == [0, 1, 2, 3, 4]


# --------------------------------------------------------------------------------------------------------------------------------- what cannot be linked
@pytest.mark.parametrize(
    ("size", "model", "given", "kind", "words"),
    [
        (4, "x : 1 (linked)", {"name": "v"}, ValueError, "one by one; give the neuron for each as linked_var"),
        (3, "x : 1 (linked)", {"name": "v", "index": [4, 0]}, TypeError, r"shape \(3,\), not \(2,\)"),
        (3, "x : 1 (linked)", {"name": "v", "index": [[4, 0, 1]]}, TypeError, r"shape \(3,\), not \(1, 3\)"),
        (3, "x : 1 (linked)", {"name": "v", "index": [4, 0, 5]}, ValueError, "contains 5, but there are neurons 0 to 4"),
        (3, "x : 1 (linked)", {"name": "v", "index": [4, 0, -1]}, ValueError, "contains -1"),
        (3, "x : 1 (linked)", {"name": "v", "index": [4, 0, 1.5]}, TypeError, "whole numbers"),
        (3, "x : 1 (linked)", {"name": "v", "index": "nowhere"}, ValueError, "no variable of that name"),
        (3, "x : 1 (linked)\nk : 1", {"name": "v", "index": "k"}, TypeError, "integer parameter"),
        (3, "x : 1 (linked)\nk : integer (shared)", {"name": "v", "index": "k"}, ValueError, "is shared"),
        (5, "x : 1 (linked)", {"name": "w"}, DimensionMismatchError, "has the unit 1, but A.w, to which it shall be linked, has volt"),
        (5, "x : 1", {"name": "v"}, TypeError, r"declare it with the flag linked, `x : 1 \(linked\)`"),
    ],
)
def test_what_cannot_be_linked(size: int, model: str, given: dict[str, object], kind: type, words: str) -> None:
    A, B = source(), linking(size, model)
    with pytest.raises(kind, match=words):
        B.x = linked_var(A, **given)


def test_wrong_calls_of_linked_var() -> None:
    A = source()
    with pytest.raises(ValueError, match="needs the name"):
        linked_var(A)
    with pytest.raises(ValueError, match="either a variable"):
        linked_var(A.v, "v")
    with pytest.raises(KeyError, match="no variable 'nothing'"):
        linked_var(A, "nothing")
    S = Synapses(A, A, "q : 1")
    S.connect()
    with pytest.raises(NotImplementedError, match="number of synapses can change"):
        linking(25).x = linked_var(S, "q")


def test_a_link_that_was_never_made() -> None:
    B = linking(threshold="x > 2")
    with pytest.raises(TypeError, match="'x' of 'B' is not linked to anything yet"):
        B.x[:]
    with pytest.raises(UnknownNameError, match=r"`x` of B is not linked to anything\n  x : 1 \(linked\)\n  \^\n"):
        Network(B).run(0.1 * ms)


def test_links_in_a_circle() -> None:
    A, B = NeuronGroup(3, "a : 1 (linked)\nv = a + 1 : 1", name="A"), NeuronGroup(3, "b : 1 (linked)\nu = b + 1 : 1", name="B")
    A.a, B.b = linked_var(B, "u"), linked_var(A, "v")
    with pytest.raises(EquationError, match=r"in a circle: A\.a -> B\.b -> A\.a"):
        Network(A, B).run(0.1 * ms)


@pytest.mark.parametrize("flags", ["linked, shared", "constant, linked"])
def test_linked_stands_alone(flags: str) -> None:
    with pytest.raises(EquationError, match="`x` is linked and cannot have further flags"):
        NeuronGroup(1, f"x : 1 ({flags})")


@every_simulator
def test_one_neuron_can_write_what_it_is_linked_to(engine: str) -> None:
    prefs.codegen.target = engine
    one = NeuronGroup(1, "x : 1\ndz/dt = x*Hz : 1", method="euler", name="one")
    other = NeuronGroup(1, "x : 1 (linked)\ny : 1\ntwice = 2*x : 1 (shared)", threshold="y > 1", reset="y = 0; x += 1", name="other")
    other.x, other.y = linked_var(one, "x"), 2
    monitor = StateMonitor(other, ["x", "twice"], record=True)
    Network(one, other, monitor).run(0.3 * ms)
    assert one.x[0] == 1 and list(monitor.x[0]) == [0, 1, 1] and list(monitor.twice[0]) == [0, 2, 2]
    assert np.isclose(one.z[0], 2e-4)
