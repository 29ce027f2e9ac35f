"""Bernoulli draws: which texts become one, that engines find the same events, and that their law is right."""

import re

import numpy as np
import pytest
from scipy import stats

from brianlike import *
from brianlike import build, randomness
from brianlike.prepare import prepare

STEPS = 50


def fired(target, N, equations, rates=None, threshold="rand() < rates*dt", dtype=np.float64, threads=1, steps=STEPS, **more):
    """Elements and steps of all spikes of a group, after a run of its own."""
    start_scope()
    prefs.codegen.target, prefs.core.threads, prefs.core.default_float_dtype = target, threads, dtype
    seed(5)
    G = NeuronGroup(N, equations, threshold=threshold, name="cells", **more)
    if rates is not None:
        G.rates_ = rates
    spikes = SpikeMonitor(G)
    Network(G, spikes).run(steps * defaultclock.dt)
    return np.asarray(spikes.i), np.round(np.asarray(spikes.t) / float(defaultclock.dt)).astype(int)


def same(first, second):
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


# -------------------------------------------------------------------------------------------------------------------------------------------- the pass
GATED = {"refractory": "0.3*ms"}
FORMS = {
    "rand() < rates*dt": ({}, 1),
    "rates*dt > rand()": ({}, 1),
    "rand() < 0.001": ({}, 1),
    "rand() < 0.001*exp(x)": ({}, 1),
    "rand() < x*rates*dt and x > 0": ({}, 1),
    "(rand() < rates*dt) or (rand() < 2*rates*dt)": ({}, 2),
    "rand() < rates*dt*(1 + sin(t/ms))": ({}, 1),
    "rand() < rates*dt  # gated": (GATED, 1),
    "rand() < 0.5": ({}, 0),  # each element has its own number anyway
    "rand() <= rates*dt": ({}, 0),
    "rand()**2 < rates*dt": ({}, 0),
    "rand() < rand()*rates*dt": ({}, 0),
    "randn() < rates*dt": ({}, 0),
}
EQUATIONS = "dx/dt = -x/(10*ms) : 1\nrates : Hz"


@pytest.mark.parametrize("text", FORMS)
def test_comparisons_with_a_number_of_their_own_become_draws(text):
    more, expected = FORMS[text]
    G = NeuronGroup(3, EQUATIONS, threshold=text.partition("#")[0].strip(), **more)
    shown = str(prepare([G], Network(G).schedule, {}).program)
    assert len(re.findall("draw bernoulli", shown)) == expected
    assert len(re.findall("draw uniform", shown)) == text.count("rand()") - expected


def test_what_no_step_changes_is_computed_in_the_set_up():
    def kernels(equations, **more):
        program = prepare([NeuronGroup(3, equations, threshold="rand() < rates*dt", **more, name="cells")], Network().schedule, {}).program
        return [kernel.name.partition(".")[2] for kernel in program.kernels]

    assert kernels("rates : Hz") == ["threshold"]
    assert kernels("rates : Hz", reset="rates += 1*Hz") == ["threshold:rand_1_p", "threshold", "reset"]
    assert kernels("rates = 10*Hz*(1 + sin(t/ms)) : Hz") == ["threshold:rand_1_p", "threshold"]
    assert kernels("dv/dt = -v/ms : 1\nrates = v*Hz : Hz") == ["update+threshold:rand_1_p", "threshold"]


def test_a_function_that_changes_rates_in_a_run_is_obeyed():
    def run_with(target):
        start_scope()
        prefs.codegen.target = target
        seed(3)
        P = PoissonGroup(2000, 0 * Hz)
        spikes = PopulationRateMonitor(P)

        def switch(t):
            P.rates = (float(t) > 0.012) * 200 * Hz

        Network(P, spikes, NetworkOperation(switch, dt=5 * ms)).run(20 * ms)
        return np.asarray(spikes.rate)

    first, second = run_with("numpy"), run_with("cython")
    np.testing.assert_array_equal(first, second)
    assert first[:150].sum() == 0 and 150 < first[150:].mean() < 250


# ------------------------------------------------------------------------------------------------------------------------------------------- both engines
def spread(N):
    """Rates of all classes, and what is no rate."""
    rates = 10 ** np.random.default_rng(1).uniform(-7, 4.2, N)
    rates[::11], rates[1::13], rates[2::17] = 0, np.nan, 1e9
    rates[3::19], rates[4::23] = np.inf, -5
    return rates


RATES = {"one": lambda N: 15.0, "many": lambda N: 500.0, "most": lambda N: 6000.0, "none": lambda N: 0.0, "never": lambda N: 1e-30, "all kinds": spread}
MODELS = {
    "fixed": ("rates : Hz", {}),
    "shared": ("rates : Hz (shared)", {}),
    "changing": ("dv/dt = -v/(7*ms) : 1\nrates : Hz", {"threshold": "rand() < rates*dt*(1 + 0.5*sin(t/ms) - v)", "reset": "v += 0.1"}),
    "gated": ("rates : Hz", {"refractory": "0.5*ms"}),
    "with code": ("rates : Hz\nx : 1", {"reset": "x += int(rand() < 0.3)"}),
}


@pytest.mark.parametrize(("model", "dtype"), [*((model, np.float64) for model in MODELS), ("fixed", np.float32), ("gated", np.float32)])
def test_engines_find_the_same_events(model, dtype):
    equations, more = MODELS[model]
    for name, rates in RATES.items():
        if model != "shared" or name != "all kinds":
            same(*(fired(target, 1500, equations, rates(1500), dtype=dtype, **more) for target in ("numpy", "cython")))


def test_events_do_not_depend_on_how_many_elements_there_are():
    rates = spread(20_000)
    elements, steps = fired("cython", 20_000, "rates : Hz", rates)
    for N in (1, 2, 15, 16, 17, 127, 1023, 1024, 1025, 5000):
        alone = fired("cython", N, "rates : Hz", rates[:N])
        same(alone, (elements[elements < N], steps[elements < N]))
        same(alone, fired("numpy", N, "rates : Hz", rates[:N]))


def test_events_do_not_depend_on_the_number_of_threads():
    rates = np.resize([3.0, 40.0, 300.0, 3000.0, 0.01], 400_016)
    one, two = (fired("cython", 400_016, "rates : Hz", rates, threads=threads, steps=5) for threads in (1, 2))
    same(one, two)
    assert len(one[0]) > 10_000


def test_gaps_of_millions_are_the_same_on_both_engines():
    """The compiled kernel takes logarithms where it may, numpy a table of whole numbers."""
    for k in (4, 9, 12, 16):
        rates = 1e4 * 2.0**-k * 0.99
        same(*(fired(target, 1 << 17, "rates : Hz (shared)", rates, steps=40) for target in ("numpy", "cython")))


def test_code_of_part_of_a_group():
    def marked(target):
        start_scope()
        prefs.codegen.target = target
        seed(3)
        G = NeuronGroup(3000, "x : 1\np : 1 (shared)", name="cells")
        G.p = 0.01
        part = G[500:2900]
        part.run_regularly("x += int(rand() < p) + 1000*int(rand() < 0.03*(1 + 0.5*sin(t/ms + 6*i/N)))")
        Network(G).run(5 * ms)
        return np.asarray(G.x)

    first = marked("numpy")
    np.testing.assert_array_equal(first, marked("cython"))
    assert not first[:500].any() and not first[2900:].any() and 900 < (first % 1000).sum() < 1500 and 3200 < (first // 1000).sum() < 4000


def test_a_TimedArray_of_rates():
    stimulus = TimedArray(np.array([[0, 5, 2000], [100, 0, 50], [1e5, 30, 0]]) * Hz, dt=5 * ms)  # noqa: F841  the rates name it
    found = []
    for target in ("numpy", "cython"):
        start_scope()
        prefs.codegen.target = target
        seed(4)
        P = PoissonGroup(3, "stimulus(t, i)")
        spikes = SpikeMonitor(P)
        Network(P, spikes).run(15 * ms)
        found.append((np.asarray(spikes.i), np.asarray(spikes.t)))
    same(*found)
    i, t = found[0]
    assert not ((i == 2) & (t >= 0.01)).any() and ((i == 0) & (t >= 0.01)).sum() == 50 and 2 <= ((i == 2) & (t < 0.005)).sum() <= 25


# ------------------------------------------------------------------------------------------------------------------------------------------------ the law
SIZE, TURNS = 5000, 400
PROBABILITIES = (2.0**-4 * 0.999, 0.04, 2.0**-5, 2.0**-6 * 0.9, 0.0015, 2.0**-13)


def raster(p, first=0):
    return np.array([randomness.bernoulli(7, 2, step, SIZE, 3, 1, p) for step in range(first, first + TURNS)])


def agrees(observed, law, least=1e-4):
    """Whether counts follow a discrete law, by chi squared over bins of about ten expected."""
    values = np.arange(int(observed.max()) + 2)
    expected = np.append(law.pmf(values[:-1]), law.sf(values[-2])) * observed.size
    counts = np.bincount(observed.astype(int), minlength=len(values))
    bins = np.clip(np.floor(np.cumsum(expected) / 10 - 1e-9), 0, observed.size // 10 - 1).astype(int)
    wanted, found = (np.bincount(bins, weights) for weights in (expected, counts))
    return stats.chisquare(found[wanted > 0], wanted[wanted > 0]).pvalue > least


@pytest.mark.parametrize("p", PROBABILITIES)
def test_counts_and_intervals_are_those_of_independent_events(p):
    events = raster(p)
    assert agrees(events.sum(axis=1), stats.binom(SIZE, p))
    assert agrees(events.sum(axis=0), stats.binom(TURNS, p))
    elements = np.diff(np.flatnonzero(events.ravel()))  # along the elements, through all blocks and steps
    steps = np.diff(np.flatnonzero(events.T.ravel()))
    assert agrees(elements, stats.geom(p)) and agrees(steps, stats.geom(p))


@pytest.mark.parametrize("p", [0.04, 0.0301, "both"])
def test_neighbours_in_elements_and_steps_know_nothing_of_each_other(p):
    """How often two events come together is a Poisson number; across the ends of blocks, too."""
    p = np.resize([0.04, 0.02], SIZE) if p == "both" else np.full(SIZE, p)
    events = raster(p, 1000)
    pairs = [(events[:, :-d], events[:, d:], p[:-d] * p[d:]) for d in (1, 2, 128, 1024)]
    pairs += [(events[:-d], events[d:], p * p) for d in (1, 2)]
    pairs.append((events[:, 1023:-1:1024], events[:, 1024::1024], p[1023:-1:1024] * p[1024::1024]))
    for first, second, chance in pairs:
        expected = (np.broadcast_to(chance, first.shape)).sum()
        assert abs((first & second).sum() - expected) < 4.5 * np.sqrt(expected) + 1


def test_classes_in_one_block_keep_their_own_probability():
    p = np.resize([0.0625, 0.06, 0.0312, 0.0313, 0.001, 0.5, 0.0, np.nan, 1.0, 2.0, -1.0, 1e-300], SIZE)
    events = np.concatenate([raster(p), raster(p, TURNS)])
    for first, value in enumerate(p[:12]):
        observed, chance = events[:, first::12], min(max(np.nan_to_num(value), 0.0), 1.0)
        trials = observed.size
        assert abs(observed.sum() - trials * chance) <= 4.5 * np.sqrt(trials * chance * (1 - chance))


def test_the_smallest_class_is_thinned(monkeypatch):
    """Below 2**-32 elements are candidates with that probability: here with 2**-5, which makes them countable."""
    gaps = randomness._gaps(5)
    monkeypatch.setattr(randomness, "_gaps", lambda k: np.concatenate([gaps, np.full(8192 - len(gaps), 1 << 63, np.uint64)]))
    tiny = 2.0**-32 * 0.3
    events = np.array([randomness.bernoulli(7, 2, step, 8192, 3, 1, np.full(8192, tiny)) for step in range(12)])
    assert abs(events.sum() - events.size * 0.3 / 32) < 4.5 * np.sqrt(events.size * 0.3 / 32)


def test_objects_draws_and_steps_have_numbers_of_their_own():
    base = dict(seed=7, epoch=2, step=5, elements=SIZE, stream=3, number=1, probability=0.05)
    first = randomness.bernoulli(**base)
    for change in ({"seed": 8}, {"epoch": 3}, {"step": 6}, {"stream": 4}, {"number": 2}, {"step": 5 + (1 << 32)}):
        assert (first & randomness.bernoulli(**{**base, **change})).sum() < 40


def test_chosen_elements_are_those_of_all():
    chosen = np.unique(np.random.default_rng(0).integers(0, SIZE, 700))
    p = np.abs(spread(SIZE)) * 1e-4
    whole = randomness.bernoulli(1, 2, 3, SIZE, 4, 5, p)
    np.testing.assert_array_equal(randomness.bernoulli(1, 2, 3, chosen, 4, 5, p[chosen]), whole[chosen])


@pytest.mark.parametrize("flags", ["-DBL_NO_BUILTINS", "-mno-avx512f", "-mno-avx2"])
def test_other_instructions_find_the_same_events(flags, monkeypatch):
    rates = spread(3000)
    usual = fired("numpy", 3000, "rates : Hz", rates)
    compiler = build.find_compiler()
    if "clang" in compiler.identity or "avx512f" not in build._processor():
        pytest.skip("no gcc and AVX-512 to compare with")
    monkeypatch.setenv("CC", f"{' '.join(compiler.command)} {flags}")
    same(usual, fired("cython", 3000, "rates : Hz", rates))
