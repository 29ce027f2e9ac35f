"""The compiled engine is the torch engine: records and gradients, over models and everything that can be combined with them."""

import math
from collections import defaultdict
from collections.abc import Iterable

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("one_thread")

import trained_models  # noqa: E402
import training_cases  # noqa: E402
from training_cases import Case, Result  # noqa: E402

import brianlike.nn as bnn  # noqa: E402
import brianlike.nn.compiled as compiled  # noqa: E402
from brianlike.build import NativeKernel, build_cython  # noqa: E402
from brianlike.nn.compiled import engine as compiled_engine  # noqa: E402
from brianlike.nn.compiled import operator  # noqa: E402
from brianlike.nn.unroll import unroll  # noqa: E402
from brianlike.only import *  # noqa: E402


# --------------------------------------------------------------------------------------------------------------------------------- one compilation for all
class _Collected(Exception):
    """A run would begin."""


def compile_together(runs: Iterable[tuple[Case, torch.dtype]]) -> None:
    """Compile the kernels of many runs in one go: the runs are carried out by the torch engine, and tell what the compiled one would need."""
    sources = {}

    def noted(found):
        sources.update({source.name: source for source in found})
        return defaultdict(lambda: NativeKernel("", 0, ""))

    def begun(tensors, number, *rest):
        operator._engines[number]._variants.clear()
        raise _Collected

    def unroll_instead(made, moment, tables, steps, how, *rest):
        try:
            return original(made, moment, tables, steps, how, *rest)
        except _Collected:
            return unroll(made.engine, moment, tables, steps, how)

    original = compiled.unroll_compiled
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compiled_engine, "build_cython", noted)
        patched.setattr(operator, "run", begun)
        patched.setattr(compiled, "unroll_compiled", unroll_instead)
        for case, dtype in runs:
            module, x = training_cases.build(case, "cython", dtype), training_cases.inputs(case, dtype)
            module.check_finite = False  # what runs is not looked at
            silent = {item: torch.zeros(len(x["source"]), len(item)) for item in module.objects if isinstance(item, NeuronGroup)}
            training_cases.run(case, module, x, silent if dtype is torch.float32 else None, backward=False)
    build_cython(list(sources.values()))


TOGETHER = 64
_compiled: set[tuple[Case, torch.dtype]] = set()


@pytest.fixture
def compiled_together(request):
    """The kernels of this run, compiled with those of the next ones that this session has chosen."""
    chosen = [item.callspec.params for item in request.session.items if item.path == request.path and "case" in item.fixturenames]
    runs = list(dict.fromkeys((params["case"], params.get("dtype", torch.float64)) for params in chosen))
    place = runs.index((request.getfixturevalue("case"), request.node.callspec.params.get("dtype", torch.float64)))
    if runs[place] not in _compiled:
        compile_together(runs[place : place + TOGETHER])
        _compiled.update(runs[place : place + TOGETHER])


# -------------------------------------------------------------------------------------------------------------------------------------------- the tables
def assert_same(found: Result, expected: Result, rtol: float, atol: float) -> None:
    """Equal to `rtol`, or to `atol` of the largest number of each tensor; spikes are identical."""
    for kind in ("records", "gradients", "state"):
        ours, theirs = getattr(found, kind), getattr(expected, kind)
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            assert ours[key].dtype == value.dtype and ours[key].shape == value.shape, (kind, key)
            if key.startswith(("spikes", "count", "first", "now")) and kind == "records":
                assert torch.equal(ours[key], value), key
            if not value.is_floating_point():
                assert torch.equal(ours[key], value), key
                continue
            scale = float(value.abs().max()) if value.numel() else 0.0
            torch.testing.assert_close(ours[key], value, rtol=rtol, atol=atol * scale, msg=lambda text, what=f"{kind} {key}": f"{what}: {text}")


def means_something(case: Case, result: Result) -> None:
    """Spikes are neither rare nor everywhere, and every gradient that is asked for is there."""
    spikes = torch.cat([value.flatten() for key, value in result.records.items() if key.startswith("spikes")])
    assert 0.03 < float(spikes.mean()) < 0.65
    silent = [key for key, value in result.gradients.items() if not value.any()]
    assert not silent or case.surrogate == "none", silent  # with the true gradient, what only moves the threshold has none


def compare(case: Case) -> None:
    """Both engines in float64."""
    expected, found = (training_cases.run(case, training_cases.build(case, engine), training_cases.inputs(case)) for engine in ("torch", "cython"))
    means_something(case, expected)
    assert_same(found, expected, 1e-9, 1e-10)


def spikes_of(module: bnn.NetworkModule, x: dict[str, torch.Tensor]) -> dict[NeuronGroup, torch.Tensor]:
    """The spikes of every group, as the torch engine finds them."""
    groups = [item for item in module.objects if isinstance(item, NeuronGroup)]
    learn = [held.learn for held in module.learned.values()]  # whose values are where they are masked, too
    options = {"gradient": module._gradient, "dtype": next(iter(x.values())).dtype, "engine": "torch", "namespace": {}}
    raster = bnn.NetworkModule(Network(*module.objects), {group.name: group for group in groups}, learn, **options)
    with torch.no_grad():
        found = raster(**x)
    return {group: getattr(found, group.name) for group in groups}


def compare_in_float32(case: Case) -> None:
    """Both engines in float32, with the spikes of the torch one replayed in both, to 1e-4 of the largest number of each tensor.

    Where torch itself in float32 is farther from torch in float64, under the same spikes, that is the measure: a gradient that is the small rest of large
    terms has no more digits. So it is with one of some 300 cases of the table.
    """
    x, found, spikes = training_cases.inputs(case, torch.float32), [], None
    for engine, dtype in (("cython", torch.float32), ("torch", torch.float32), ("torch", torch.float64)):
        module = training_cases.build(case, engine, dtype)
        spikes = spikes_of(module, x) if spikes is None else spikes
        force = {module[group.name]: raster for group, raster in spikes.items()}
        given = {name: value.detach().to(dtype).requires_grad_(value.requires_grad) for name, value in x.items()}
        found.append(training_cases.run(case, module, given, force))
        if len(found) == 2:
            wrong = farther(*found)
            if not wrong:
                return
    own = farther(found[1], found[2])
    assert all(error <= own.get(key, 0) for key, error in wrong.items()), (wrong, own)


def farther(found: Result, expected: Result) -> dict[str, float]:
    """The tensors that differ by more than 1e-4 of their largest number, and by how much of it; what is whole is the same."""
    wrong = {}
    for kind in ("records", "gradients", "state"):
        ours, theirs = getattr(found, kind), getattr(expected, kind)
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            if not value.is_floating_point() or (key.startswith(("spikes", "count", "now")) and kind == "records"):
                assert torch.equal(ours[key].to(value.dtype), value), key
                continue
            error, scale = (float(x.abs().max()) if x.numel() else 0.0 for x in (ours[key].to(value.dtype) - value, value))
            if not error <= 1e-4 * scale:  # nor NaN
                wrong[f"{kind} {key}"] = error / scale if scale else math.inf
    return wrong


@pytest.mark.parametrize("case", training_cases.PAIRS, ids=str)
def test_engines_agree(case: Case, compiled_together) -> None:
    compare(case)


@pytest.mark.slow
@pytest.mark.parametrize("case", training_cases.table(), ids=str)
def test_engines_agree_in_everything(case: Case, compiled_together) -> None:
    compare(case)


@pytest.mark.parametrize("dtype", [torch.float32])
@pytest.mark.parametrize("case", training_cases.PAIRS, ids=str)
def test_engines_agree_under_replayed_spikes(case: Case, dtype: torch.dtype, compiled_together) -> None:
    compare_in_float32(case)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32])
@pytest.mark.parametrize("case", training_cases.table(), ids=str)
def test_engines_agree_under_replayed_spikes_in_everything(case: Case, dtype: torch.dtype, compiled_together) -> None:
    compare_in_float32(case)


@pytest.mark.parametrize("name", trained_models.NEURONS)
def test_all_parameters_of_the_well_known_neurons(name: str) -> None:
    found = {}
    for engine in ("torch", "cython"):
        start_scope()
        module, x = trained_models.network(trained_models.NEURONS[name])
        module = bnn.NetworkModule(
            Network(*module.objects), module._specs, [held.learn for held in module.learned.values()], module._gradient, dtype=torch.float64, engine=engine,
            namespace={},
        )  # fmt: skip
        x = {key: value.clone().requires_grad_() for key, value in x.items()}
        y = module(**x)
        generator = torch.Generator().manual_seed(1)
        loss = sum((value * torch.randn(value.shape, generator=generator, dtype=value.dtype)).sum() for value in y)
        found[engine] = (*y, *torch.autograd.grad(loss, [*x.values(), *module.parameters()]))
    for one, other in zip(*found.values()):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-11 * float(one.detach().abs().max()))


@pytest.mark.parametrize("surrogate", [bnn.SuperSpike(), bnn.Boxcar()], ids=["everywhere", "compact"])
def test_potentials_that_overflow_before_a_reset(surrogate):
    found = []
    for engine in ("torch", "cython"):
        start_scope()
        defaultclock.dt = 0.5 * ms
        equations = """dv/dt = (-(v + 70) + 2*exp((v + 50)/2) + J + I - u)/(10*ms) : 1
                       du/dt = (0.1*(v + 70) - u)/tau : 1
                       dI/dt = -I/(4*ms) : 1
                       tau : second
                       J : 1 (input)"""
        cells = NeuronGroup(4, equations, threshold="v > 0", reset="v = -60; u += 3", method="rk2", name="cells")
        cells.v, cells.tau = "-65 + i", "(50 + i)*ms"
        loop = Synapses(cells, cells, "w : 1", on_pre="I_post += w", delay=1 * ms)
        loop.connect()
        loop.w = "3 + i"
        record, gradient = {"spikes": cells, "margin": bnn.Margin(cells)}, bnn.Surrogate(surrogate, width=5.0, detach_reset=False)
        learn = [bnn.Learn(cells, "tau"), bnn.Learn(cells, "v"), bnn.Learn(loop, "w")]
        options = {"engine": engine, "dtype": torch.float64, "namespace": {}}
        module = bnn.NetworkModule(Network(cells, loop), record, learn, gradient, **options)
        x = (60 * torch.rand(40, 2, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).requires_grad_()
        y = module(x)
        assert torch.isinf(y.margin).any()
        found.append((y.spikes, *torch.autograd.grad(y.spikes.cumsum(0).sum(), [x, *module.parameters()])))
    for one, other in zip(*found):
        assert torch.isfinite(one).all() and one.any()
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-11 * float(one.detach().abs().max()))
