"""Connection rules and Synapses: which synapses exist, in which order, and how they are sorted for delivery."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brianlike import _connections, deferred, randomness, sorting
from brianlike import connect as rules
from brianlike.groups import Group, NeuronGroup
from brianlike.inputs import InputGroup, PoissonGroup, SpikeGeneratorGroup
from brianlike.monitors import StateMonitor
from brianlike.network import Network
from brianlike.preferences import prefs
from brianlike.seeding import seed
from brianlike.sorting import sorted_rows
from brianlike.synapses import Synapses
from brianlike.units import DimensionMismatchError, Hz, ms, second
from codegen.errors import EquationError, ModelError, UnitError, UnknownNameError

SIZES = st.integers(1, 12)


def key(number: int = 0) -> rules.Key:
    return 2026, number


def close(i: np.ndarray, j: np.ndarray) -> np.ndarray:
    return abs(i - j) <= 2


def falling(i: np.ndarray, j: np.ndarray) -> np.ndarray:
    return np.exp(-abs(i - j) / 3.0)


# ------------------------------------------------------------------------------------------------------------------------------------------- rules
@given(SIZES, SIZES)
def test_all_to_all_is_row_major(n_pre: int, n_post: int) -> None:
    i, j = rules.all_to_all(n_pre, n_post)
    assert i.dtype == j.dtype == np.int32
    assert list(zip(i, j)) == [(a, b) for a in range(n_pre) for b in range(n_post)]


@given(SIZES, SIZES, st.integers(1, 3))
def test_a_condition_keeps_exactly_its_pairs_in_order(n_pre: int, n_post: int, n: int) -> None:
    i, j = rules.by_condition(n_pre, n_post, close, n=n)
    assert list(zip(i, j)) == [(a, b) for a in range(n_pre) for b in range(n_post) if abs(a - b) <= 2 for _ in range(n)]
    i, j = rules.by_condition(n_pre, n_post, n=lambda i, j: i + 0 * j)
    assert list(zip(i, j)) == [(a, b) for a in range(n_pre) for b in range(n_post) for _ in range(a)]


@given(SIZES, SIZES, st.sampled_from([None, close]), st.sampled_from([None, 0.0, 0.3, 1.0, falling]), st.integers(1, 50), st.integers(0, 5))
def test_the_size_of_chunks_changes_nothing(n_pre: int, n_post: int, condition: Callable | None, p: object, chunk: int, number: int) -> None:
    whole = rules.by_condition(n_pre, n_post, condition, p, key(number))
    parts = rules.by_condition(n_pre, n_post, condition, p, key(number), chunk=chunk, threads=1 + number % 3)
    assert np.array_equal(whole[0], parts[0]) and np.array_equal(whole[1], parts[1])
    flat = parts[0].astype(int) * n_post + parts[1]
    assert np.all(np.diff(flat) > 0) and np.all((flat >= 0) & (flat < n_pre * n_post))


def test_conditions_are_asked_for_bounded_numbers_of_pairs() -> None:
    asked: list[int] = []

    def condition(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        asked.append(i.size)
        return i == j

    rules.by_condition(7, 1000, condition, chunk=300)
    assert max(asked) == 300 and sum(asked) == 7000


@pytest.mark.parametrize("p", [0.001, 0.03, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("rule", ["jump", "scan", "function", "thin"])
def test_random_connections_are_independent_trials(p: float, rule: str) -> None:
    """Mean and variance of in- and out-degrees are those of binomials; both ends of the matrix are reached equally."""
    n_pre, n_post = 300, 500
    match rule:
        case "jump":
            i, j = rules.by_condition(n_pre, n_post, None, p, key(17), chunk=4096)
        case "scan":
            i, j = rules.by_condition(n_pre, n_post, lambda i, j: i >= 0, p, key(18))
        case "function":
            i, j = rules.by_condition(n_pre, n_post, None, lambda i, j: np.full(i.shape, p), key(19))
        case _:
            i, j = rules.thin(*rules.all_to_all(n_pre, n_post), p, key(20))
    assert abs(i.size - n_pre * n_post * p) < 5 * np.sqrt(n_pre * n_post * p * (1 - p))
    for ends, size, trials in ((i, n_pre, n_post), (j, n_post, n_pre)):
        degrees = np.bincount(ends, minlength=size)
        # chi-square of `size` binomials: mean size, variance 2*size (a little more for small counts)
        chi = np.sum((degrees - trials * p) ** 2) / (trials * p * (1 - p))
        assert abs(chi - size) < 5 * np.sqrt(2 * size + size / (trials * p * (1 - p)))
    assert len(set(zip(i.tolist(), j.tolist()))) == i.size


def test_jumps_have_the_exact_law_on_a_small_matrix() -> None:
    """All 16 outcomes of 4 trials occur as often as they should (chi-square with 15 degrees of freedom, 1 in 1e5 above 50)."""
    p, runs = 0.3, 20_000
    outcomes = np.zeros(16)
    for run in range(runs):
        i, j = rules.by_condition(2, 2, None, p, key(run))
        outcomes[int(np.sum(2 ** (2 * i + j)))] += 1
    ones = np.array([bin(n).count("1") for n in range(16)])
    expected = runs * p**ones * (1 - p) ** (4 - ones)
    assert np.sum((outcomes - expected) ** 2 / expected) < 50


def test_a_tiny_probability_over_a_huge_matrix_is_cheap() -> None:
    i, j = rules.by_condition(2**31 - 1, 2**31 - 1, None, 1e-17, key(1))
    assert 5 < i.size < 120 and np.all(i >= 0) and np.all(j >= 0) and i.max() > 2**28


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=30))
def test_arrays_keep_their_order(pairs: list[tuple[int, int]]) -> None:
    i, j = rules.from_arrays([a for a, _ in pairs], [b for _, b in pairs], 5, 7)
    assert i.dtype == j.dtype == np.int32 and list(zip(i, j)) == pairs


WRONG_RULES: dict[str, tuple[type[Exception], str, Callable[[], object]]] = {
    "beyond": (IndexError, "i contains 3, but the source has neurons 0 to 2", lambda: rules.from_arrays([0, 3], 0, 3, 3)),
    "negative": (IndexError, "j contains -1, but the target has neurons 0 to 2", lambda: rules.from_arrays(0, [-1], 3, 3)),
    "wraps in 32 bits": (IndexError, "i contains 4294967296", lambda: rules.from_arrays(np.array([2**32]), 0, 3, 3)),
    "unsigned": (IndexError, "j contains 18446744073709551615", lambda: rules.from_arrays(0, np.array([2**64 - 1], np.uint64), 3, 3)),
    "fractions": (TypeError, "i must hold whole numbers, not float64", lambda: rules.from_arrays([0.5], 0, 3, 3)),
    "shapes": (ValueError, "i has shape (2,) and j has shape (3,)", lambda: rules.from_arrays([0, 1], [0, 1, 2], 3, 3)),
    "matrix": (ValueError, "i must be a number or a list of numbers", lambda: rules.from_arrays(np.zeros((2, 2), int), 0, 3, 3)),
    "p nan": (ValueError, "p must be a probability between 0 and 1, not nan", lambda: rules.by_condition(3, 3, p=np.nan, key=key())),
    "p nan somewhere": (ValueError, "p is NaN for some pairs", lambda: rules.by_condition(3, 3, p=lambda i, j: i * np.nan, key=key())),
    "n negative": (ValueError, "n must not be negative", lambda: rules.by_condition(3, 3, n=-1)),
    "n fraction": (TypeError, "n must be a whole number of synapses, not 1.5", lambda: rules.by_condition(3, 3, n=1.5)),
    "too many": (ValueError, "one Synapses object can hold 2**31 - 1 synapses", lambda: rules.all_to_all(2**16, 2**16)),
    "too many of n": (ValueError, "one Synapses object can hold 2**31 - 1 synapses", lambda: rules.by_condition(3, 3, n=2**31)),
    "number as condition": (TypeError, "a condition must be true or false", lambda: rules.by_condition(3, 3, lambda i, j: i)),
    "no key": (TypeError, "a random rule needs a key (seed, epoch)", lambda: rules.by_condition(3, 3, p=0.5)),
    "negative delay": (ValueError, "a delay cannot be negative, but one is -1 steps", lambda: sorted_rows(np.zeros(1, int), np.array([-1]), 1)),
}


@pytest.mark.parametrize("case", WRONG_RULES)
def test_wrong_rules_are_refused(case: str) -> None:
    error, text, call = WRONG_RULES[case]
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(text)


@given(st.integers(1, 6), st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0, 1, 7, 300])), max_size=40), st.booleans())
def test_rows_hold_the_synapses_of_a_neuron_and_delay_in_order_of_creation(n: int, synapses: list[tuple[int, int]], one_delay: bool) -> None:
    source = np.array([s % n for s, _ in synapses], dtype=np.int32)
    steps = 5 if one_delay else np.array([d for _, d in synapses], dtype=np.int64)
    order, rows, delays = sorted_rows(source, steps, n)
    each = np.broadcast_to(steps, source.shape)
    keys = list(zip(source.tolist(), each.tolist()))
    assert (order is None) == (keys == sorted(keys))
    order = np.arange(source.size, dtype=np.int32) if order is None else order
    assert order.dtype == np.int32 and rows.dtype == np.int32 and rows.size == n * delays.size + 1 and rows[-1] == source.size
    assert list(delays) == sorted(set(each.tolist())) or not source.size
    for neuron in range(n):
        for place, delay in enumerate(delays):
            found = order[rows[neuron * delays.size + place] : rows[neuron * delays.size + place + 1]]
            assert list(found) == [k for k in range(source.size) if source[k] == neuron and each[k] == delay]


# ---------------------------------------------------------------------------------------------------------------------------------------- Synapses
@pytest.fixture
def G() -> NeuronGroup:
    G = NeuronGroup(5, "dv/dt = -v/(10*ms) : volt\nx : 1\ntwice = 2*x : 1", threshold="v > 10*mV", reset="v = 0*mV", name="cells")
    G.x = "i*10"
    return G


@pytest.fixture
def S(G: NeuronGroup) -> Synapses:
    return Synapses(G, model="w : 1\ndouble = 2*w : 1", on_pre="v_post += w*mV", on_post="w += 0.1", name="links")


def pairs(S: Synapses) -> list[tuple[int, int]]:
    return list(zip(S.i[:].tolist(), S.j[:].tolist()))


CONDITIONS: dict[str, Callable[[int, int], bool]] = {
    "i != j": lambda i, j: i != j,
    "abs(i - j) == reach": lambda i, j: abs(i - j) == 2,
    "x_pre < x_post and x_post <= 30": lambda i, j: i < j <= 3,
    "twice_pre > 50": lambda i, j: i > 2,
    "i < N_pre - 3 or j == N_post - 1": lambda i, j: i < 2 or j == 4,
    "True": lambda i, j: True,
    "False": lambda i, j: False,
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions_in_text(S: Synapses, condition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reach = 2
    monkeypatch.setattr(rules, "CHUNK", 7)
    S.connect(condition)
    assert pairs(S) == [(i, j) for i in range(5) for j in range(5) if CONDITIONS[condition](i, j)]
    assert reach == 2 and S.connected


def test_calls_append(S: Synapses) -> None:
    S.connect(i=[4, 0], j=1)
    S.w = 3
    S.connect("i == j", n=2)
    S.connect(False)
    S.connect(i=[], j=[])
    S.connect(i=0, j=[0, 1], n="1 + j")
    expected = [(4, 1), (0, 1), *[(k, k) for k in range(5) for _ in range(2)], (0, 0), (0, 1), (0, 1)]
    assert pairs(S) == expected and len(S) == S.N == len(expected)
    assert list(S.w) == [3, 3] + [0] * (len(S) - 2) and S.state["N"] == len(S)
    assert list(S.N_outgoing_pre) == [6, 2, 2, 2, 3] and S.N_incoming_post.sum() == len(S)


def test_probability_in_text_and_number(G: NeuronGroup) -> None:
    big = NeuronGroup(400, "x : 1")
    S = Synapses(big, big, "w : 1")
    S.connect("i != j", p="0.2*int(i < 200)")
    assert abs(len(S) - 0.2 * 200 * 399) < 5 * np.sqrt(0.2 * 0.8 * 200 * 399) and S.i[:].max() < 200 and not np.any(S.i == S.j)
    T = Synapses(big, big, "w : 1")
    T.connect(p=0.1)
    T.connect(i=np.arange(400), j=np.arange(400), p=0.5)
    assert abs(len(T) - 16_200) < 650


def test_seed_repeats_connections_and_calls_differ(G: NeuronGroup) -> None:
    found = []
    for number in (1, 1, 2):
        seed(number)
        S, T = Synapses(G, G, "w : 1"), Synapses(G, G, "w : 1")
        S.connect(p=0.5)
        T.connect(p=0.5)
        found.append((pairs(S), pairs(T)))
    assert found[0] == found[1] != found[2] and found[0][0] != found[0][1]


def test_indexing_by_neurons(S: Synapses) -> None:
    S.connect("i != j")
    S.connect(i=0, j=1)
    S.w = "100*i + 10*j"
    S.w[-1] = 1
    assert list(S.w[0, 1]) == [10, 1] and list(S.w[1, :]) == [100, 120, 130, 140] and list(S.w[:, 0]) == [100, 200, 300, 400]
    assert list(S.w[[1, 2], 3:]) == [130, 140, 230, 240] and list(S.w["i == 4"]) == [400, 410, 420, 430] and S.w[3] == 40
    assert list(S.w["i > 2", "j < 1"]) == [300, 400] and S.w[0, 0].size == 0 and list(S.double[2, 0]) == [400]
    S.w[0, :] = "w + 1"
    S.w[4, 3] += 5
    S.w["x_pre > 30 and j == 0"] = -1
    assert list(S.w[0, :]) == [11, 21, 31, 41, 2] and S.w[4, 3][0] == 435 and S.w[4, 0][0] == -1
    for nothing in (S.w[5, 0], S.w[-1, :], S.w[:, 5], S.w[[], :]):
        assert nothing.size == 0, "as in Brian, a neuron that does not exist has no synapses"
    assert list(S.w[[1, 9, -1], 0]) == [100] and list(S.w[np.arange(5) == 1, 0]) == [100] and np.array_equal(S.w[0, :, :], S.w[0, :])
    with pytest.raises(IndexError, match="give it multisynaptic_index='k'"):
        S.w[0, 0, 0]
    with pytest.raises(IndexError, match="have the indices .synapse., .i, j. or .i, j, k., not 4"):
        S.w[0, 0, 0, 0]
    with pytest.raises(IndexError, match=r"must have shape \(5,\), not \(3,\)"):
        S.w[np.ones(3, bool), :]
    with pytest.raises(TypeError, match="indexed by whole numbers"):
        S.w[0.5, :]


def test_multisynaptic_index(G: NeuronGroup) -> None:
    S = Synapses(G, G, "w : 1\nodd = k % 2 : integer", on_pre="w += k", multisynaptic_index="k", name="links")
    S.connect(i=[0, 0, 1, 0], j=[1, 2, 2, 1])
    assert list(S.k) == [0, 0, 0, 1] and S.multisynaptic_index == "k"
    S.connect(j="i if i < 2", n="3 - i")
    S.connect(i=0, j=1)
    assert pairs(S) == [(0, 1), (0, 2), (1, 2), (0, 1), (0, 0), (0, 0), (0, 0), (1, 1), (1, 1), (0, 1)]
    assert list(S.k) == [0, 0, 0, 1, 0, 1, 2, 0, 1, 2] and list(S.odd[:]) == [0, 0, 0, 1, 0, 1, 0, 0, 1, 0]
    S.w = "100*i + 10*j + k"
    assert list(S.w[0, 1, 1]) == [11] and list(S.w[0, 1, :]) == [10, 11, 12] and list(S.w[:, :, 2]) == [2, 12] and list(S.w[0, :, 1:]) == [11, 1, 2, 12]
    assert list(S.w[:, 1, [0, 2]]) == [10, 110, 12] and list(S.w["i == 1", :, "odd == 1"]) == [111] and list(S.w["k == 2 and j == 1"]) == [12]
    assert S.w[0, 1, 5].size == 0 and list(S.w[:, 0, ::2]) == [0, 2]
    S.w[0, 1, 1] = "w + N_outgoing"
    S.w[:, :, 2] = -1
    assert list(S.w[0, 1]) == [10, 18, -1] and S.w[6] == -1


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=12), max_size=3))
def test_numbers_and_counts_of_synapses_equal_loops(calls: list[list[tuple[int, int]]]) -> None:
    S = Synapses(NeuronGroup(3, ""), NeuronGroup(4, ""), multisynaptic_index="k")
    every: list[tuple[int, int]] = []
    for call in calls:
        S.connect(i=[i for i, _ in call], j=[j for _, j in call])
        every += call
        assert list(S.k) == [every[:n].count(pair) for n, pair in enumerate(every)]
        assert list(S.N_outgoing[:]) == [sum(i == a for a, _ in every) for i, _ in every]
        assert list(S.N_incoming[:]) == [sum(j == b for _, b in every) for _, j in every]
        assert list(S.N_incoming_post) == [sum(j == b for _, b in every) for j in range(4)]
    for n, (i, j) in enumerate(every):
        assert S[i, j, int(S.k[n])].indices.tolist() == [n]


def test_counts_are_kept_only_where_somebody_reads_them(S: Synapses, G: NeuronGroup) -> None:
    S.connect("i < 2 and j < 3 - i")
    assert "N_incoming" not in S.state and "N_outgoing" not in S.state
    assert list(S.N_incoming) == [2, 2, 1, 2, 2] and list(S.N_outgoing[:]) == [3, 3, 3, 2, 2]
    before = S.snapshot()
    S.connect(i=0, j=0)
    S.w = "N_incoming*10 + N_outgoing"
    assert list(S.w) == [34, 24, 14, 32, 22, 34] and list(S.N_incoming["N_outgoing > 3"]) == [3, 2, 1, 3]
    S.restore(before)
    assert list(S.N_incoming) == [2, 2, 1, 2, 2]
    fresh = Synapses(G, G, "w : 1", name="fresh")
    fresh.connect()
    kept = fresh.snapshot()
    assert fresh.N_incoming[0] == 5
    fresh.connect("i == j")
    fresh.restore(kept)
    assert list(fresh.N_incoming) == [5] * 25, "counted anew, since the snapshot had none"
    for name in ("N_incoming", "N_outgoing", "N_incoming_post", "N_pre"):
        with pytest.raises(TypeError):
            setattr(S, name, 3)


@pytest.mark.parametrize("engine", ["numpy", "cython"])
def test_counts_and_multisynaptic_index_in_a_run(engine: str) -> None:
    prefs.codegen.target = engine
    try:
        source = SpikeGeneratorGroup(2, [0, 1], [0, 0.1] * ms)
        target = NeuronGroup(2, "v : 1")
        S = Synapses(source, target, "share = 1.0/N_incoming : 1", on_pre="v_post += share*(1 + k) + 100*N_outgoing", multisynaptic_index="k", name="links")
        S.connect(i=[0, 0, 1, 1], j=[0, 0, 0, 1])
        monitor = StateMonitor(S, ["k", "N_incoming", "share"], record=S[:, 0])
        net = Network(source, target, S, monitor)
        net.run(0.2 * ms)
        assert np.allclose(target.v[:], [1 / 3 + 2 / 3 + 400 + 1 / 3 + 200, 1 + 200], rtol=1e-12)
        assert monitor.N_incoming.tolist() == [[3, 3]] * 3 and monitor.k[:, 0].tolist() == [0, 1, 0] and np.allclose(monitor.share, 1 / 3)
    finally:
        prefs.reset_to_defaults()


def test_parts_of_synapses(S: Synapses, G: NeuronGroup) -> None:
    S.connect("i != j")
    S.w = "10*i + j"
    part = S[0, :]
    assert len(part) == 4 and part.indices.tolist() == [0, 1, 2, 3] and np.asarray(part).tolist() == [0, 1, 2, 3] and part.synapses is S
    assert repr(part) == "<SynapticSubgroup: 4 of the 20 synapses of 'links'>"
    assert list(S.w[part]) == [1, 2, 3, 4] and S["i == 4 and j > 1"].indices.tolist() == [18, 19] and S[3].indices.tolist() == [3]
    assert S[2:4].indices.tolist() == [2, 3] and S[[5, 1]].indices.tolist() == [5, 1] and len(S[:]) == 20 and S.indices[1, :].tolist() == [4, 5, 6, 7]
    assert StateMonitor(S, "w", record=S[:, 4]).record.tolist() == [3, 7, 11, 15] and StateMonitor(S, "w", record=S["w > 41"]).record.tolist() == [18, 19]
    monitor = StateMonitor(S, "w", record=True)
    monitor.append(np.zeros(1), {"w": S.w[:][None, :]})
    assert monitor[S[2, :]].w.ravel().tolist() == [20, 21, 23, 24]
    other = Synapses(S, S)
    other.connect(i=0, j=S[1, :])
    assert other.j[:].tolist() == [4, 5, 6, 7]
    with pytest.raises(IndexError, match="<SynapticSubgroup: 4 of the 20 synapses of 'links'> cannot index"):
        other.j[part]
    S.connect(i=0, j=0)
    with pytest.raises(RuntimeError, match="synapses have been added to 'links' since this part of it was chosen"):
        S.w[part]


def test_parts_of_groups_as_indices(G: NeuronGroup) -> None:
    S = Synapses(G[1:4], G, "w : 1")
    S.connect()
    S.w = "10*i + j"
    assert list(S.w[G[2:3], G[3:]]) == [13, 14] and list(S.w[G[3:5], 0]) == [20] and S.w[G[0:1], :].size == 0
    T = Synapses(G[1:4], G)
    T.connect(i=G[2:4], j=G[1:3])
    assert pairs(T) == [(1, 1), (2, 2)]
    with pytest.raises(IndexError, match="i contains -1, but the source has neurons 0 to 2"):
        T.connect(i=G[0:1], j=0)


def test_former_names_of_arguments(G: NeuronGroup) -> None:
    with pytest.warns(DeprecationWarning, match="the argument pre of Synapses.. is now called on_pre"):
        S = Synapses(G, G, "w : 1", pre="v_post += w*mV")
    assert S.pre.code == "v_post += w*mV"
    with pytest.warns(DeprecationWarning, match="the argument post of Synapses.. is now called on_post"):
        S = Synapses(G, G, "w : 1", None, None, None, {"back": "w += 1"})
    assert list(S.pathways) == ["back"]


def test_arguments_by_position(G: NeuronGroup) -> None:
    S = Synapses(G, G, "w : 1", "w += k", None, "w -= k*few", None, None, 1 * ms, "spike", "k", {"few": 3}, None, None, None, None, 2, "euler", None, "wires")
    assert (S.name, S.order, S.namespace, S.multisynaptic_index, S.pre.code, S.post.code) == ("wires", 2, {"few": 3}, "k", "w += k", "w -= k*few")
    assert S.delay[:] == 1 * ms and S.method == "euler"


def test_reading_before_connect_gives_nothing(S: Synapses) -> None:
    assert S.w[:].size == S.i[:].size == S.N_incoming[:].size == len(S) == 0 and list(S.N_outgoing_pre) == [0] * 5


def test_delays(S: Synapses, G: NeuronGroup) -> None:
    S.connect("i == j")
    assert S.delay_steps("pre") == 0 and "_delay_pre" not in S.state, "nobody asked, so no memory is spent"
    S.delay = 1 * ms
    assert S.delay_steps("pre") == 10 and S.delay_steps("post") == 0 and S.pre.delay[0] == 1 * ms
    S.pre.delay = "i*0.1*ms + 0.06*ms"
    assert list(S.delay_steps("pre")) == [1, 2, 3, 4, 5]
    S.post.delay[2] = 0.26 * ms
    assert list(S.delay_steps("post")) == [0, 0, 3, 0, 0] and list(S.delay_steps("post", 1e-5)) == [0, 0, 26, 0, 0]
    S.connect(i=0, j=1)
    assert S.delay[5] == 0 * ms and len(S.post.delay) == 6
    S.delay[0] = -1 * ms
    with pytest.raises(ValueError, match="synapse 0 of 'links' has -0.001 s"):
        S.delay_steps("pre")
    with pytest.raises(DimensionMismatchError):
        S.delay = 3


@pytest.mark.parametrize("delay, steps", [(0.0, 0), (0.049, 0), (0.051, 1), (0.1, 1), (0.14, 1), (0.16, 2), (25.6, 256)])
def test_delays_round_to_the_nearest_step(G: NeuronGroup, delay: float, steps: int) -> None:
    S = Synapses(G, G, on_pre="v_post += 1*mV", delay=delay * ms)
    S.connect()
    assert S.delay_steps("pre") == steps and S.delay[:] == delay * ms


def test_pathways(G: NeuronGroup) -> None:
    S = Synapses(G, G, "w : 1", on_pre={"up": "w += 1", "down": "w -= 1"}, on_post="w *= 2", delay={"up": 2 * ms, "post": 1 * ms}, order=3, name="links")
    S.connect("i == j")
    assert [(p.key, p.name, p.order, p.when, p.code) for p in S.pathways.values()] == [
        ("up", "links_up", -1, "synapses", "w += 1"),
        ("down", "links_down", -1, "synapses", "w -= 1"),
        ("post", "links_post", 1, "synapses", "w *= 2"),
    ]
    assert [S.delay_steps(key) for key in S.pathways] == [20, 0, 10] and S.up.source is G and [p.name for p in S.model.pathways] == ["up", "down", "post"]
    S.up.delay = 3 * ms
    assert S.up.delay[:] == 3 * ms
    with pytest.raises(AttributeError, match="'links' has no variable or attribute 'delay'"):
        S.delay  # noqa: B018


WRONG: dict[str, tuple[type[Exception], str]] = {
    "S.w[:] = 1": (TypeError, "'links' has no synapses yet: call links.connect(...) first"),
    "S.w = 1": (TypeError, "'links' has no synapses yet: call links.connect(...) first"),
    "S.connect('i =< j')": (ModelError, ""),
    "S.connect('i')": (ModelError, "`i` is a number where a condition is needed"),
    "S.connect('v_pre > 1')": (UnitError, "`v_pre > 1` compares volt with a plain number"),
    "S.connect('w > 1')": (EquationError, "`w` belongs to single synapses, and connect() decides which there are"),
    "S.connect('unknown > 1')": (UnknownNameError, "`unknown` is not known"),
    "S.connect(p='N_incoming*0.1')": (EquationError, "`N_incoming` belongs to single synapses"),
    "S.connect('double > 1')": (EquationError, "`w` belongs to single synapses"),
    "S.connect(p='i*volt')": (UnitError, "`i*volt` has the unit volt where 1 is needed"),
    "S.connect(p=float('nan'))": (ValueError, "p must be a probability between 0 and 1, not nan"),
    "S.connect(p=None)": (TypeError, "p must be a probability or an expression in a string, not None"),
    "S.connect(n=1.5)": (TypeError, "n must be a whole number of synapses, not 1.5"),
    "S.connect(n='-1')": (ValueError, "n must not be negative, but is -1"),
    "S.connect('i == j', i=0, j=0)": (ValueError, "connect() takes either a condition or i and j"),
    "S.connect(i=0)": (ValueError, "connect() needs both i and j, or one of them as text"),
    "S.connect(j=[0])": (ValueError, "connect() needs both i and j, or one of them as text"),
    "S.connect(i=0, j=0, skip_if_invalid=True)": (ValueError, "skip_if_invalid is for generators in text"),
    "S.connect('k for k in range(3)')": (EquationError, "a generator cannot be the condition of connect()"),
    "S.connect(i=7, j=0)": (IndexError, "i contains 7, but the source has neurons 0 to 4"),
    "S.connect([0, 1], [1, 2])": (TypeError, "the condition of connect() is text, True or False, not [0, 1]"),
    "S.connect([0, 1])": (TypeError, "the condition of connect() is text, True or False, not [0, 1]"),
    "S.i = 3": (TypeError, "'i' of 'links' is read-only"),
    "S[0]": (IndexError, "index 0 is out of range for 'links' with 0 elements"),
    "Synapses(G, G, connect='i == j')": (TypeError, "Synapses() has no argument connect; make the object, then call its method connect(...)"),
    "Synapses(G, G, pre='v += 1*mV', on_pre='v += 1*mV')": (TypeError, "Synapses() takes either on_pre or its former name pre, not both"),
    "Synapses(G, G, post='v += 1*mV', on_post='v += 1*mV')": (TypeError, "Synapses() takes either on_post or its former name post, not both"),
    "Synapses(G, G, multisynaptic_index=3)": (TypeError, "multisynaptic_index is the name of a variable, not 3"),
    "Synapses(G, G, 'w : 1', multisynaptic_index='w')": (EquationError, "`w` is declared twice"),
    "Synapses(G, G, multisynaptic_index='x')": (EquationError, "`x` is also a variable of the neurons"),
    "Synapses(G, G, multisynaptic_index='j')": (EquationError, "`j` is reserved"),
    "Synapses(G, G, multisynaptic_index='_k')": (EquationError, "`_k` begins with an underscore"),
    "Synapses(3, G)": (TypeError, "the source of Synapses must be a group of neurons or Synapses, not int"),
    "Synapses(G, G, 'v : 1')": (EquationError, "`v` is also a variable of the neurons"),
    "Synapses(G, G, 'dw/dt = -w*v_post/(1*second) : 1 (event-driven, clock-driven)')": (EquationError, "`w` cannot be both event-driven and clock-driven"),
    "Synapses(G, G, 'v_post = w : 1 (summed)')": (ModelError, ""),
    "Synapses(G, G, on_pre=3)": (TypeError, "on_pre must be text, or a dict from names of pathways to text, not 3"),
    "Synapses(G, G, on_pre={'connect': 'v += 1*mV'})": (EquationError, "`connect` cannot name a pathway"),
    "Synapses(G, G, delay=1*ms)": (ValueError, "delay is given for pathway 'pre', but 'synapses"),
    "Synapses(G, G, on_pre='v += 1*mV', delay=-1*ms)": (ValueError, "a delay must be finite and not negative, not -0.001 s"),
    "Synapses(G, G, on_pre='v += 1*mV', delay=3)": (DimensionMismatchError, "delay of 'pre' must be a time such as 0.1*ms, not 3 (no unit)"),
}


@pytest.mark.parametrize("code", WRONG)
def test_wrong_use_is_refused_and_creates_nothing(S: Synapses, G: NeuronGroup, code: str) -> None:
    error, text = WRONG[code]
    with pytest.raises(error) as caught:
        exec(code, {"S": S, "G": G, "Synapses": Synapses, "ms": ms, "second": second})
    assert str(caught.value).startswith(text)
    assert len(S) == 0 and not S.connected


def test_snapshots_hold_connections(S: Synapses) -> None:
    S.connect("i == j")
    S.w, S.delay = "i", 1 * ms
    kept = S.snapshot()
    S.connect()
    S.w = -1
    S.restore(kept)
    assert pairs(S) == [(k, k) for k in range(5)] and list(S.w) == [0, 1, 2, 3, 4] and S.delay_steps("pre") == 10 and S.state["N"] == 5


def test_inputs_can_be_connected_and_objects_go_when_nobody_needs_them(G: NeuronGroup) -> None:
    def connected(source: Group) -> weakref.ref[Synapses]:
        S = Synapses(source, G, "w : volt", on_pre="v_post += w")
        S.connect("i >= 0")
        S.w = "i*mV"
        S.pre.delay += 1 * ms
        assert (S.N_pre, S.N_post, len(S)) == (source.N, 5, source.N * 5)
        return weakref.ref(S)

    gc.disable()  # no reference cycle may keep large arrays alive
    try:
        assert all(connected(source)() is None for source in (InputGroup(3), PoissonGroup(2, 5 * Hz)))
    finally:
        gc.enable()


@settings(max_examples=20)
@given(st.lists(st.integers(0, 40), max_size=8))
def test_many_small_calls_equal_one_large(counts: list[int]) -> None:
    G = NeuronGroup(50, "")
    one, many = Synapses(G, G, "w : 1"), Synapses(G, G, "w : 1")
    i = np.arange(sum(counts)) % 50
    one.connect(i=i, j=i)
    for start, count in zip(np.cumsum([0, *counts]), counts):
        many.connect(i=i[start : start + count], j=i[start : start + count])
    if counts:
        many.w = "i"
        one.w = "i"
        assert pairs(one) == pairs(many) and np.array_equal(one.w[:], many.w[:])


# ----------------------------------------------------------------------------------------------------------------------------------- exact laws, bounds
@pytest.mark.parametrize("width", [0, 4, 8])
def test_kernels_of_all_widths_draw_the_same(width: int) -> None:
    """The plain kernels are the definition; a processor that lacks wide vectors compares narrower ones."""
    results = []
    widest = _connections.use_width(8)
    try:
        for one in (0, width):
            _connections.use_width(one)
            pairs = [rules.by_condition(40, 1500, None, p, key(7)) for p in (0.004, 0.0899, 0.09, 0.3, 0.98)]
            chosen = np.random.default_rng(1).random(1003) < 0.3
            pairs.append(_connections.keep(chosen, np.arange(1003, dtype=np.int32), np.arange(5, 1008, dtype=np.int32)))
            assert np.array_equal(pairs[-1][0], np.flatnonzero(chosen)) and np.array_equal(pairs[-1][1], np.flatnonzero(chosen) + 5)
            numbers = [_connections.fill(law, np.empty(1003), (1, 2), 3, 4, 5, 6) for law in ("uniform", "normal")]
            results.append([*(side for pair in pairs for side in pair), *numbers])
    finally:
        _connections.use_width(widest)
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(*results)) and all(len(side) for side in results[0])


@pytest.mark.parametrize("p", [1e-4, 3e-3, 0.02, 0.0899, 0.09, 1 / 3, 0.5, 0.77, 0.99])
def test_distances_between_neighbours_have_the_geometric_law(p: float) -> None:
    """Over the whole range of p, in both ways of drawing (below and from 0.09 on): chi-square of the gaps within rows, 20 classes, 1 in 1e5 above 60."""
    n_post = int(min(400 / p, 2_000_000)) + 700
    i, j = rules.by_condition(400 if p > 0.01 else 100, n_post, None, p, key(int(1e6 * p)))
    gaps = np.diff(j.astype(np.int64))[np.diff(i) == 0] - 1
    levels = np.floor(np.log1p(-np.arange(1, 20) / 20) / np.log1p(-p)).astype(int)
    edges = np.unique(np.clip(levels, 1, None))
    below = 1 - (1 - p) ** np.append(edges, np.inf)
    expected = np.diff(np.append(0.0, below)) * gaps.size
    counts = np.bincount(np.searchsorted(edges, gaps, side="right"), minlength=expected.size)
    assert gaps.size > 10_000 and np.sum((counts - expected) ** 2 / expected) < 60
    assert abs(j.size - (i[-1] + 1) * n_post * p) < 5 * np.sqrt(i[-1] * n_post * p * (1 - p)) + 5


def test_normal_numbers_have_the_normal_law() -> None:
    """Kolmogorov and Smirnov's distance of 400,000 numbers (1 in 1e5 above 2.5), and the fourth moment."""
    values = np.sort(_connections.fill("normal", np.empty(400_000), (5, 6), 0, 0, 0))
    law = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in values[::50]])
    assert np.max(np.abs(law - np.arange(0, values.size, 50) / values.size)) * math.sqrt(values.size) < 2.5
    assert abs(np.mean(values**4) - 3) < 5 * math.sqrt(96 / values.size)
    places = np.arange(400_000)
    reference = [np.asarray(word) for word in randomness.philox((np.zeros_like(places), places, np.zeros_like(places), np.zeros_like(places)), (5, 6))]
    u, v = randomness._unit(reference[0], reference[1]), randomness._unit(reference[2], reference[3])
    expected = np.sqrt(-2.0 * np.log(1.0 - u)) * np.cos(6.283185307179586 * v)
    assert np.allclose(np.sort(expected), values, rtol=1e-13, atol=1e-14)


TEXTS_OF_PAIRS = [
    "abs(i - j) < 9",
    "i == j",
    "i != j",
    "not (i > 3 or j >= 90)",
    "(x_pre - y_post)**2 < 1 and x_pre > 0",
    "i % 7 == 0",
    "x_pre*y_post > 2.5",
    "sqrt(x_pre) > 1.2 and exp(-j/20.0) < 0.4",
    "int(x_pre) == 2",
    "i*int(j > 50) > 100",
    "1/(i - 20.0) > 0.3",
    "log(y_post) > 0",
    "clip(i, 20, 40) > 39 and -j > -30",
]


@pytest.mark.parametrize("text", TEXTS_OF_PAIRS)
def test_candidates_that_bounds_leave_out_are_none(text: str) -> None:
    """The same synapses as with a condition about which nothing is known (`rand()` is below 1), in the same order."""
    pre, post = NeuronGroup(150, "x : 1"), NeuronGroup(130, "y : 1")
    pre.x, post.y = "sin(i)*3", "2*cos(0.1*i)"
    known, unknown = Synapses(pre, post), Synapses(pre, post)
    known.connect(text)
    unknown.connect(f"({text}) and rand() < 1")
    assert pairs(known) == pairs(unknown) and 0 < len(known) < 150 * 130


PROBABILITIES = ["0.3*exp(-abs(i - j)/10.0)", "clip(x_pre, 0, 1)*0.5", "0.4*int(abs(i - 2*j) < 40)", "0.9*rand()", "exp(-(x_pre - y_post)**2/0.1)"]


@pytest.mark.parametrize("p", PROBABILITIES)
@pytest.mark.parametrize("condition", [None, "i != j"])
def test_probabilities_thinned_below_bounds_keep_their_law(p: str, condition: str | None) -> None:
    """The number of synapses of 25 blocks, over 60 draws, against the sums of p: chi-square, 1 in 1e5 above 64."""
    n = 100
    G = NeuronGroup(n, "x : 1\ny : 1")
    G.x, G.y = "sin(i)", "cos(0.3*i)"
    i, j = np.repeat(np.arange(n), n), np.tile(np.arange(n), n)
    names = {"i": i, "j": j, "x_pre": G.x[:][i], "y_post": G.y[:][j], "exp": np.exp, "abs": np.abs, "clip": np.clip, "rand": lambda: 0.5}
    chance = eval(p.replace("int(abs(i - 2*j) < 40)", "(abs(i - 2*j) < 40)"), names) * np.ones(n * n)
    chance *= (i != j) if condition else 1
    block = i // 20 * 5 + j // 20
    counts, draws = np.zeros(25), 60
    for _ in range(draws):
        S = Synapses(G, G)
        S.connect(condition, p=p)
        counts += np.bincount(S.i[:] // 20 * 5 + S.j[:] // 20, minlength=25)
        assert np.all(np.diff(S.i[:].astype(int) * n + S.j[:]) > 0)
    mean = np.bincount(block, chance, minlength=25) * draws
    variance = np.bincount(block, chance * (1 - chance), minlength=25) * draws
    seen = variance > 0
    assert np.sum((counts - mean)[seen] ** 2 / variance[seen]) < 64 and not counts[mean == 0].any()


def test_pages_behind_the_end_are_no_synapses() -> None:
    S = Synapses(NeuronGroup(300, ""), NeuronGroup(300, ""), "w : 1")
    S.connect(p=0.2)
    assert S.state.base("j").size % 16 == 0 and not S.state.base("j")[len(S) :].any() and not S.state.base("i")[len(S) :].any()


@pytest.mark.parametrize("p", [0.02, 0.4, 1.0, "array", falling])
@pytest.mark.parametrize("condition", [None, close])
@pytest.mark.parametrize("n", [1, 2])
def test_threads_change_nothing(p: object, condition: Callable | None, n: int) -> None:
    p = np.linspace(-0.1, 1.1, 101) if isinstance(p, str) else p
    results = [rules.by_condition(101, 333, condition, p, key(3), n, chunk=chunk, threads=threads) for chunk, threads in ((None, 1), (57, 2), (None, 5))]
    for i, j in results[1:]:
        assert np.array_equal(i, results[0][0]) and np.array_equal(j, results[0][1]) and i.size


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 4), st.booleans(), st.booleans())
def test_pieces_are_sorted_as_one(number: int, count: int, threads: int, delayed: bool, in_order: bool) -> None:
    """Rows, order and local targets of pieces, with parts, against a stable sort of all of them behind each other."""
    rng, n_source, n_target = np.random.default_rng(number), 9, 40
    pieces, keys, far = [], [], []
    part_of = (np.arange(n_target) // 13).astype(np.int32)
    for n in range(count):
        size = int(rng.integers(0, 60))
        source = rng.integers(0, n_source, size).astype(np.int32)
        source = np.sort(source) if in_order else source
        delays = (rng.integers(0, 4, size) * 5).astype(np.int32) if delayed else 7 + n % 2
        target = rng.integers(0, 20, size).astype(np.int32)
        pieces.append(sorting.Piece(source, delays, target, 20 * (n % 2)))
        far.append(target + 20 * (n % 2))
        keys.append(np.stack([source, np.broadcast_to(delays, source.shape), part_of[far[-1]]], axis=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "SHARED_FROM", 1)
        found = sorting.sorted_pieces(pieces, n_source, part_of=part_of, parts=5, local=np.arange(100, 100 + n_target, dtype=np.uint16), threads=threads)
    key, target = np.concatenate(keys), np.concatenate(far)
    order = np.lexsort((np.arange(len(key)), key[:, 2], key[:, 1], key[:, 0]))
    assert np.array_equal(np.arange(len(key)) if found.order is None else found.order, order) and np.array_equal(found.ends, target[order] + 100)
    shared = {int(piece.delays) for piece in pieces if np.ndim(piece.delays) == 0}
    assert list(found.delays) == (sorted({*key[:, 1].tolist()} | shared) or [0])
    row = (key[:, 0] * len(found.delays) + np.searchsorted(found.delays, key[:, 1])) * 5 + key[:, 2]  # the fifth part has no targets
    assert np.array_equal(found.rows, np.searchsorted(np.sort(row), np.arange(n_source * len(found.delays) * 5 + 1)))


def test_texts_write_the_same_in_chunks_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for chunk, threads in ((1 << 15, 1), (7, 1), (7, 3)):
        monkeypatch.setattr(deferred, "CHUNK", chunk)
        monkeypatch.setattr(deferred, "SHARED_FROM", 1)
        monkeypatch.setitem(prefs, "core.threads", threads)
        seed(5)
        S = Synapses(NeuronGroup(30, "x : 1"), NeuronGroup(20, ""), "w : 1")
        S.connect(p=0.3)
        S.source.x = "rand()"
        S.w = "x_pre + clip(0.1*randn(), 0, inf) + 10*i + rand()"
        S.w = "2*w + j"
        results.append(np.array(S.w[:]))
    assert np.array_equal(results[0], results[1]) and np.array_equal(results[0], results[2]) and np.unique(results[0]).size > 150
    seed(None)


@pytest.mark.parametrize("count", [1, 2, 8, 9, 12])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int8])
def test_values_of_pieces_are_gathered_as_of_one(count: int, dtype: type) -> None:
    rng = np.random.default_rng(count)
    pieces = [rng.integers(0, 100, size).astype(dtype) for size in rng.integers(0, 30, count)]
    whole = np.concatenate(pieces)
    order = rng.permutation(whole.size).astype(np.int32)
    out = np.empty(whole.size, dtype)
    sorting.gathered(pieces, order, out, threads=2)
    assert np.array_equal(out, whole[order])
    if whole.size and dtype is np.float64:
        with pytest.raises(ValueError, match="there is no value"):
            sorting.gathered(pieces, order + np.int32(whole.size), out)
