"""Generators of `connect`: their grammar, the pairs they give against loops in Python, and the laws of what they draw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brianlike import connect as rules
from brianlike.groups import NeuronGroup
from brianlike.seeding import seed
from brianlike.synapses import Synapses
from brianlike.units import ms
from codegen.errors import EquationError, ModelError, UnitError, UnknownNameError
from codegen.expr import show
from codegen.generator import Generator, Range, Sample, parse_generator

N_PRE, N_POST = 7, 5


def groups() -> tuple[NeuronGroup, NeuronGroup]:
    source = NeuronGroup(N_PRE, "x : 1\ndoubled = 2*x : 1\nlevel : 1 (shared)")
    target = NeuronGroup(N_POST, "y : 1\nlevel : 1 (shared)")
    source.x, target.y, source.level, target.level = "i - 2", "3 - i", 1, 2
    return source, target


def made(given_n: int | str = 1, **arguments: object) -> list[tuple[int, int]]:
    S = Synapses(*groups(), "w : 1\nnear = abs(i - j) : 1\ncommon : 1 (shared)", multisynaptic_index="number")
    reach = 2  # noqa: F841
    S.connect(n=given_n, **arguments)
    return list(zip(S.i[:].tolist(), S.j[:].tolist()))


# ----------------------------------------------------------------------------------------------------------------------------------------- grammar
def parts(generator: Generator) -> tuple[object, ...]:
    """A generator in words."""
    match generator.source:
        case None:
            source: tuple[object, ...] = ()
        case Range(low, high, step):
            source = ("range", show(low), show(high), show(step))
        case Sample(Range(low, high, step), p, size):
            source = ("sample", show(low), show(high), show(step), None if p is None else show(p), None if size is None else show(size))
    return (show(generator.element), generator.variable, source, None if generator.condition is None else show(generator.condition))


GRAMMAR: dict[str, tuple[object, ...]] = {
    "i": ("i", None, (), None),
    "i + 1 if i < N_pre - 1": ("i + 1", None, (), "i < N_pre - 1"),
    "k for k in range(10)": ("k", "k", ("range", "0", "10", "1"), None),
    "k for k in range(i-3, i+4) if i!=k": ("k", "k", ("range", "i - 3", "i + 4", "1"), "i != k"),
    "(k + i) % 5  for\n k\tin range(0, clip(i, 1, 3), 2)if rand() < 0.5": ("(k + i)%5", "k", ("range", "0", "clip(i, 1, 3)", "2"), "rand() < 0.5"),
    "k for k in sample(N_post, p = 0.1 * (i == 2)) # some": ("k", "k", ("sample", "0", "N_post", "1", "0.1*(i == 2)", None), None),
    "forest for forest in sample(1, inner, size=i//2)": ("forest", "forest", ("sample", "1", "inner", "1", None, "i//2"), None),
    "i for _ in range(3)": ("i", "a", ("range", "0", "3", "1"), None),
    "_k + ak for _k in range(3)": ("bk + ak", "bk", ("range", "0", "3", "1"), None),
}


@pytest.mark.parametrize("text", GRAMMAR)
def test_grammar(text: str) -> None:
    assert parts(parse_generator(text)) == GRAMMAR[text]


@pytest.mark.parametrize("text", GRAMMAR)
def test_every_part_knows_its_place(text: str) -> None:
    generator = parse_generator(text)
    assert generator.element.span is not None and generator.element.span.text == text and generator.element.span.start == 0
    if generator.condition is not None:
        assert generator.condition.span is not None and text[: generator.condition.span.start].rstrip().endswith("if")


@given(st.text("ijk_ (),=+<#[]'\n0.3", max_size=20) | st.lists(st.sampled_from("k for in if range( sample( ) , p= size= i < 3 _ N_post".split()), max_size=14))
def test_no_text_breaks_the_parser(text: str | list[str]) -> None:
    """Whatever is written is a generator or an error with a place in the text."""
    text = text if isinstance(text, str) else " ".join(text)
    try:
        parse_generator(text)
    except ModelError as error:
        assert error.span is not None and error.span.text == text


# ------------------------------------------------------------------------------------------------------------------------- against loops in Python
NUMBERS = {"0": lambda i: 0, "i": lambda i: i, "i - 2": lambda i: i - 2, "N_post": lambda i: N_POST, "2*i - 3": lambda i: 2 * i - 3, "reach": lambda i: 2}
STEPS = {"1": lambda i: 1, "2": lambda i: 2, "-1": lambda i: -1, "2*int(i > 2) - 1": lambda i: 2 * (i > 2) - 1, "reach": lambda i: 2}
ELEMENTS = {
    "k": lambda i, k: k,
    "i + k": lambda i, k: i + k,
    "(i + k) % N_post": lambda i, k: (i + k) % N_POST,
    "k // 2": lambda i, k: k // 2,
    "i": lambda i, k: i,
    "2": lambda i, k: 2,
    "x_pre + k": lambda i, k: i - 2 + k,
    "0.7*k": lambda i, k: int(0.7 * k),
}
CONDITIONS = {
    "": lambda i, j, k: True,
    "i != j": lambda i, j, k: i != j,
    "k > i - reach": lambda i, j, k: k > i - 2,
    "x_pre < y_post": lambda i, j, k: i - 2 < 3 - j,
    "y > 0 and doubled_pre > -4": lambda i, j, k: 3 - j > 0 and 2 * (i - 2) > -4,
    "i > 2": lambda i, j, k: i > 2,
    "near < 2": lambda i, j, k: abs(i - j) < 2,
    "x_pre": lambda i, j, k: i != 2,
    "level_post > level_pre and common == 0": lambda i, j, k: True,
    "False": lambda i, j, k: False,
    "k < N + N_pre": lambda i, j, k: k < N_PRE,
}
TIMES = {
    "1": lambda i, j, k: 1,
    "i": lambda i, j, k: i,
    "clip(k, 0, 2)": lambda i, j, k: min(max(k, 0), 2),
    "1 + int(y_post > 1)": lambda i, j, k: 1 + (3 - j > 1),
}


def loops(low: str, high: str, step: str, element: str, condition: str, n: str, skip: bool) -> list[tuple[int, int]] | str:
    """What Brian's documentation says of generators, pair by pair; `invalid` where a neuron that does not exist is reached."""
    found = []
    for i in range(N_PRE):
        if condition == "i > 2" and i <= 2:
            continue
        for k in range(NUMBERS[low](i), NUMBERS[high](i), STEPS[step](i)):
            j = ELEMENTS[element](i, k)
            exists = 0 <= j < N_POST
            if not exists and skip:
                continue
            if not exists and "y" in condition:
                return "invalid"
            if CONDITIONS[condition](i, j, k):
                if not exists:
                    return "invalid"
                found += [(i, j)] * TIMES[n](i, j, k)
    return found


@settings(max_examples=250, deadline=None)
@given(*map(st.sampled_from, map(sorted, (NUMBERS, NUMBERS, STEPS, ELEMENTS, CONDITIONS, TIMES))), st.booleans(), st.sampled_from([1, 3, 1 << 20]))
def test_generators_equal_loops(low: str, high: str, step: str, element: str, condition: str, n: str, skip: bool, chunk: int) -> None:
    text = f"{element} for k in range({low}, {high}, {step})" + (f" if {condition}" if condition else "")
    expected = loops(low, high, step, element, condition, n, skip)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "CHUNK", chunk)
        if expected == "invalid":
            with pytest.raises(IndexError, match=r"gives j = -?\d+ for i = \d, but the target 'neurongroup_?\d*' has neurons 0 to 4"):
                made(n, j=text)
        else:
            assert made(n, j=text, skip_if_invalid=skip) == expected


SHORT: dict[str, tuple[dict[str, object], list[tuple[int, int]]]] = {
    "one to one": ({"j": "i", "skip_if_invalid": True}, [(k, k) for k in range(5)]),
    "backwards": ({"i": "j"}, [(k, k) for k in range(5)]),
    "next": ({"j": "i + 1 if i < N_post - 1"}, [(k, k + 1) for k in range(4)]),
    "constant": ({"j": "reach"}, [(k, 2) for k in range(7)]),
    "of the source": ({"j": "x_pre if x_pre >= 0"}, [(i, i - 2) for i in range(2, 7)]),
    "neighbours": (
        {"j": "k for k in range(i - 1, i + 2) if i != k", "skip_if_invalid": True},
        [(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 2), (3, 4), (4, 3), (5, 4)],
    ),
    "by target": ({"i": "k for k in range(j, N_pre, 3)"}, [(0, 0), (3, 0), (6, 0), (1, 1), (4, 1), (2, 2), (5, 2), (3, 3), (6, 3), (4, 4)]),
    "by target and source": ({"i": "k for k in range(N_pre) if x_pre > 2 + y_post"}, [(i, j) for j in range(5) for i in range(7) if i - 2 > 5 - j]),
    "all of a sample": ({"j": "k for k in sample(3, -1, -2, p=1)"}, [(i, j) for i in range(7) for j in (3, 1)]),
    "whole sample": ({"j": "k for k in sample(1, N_post, size=4)"}, [(i, j) for i in range(7) for j in range(1, 5)]),
    "too large a sample": ({"j": "k for k in sample(2, size=99)", "skip_if_invalid": True}, [(i, j) for i in range(7) for j in range(2)]),
    "negative sample": ({"j": "k for k in sample(2, size=-1)", "skip_if_invalid": True}, []),
    "sample of nothing": ({"j": "k for k in sample(0, size=3)"}, []),
    "rows left out": ({"j": "k for k in sample(N_post, size=i - 3) if i > 7"}, []),
    "empty": ({"j": "k for k in range(0)"}, []),
    "text p": ({"condition": "i == j", "p": "1"}, [(k, k) for k in range(5)]),
    "p of rows": ({"p": "int(i == 2)"}, [(2, j) for j in range(5)]),
    "p and condition": ({"condition": "j < 2", "p": "2*int(x_pre == 0)"}, [(2, 0), (2, 1)]),
    "p above one": ({"condition": "j == 0", "p": 1.5}, [(i, 0) for i in range(7)]),
    "p below zero": ({"p": -0.5}, []),
    "p of columns": ({"p": "int(j == 2)"}, [(i, 2) for i in range(7)]),
    "by position": ({"condition": None, "i": [1, 2], "j": 3, "p": 1.0}, [(1, 3), (2, 3)]),
}


@pytest.mark.parametrize("case", SHORT)
def test_short_forms(case: str) -> None:
    arguments, expected = SHORT[case]
    assert made(**arguments) == expected


def test_arguments_by_position() -> None:
    S = Synapses(*groups())
    S.connect(None, None, "k for k in range(few) if rand() < p", 1, 2, False, {"few": 1, "p": 2}, 0)
    assert list(S.i) == [i for i in range(N_PRE) for _ in range(2)] and not np.any(S.j)


def test_names_of_the_caller_and_of_the_group() -> None:
    source, target = groups()
    few = 3

    def inner() -> list[int]:
        few = 1  # noqa: F841
        S, T = Synapses(source, target), Synapses(source, target, namespace={"few": 2})
        S.connect(j="k for k in range(few)", level=1)
        T.connect(j="k for k in range(few)")
        return [len(S), len(T)]

    assert inner() == [few * N_PRE, 2 * N_PRE]


def test_units_in_conditions() -> None:
    G = NeuronGroup(4, "x : second")
    G.x = "i*ms"
    S = Synapses(G, G)
    S.connect(j="k for k in range(N_post) if abs(x_pre - x_post) < 1.5*ms and i != j")
    assert list(zip(S.i, S.j)) == [(i, j) for i in range(4) for j in range(4) if abs(i - j) == 1]
    assert ms is not None


# ------------------------------------------------------------------------------------------------------------------------------------------- errors
WRONG: dict[str, tuple[type[Exception], dict[str, object]]] = {
    "out of range": (IndexError, {"j": "i + 1"}),
    "out of range, of the target's variables": (IndexError, {"j": "k for k in range(9) if y_post > 100"}),
    "out of range for i": (IndexError, {"i": "j + 5"}),
    "the neuron itself": (EquationError, {"j": "j + 1"}),
    "variables of the neuron itself": (EquationError, {"j": "k for k in range(y_post)"}),
    "unsuffixed variables of the neuron itself": (EquationError, {"j": "k for k in sample(N_post, p=0.1*y)"}),
    "for i": (EquationError, {"i": "x_pre"}),
    "of single synapses": (EquationError, {"j": "k for k in range(3) if w > 0"}),
    "of single synapses through a subexpression": (EquationError, {"j": "near"}),
    "counts": (EquationError, {"j": "k for k in range(N_incoming)"}),
    "multisynaptic index": (EquationError, {"j": "number"}),
    "fraction in a range": (TypeError, {"j": "k for k in range(N_post/2)"}),
    "unit in a range": (UnitError, {"j": "k for k in range(3*ms)"}),
    "no step": (ValueError, {"j": "k for k in range(0, 3, i)"}),
    "large sample": (IndexError, {"j": "k for k in sample(N_post, size=2*i)"}),
    "negative sample": (IndexError, {"j": "k for k in sample(N_post, size=i - 1)"}),
    "nan": (ValueError, {"j": "k for k in sample(N_post, p=0*inf)"}),
    "nan as neuron": (TypeError, {"j": "x_pre/x_pre"}),
    "unknown": (UnknownNameError, {"j": "k + q for k in range(3)"}),
    "unknown in what is never reached": (UnknownNameError, {"j": "k for k in range(0) if q > 1"}),
    "both texts": (TypeError, {"i": "j", "j": "i"}),
    "text and number": (TypeError, {"i": 0, "j": "i"}),
    "text and p": (ValueError, {"j": "i", "p": 0.5}),
    "text and text p": (ValueError, {"j": "i", "p": "0.5"}),
    "generator as condition": (EquationError, {"condition": "k for k in range(3)"}),
    "fraction as number of synapses": (TypeError, {"j": "i", "skip_if_invalid": True, "n": 0.5}),
    "negative number of synapses": (ValueError, {"j": "i if i < 3", "n": "-i"}),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_generators_make_nothing(case: str) -> None:
    S = Synapses(*groups(), "w : 1\nnear = w : 1", multisynaptic_index="number")
    error, arguments = WRONG[case]
    with pytest.raises(error):
        S.connect(**arguments)  # type: ignore[arg-type]
    assert len(S) == 0 and not S.connected


# ------------------------------------------------------------------------------------------------------------------------------------ laws of chance
def chi_square(counts: np.ndarray, expected: np.ndarray) -> float:
    return float(np.sum((counts - expected) ** 2 / expected))


def degrees(counts: np.ndarray, p: np.ndarray, trials: int) -> None:
    """Entries of `counts` are binomial numbers of `trials` with `p`; each within 5 standard deviations, and all together as spread as they should be."""
    possible = (p > 0) & (p < 1)
    assert np.array_equal(counts[~possible], trials * p[~possible])
    if not possible.any():
        return
    z = (counts - trials * p)[possible] / np.sqrt(trials * (p * (1 - p))[possible])
    assert np.abs(z).max() < 5 and abs(np.sum(z**2) - z.size) < 5 * np.sqrt(2 * z.size + np.sum(1 / (trials * (p * (1 - p))[possible])))


@pytest.mark.parametrize("chunk", [100, 1 << 20])
def test_probabilities_of_rows(chunk: int) -> None:
    """Each place of each row is drawn with the probability of the row, from 0 to 1, and places are independent."""
    trials = 2000
    sizes = np.array([0, 1, 5, 30, 7, 2, 30, 9])
    p = np.array([0.5, 0.3, 0.01, 0.1, 0.6, 0.97, 1.0, 0.0])
    counts, pairs = np.zeros((8, 30)), 0
    for trial in range(trials):
        found = list(rules.with_probability(sizes, p, (5, trial), chunk))
        row, place = (np.concatenate(part) for part in zip(*found))
        assert np.all(np.diff(row * 100 + place) > 0)
        counts[row, place] += 1
        pairs += np.count_nonzero(row == 3) ** 2
    for one, (size, chance) in enumerate(zip(sizes, p)):
        degrees(counts[one, :size], np.full(size, chance), trials)
        assert not counts[one, size:].any()
    # The number in row 3 is binomial: mean 3, variance 2.7.
    assert abs(pairs / trials - (2.7 + 9)) < 5 * 25 / np.sqrt(trials)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4])
def test_samples_of_a_size_are_uniform_over_subsets(size: int) -> None:
    """All subsets of 4 places occur equally often (chi-square, at most 5 degrees of freedom: 1 in 1e6 above 36)."""
    runs = 6000
    outcomes = np.zeros(16)
    for row, place in rules.of_size(np.full(runs, 4), np.full(runs, size), (6, size), 1000):
        assert np.all(np.diff(row * 4 + place) > 0)
        np.add.at(outcomes, np.bincount(row - row[0], weights=2.0**place).astype(int) if size else [0] * len(row), 1)
    if size == 0:
        assert not outcomes.any()
        return
    possible = [n for n in range(16) if bin(n).count("1") == size]
    assert outcomes[possible].sum() == runs == outcomes.sum()
    assert chi_square(outcomes[possible], np.full(len(possible), runs / len(possible))) < 36


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0, 1)), min_size=1, max_size=10), st.integers(1, 40), st.integers(0, 3))
def test_samples_of_a_size_have_that_size(rows: list[tuple[int, float]], chunk: int, number: int) -> None:
    sizes = np.array([size for size, _ in rows])
    wanted = np.array([int(size * part) for size, part in rows])
    found = [np.zeros((2, 0), int), *(np.stack(one) for one in rules.of_size(sizes, wanted, (7, number), chunk))]
    row, place = np.concatenate(found, axis=1)
    assert np.array_equal(np.bincount(row, minlength=sizes.size), wanted) and np.all((place >= 0) & (place < sizes[row]))
    assert np.all(np.diff(row * 100 + place) > 0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"j": "k for k in sample(N_post, p=0.1)"},
        {"j": "k for k in sample(N_post, p=0.1 + 0*x_pre)"},
        {"j": "k for k in range(N_post) if rand() < 0.1"},
        {"i": "k for k in sample(N_pre, p=0.1)"},
        {"p": 0.1},
        {"p": "0.1"},
        {"p": "0.1 + 0*x_pre"},
        {"p": "0.1 + 0*x_post"},
        {"condition": "rand() < 0.1"},
    ],
    ids=str,
)
def test_random_forms_have_one_law(arguments: dict[str, object]) -> None:
    seed(11)
    n_pre, n_post, p = 200, 300, 0.1
    S = Synapses(NeuronGroup(n_pre, "x : 1"), NeuronGroup(n_post, "x : 1"))
    S.connect(**arguments)
    degrees(S.N_outgoing_pre, np.full(n_pre, p), n_post)
    degrees(S.N_incoming_post, np.full(n_post, p), n_pre)
    order = S.j[:] * n_pre + S.i[:] if "i" in arguments else S.i[:] * n_post + S.j[:]
    assert np.all(np.diff(order) > 0)
    seed(None)


def test_probability_that_grows_with_the_row() -> None:
    seed(12)
    S = Synapses(NeuronGroup(101, "x : 1"), NeuronGroup(400, ""))
    S.connect(j="k for k in sample(N_post, p=i/(N_pre - 1))")
    degrees(S.N_outgoing_pre, np.arange(101) / 100, 400)
    S = Synapses(NeuronGroup(101, "x : 1"), NeuronGroup(400, ""))
    S.connect("j % 2 == 0", p="i/(N_pre - 1)")
    degrees(S.N_outgoing_pre, np.arange(101) / 100, 200)
    seed(None)


def test_fixed_in_degree_without_replacement() -> None:
    """The usual way to give each neuron the same number of inputs."""
    seed(13)
    S = Synapses(NeuronGroup(300, ""), NeuronGroup(500, ""))
    S.connect(i="k for k in sample(N_pre, size=30)")
    assert np.all(S.N_incoming_post == 30) and len(set(zip(S.i[:].tolist(), S.j[:].tolist()))) == 15_000
    degrees(S.N_outgoing_pre, np.full(300, 0.1), 500)
    seed(None)


def test_random_neurons_with_replacement() -> None:
    """As often done: `int(rand()*N)` for each of a fixed number of inputs."""
    seed(14)
    S = Synapses(NeuronGroup(50, ""), NeuronGroup(500, ""))
    S.connect(i="int(rand()*N_pre) for _ in range(20)")
    assert np.all(S.N_incoming_post == 20)
    assert chi_square(S.N_outgoing_pre, np.full(50, 200.0)) < 49 + 5 * np.sqrt(98)
    seed(None)


def test_seed_repeats_samples() -> None:
    found = []
    for number in (1, 1, 2):
        seed(number)
        found.append(made(j="k for k in sample(N_post, p=0.5*int(i != 2))") + made(j="k for k in sample(N_post, size=2)"))
    assert found[0] == found[1] != found[2]
    seed(None)


def test_a_huge_sparse_sample_is_cheap() -> None:
    sizes, p = np.full(3, 2**31 - 1), np.array([1e-7, 2e-7, 0.0])
    row, place = (np.concatenate(part) for part in zip(*rules.with_probability(sizes, p, (8, 3), 1 << 20)))
    counts = np.bincount(row, minlength=3)
    assert abs(counts[0] - 214.7) < 75 and abs(counts[1] - 429.5) < 105 and counts[2] == 0 and place.max() > 2**30
