"""Whatever runs in a module runs compiled: records, states and gradients are those of the torch engine, in float64."""

import copy
from collections import defaultdict

import dynamics
import numpy as np
import pytest

torch = pytest.importorskip("torch")

import trained_models  # noqa: E402
from dynamics import driven, lif, source, synapses  # noqa: E402
from test_adjoint_program import PATHWAYS, TIMES  # noqa: E402
from trained_models import LIF, NEURONS, custom  # noqa: E402

import brianlike.nn as bnn  # noqa: E402
from brianlike.build import NativeKernel, build_cython  # noqa: E402
from brianlike.logger import catch_logs  # noqa: E402
from brianlike.nn.compiled import engine as compiled_engine  # noqa: E402
from brianlike.nn.compiled import operator  # noqa: E402
from brianlike.only import *  # noqa: E402

STEPS, BATCH = 30, 3


def made(objects, record, learn=(), gradient=None, schedule=None):
    network = Network(objects)
    if schedule is not None:
        network.schedule = schedule
    learned = [bnn.Learn(owner, variable) for owner, variable in learn]
    return bnn.NetworkModule(network, record, learned, gradient or bnn.Surrogate(bnn.SuperSpike(beta=5)), dtype=torch.float64, namespace={"arr": ARRAY[0]})


ARRAY = [None]


def events(*shape, p=0.25, seed=2):
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < p).double()


# ----------------------------------------------------------------------------------------------------------------------------------------------- the cases
def of_spytorch():
    cells = lif()
    inputs, feed = driven(cells)
    loop = synapses(cells, cells, name="loop", model="w : 1", on_pre="I_post += w", delay=1 * ms, weight="0.1*i - 0.15")
    return made([inputs, cells, feed, loop], {"v": (cells, "v"), "spikes": cells}, [(feed, "w"), (loop, "w")], schedule=bnn.spytorch_schedule), {}


def late_delivery():
    """What fires in a step is delivered in the next one."""
    cells = lif()
    inputs, feed = driven(cells)
    loop = synapses(cells, cells, name="loop", model="w : 1\nz : 1", on_pre="z += 0.1; I_post += w*z", weight="0.1*i - 0.15")
    loop.delay = "(i % 3)*ms"
    schedule = ["start", "groups", "synapses", "thresholds", "resets", "end"]
    return made([inputs, cells, feed, loop], {"v": (cells, "v"), "spikes": cells}, [(feed, "w"), (loop, "w")], schedule=schedule), {}


def arrays_in_time():
    ARRAY[0] = TimedArray(np.linspace(0.2, 2.0, 60).reshape(15, 4), dt=2 * ms)
    cells = lif("dv/dt = (I + arr(t, i) + 0.1*sin(t/(7*ms)) - v)/(10*ms) : 1\ndI/dt = -I/(4*ms) : 1", method="euler")
    inputs, feed = driven(cells)
    return made([inputs, cells, feed], {"v": (cells, "v"), "spikes": cells}, [(feed, "w")]), {}


def linked():
    other = lif("dv/dt = (1.5*k - v)/(9*ms) : 1\nk : 1", name="other")
    other.k = "0.8 + 0.2*i"
    cells = lif("dv/dt = (I + 0.4*q - v)/(10*ms) : 1\ndI/dt = -I/(4*ms) : 1\nq : 1 (linked)", method="euler")
    cells.q = linked_var(other, "v", index=np.array([1, 0, 3, 3]))
    inputs, feed = driven(cells)
    return made([inputs, cells, feed, other], {"v": (cells, "v"), "spikes": cells, "other": other}, [(feed, "w")]), {}


def one_input_in_many_ways():
    """Events of one InputGroup, delivered by products, by rows, by synapses that compute, with delays and without; and values that neurons read."""
    cells = lif("dv/dt = (I + J*a - v)/(10*ms) : 1\ndI/dt = -I/(4*ms) : 1\nJ : 1 (input)\na : 1")
    cells.a = "0.2 + 0.1*i"
    inputs = source()
    full = synapses(inputs, cells, name="full", model="w : 1", on_pre="I_post += w")
    few = synapses(inputs, cells, name="few", model="w : 1", on_pre="I_post += w", where="i == j")
    few.delay = "(1 + i)*ms"
    code = synapses(inputs, cells, name="code", model="w : 1\nu : 1", on_pre="u += 0.1*w; I_post += u*(1 - v_post)", weight="0.1 + 0.05*j")
    code.delay = "((i + j) % 4)*ms"
    two = synapses(inputs, cells, name="two", model="w : 1", on_pre="I_post -= w", where="i == 0", weight="0.1")
    two.connect(i=[1, 1, 2], j=[0, 0, 2])
    two.w = "0.1 + 0.01*i"
    learn = [(full, "w"), (few, "w"), (code, "w"), (two, "w"), (cells, "a")]
    graded = events(STEPS, BATCH, 6) * (0.5 + torch.rand(STEPS, BATCH, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64))
    x = {"source": graded, "J": torch.rand(STEPS, BATCH, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)}
    return made([inputs, cells, full, few, code, two], {"v": (cells, "v"), "spikes": cells, "u": (code, "u")}, learn), x


def many_types():
    equations = "dv/dt = (I - v)/(10*ms) : 1\ndI/dt = -I/(4*ms) : 1\nn : integer\nup : boolean\nc : 1 (constant)\ns : integer (shared)\nk : 1 (shared)"
    cells = lif(equations, threshold="v > 1 + 0.05*n", reset="v = k*int(up); n += 1; up = not up")
    cells.run_regularly("s += 1; I += 0.01*int(up)*(s % 3)", when="start")
    cells.c, cells.k = "0.1*i", 0.3
    inputs, feed = driven(cells)
    record = {"spikes": cells, **{name: (cells, name) for name in ("v", "n", "up", "c", "s", "k")}}
    return made([inputs, cells, feed], record, [(feed, "w"), (cells, "k"), (cells, "v")]), {}


def reductions():
    cells = lif(LIF_WITH_CONSTANT)
    cells.c = "0.5 + 0.1*i"
    inputs, feed = driven(cells)
    still = lif("dv/dt = -v/(10*ms) : 1", name="still")
    record = {"spikes": cells, "first": bnn.FirstSpike(cells), "c": (cells, "c"), "margin": bnn.Margin(cells)}
    for kind in (bnn.Count, bnn.Mean, bnn.Max, bnn.Last):
        name = kind.__name__.lower()
        record |= {f"{name}_{what}": kind(target) for what, target in (("spikes", cells), ("v", (cells, "v")), ("c", (cells, "c")), ("still", (still, "v")))}
    return made([inputs, cells, feed, still], record, [(feed, "w"), (cells, "c"), (still, "v")]), {}


LIF_WITH_CONSTANT = "dv/dt = (I*c - v)/(10*ms) : 1\ndI/dt = -I/(4*ms) : 1\nc : 1"


def nobody_connected():
    cells = lif()
    inputs, feed = driven(cells)
    none = synapses(inputs, cells, name="none", model="w : 1", on_pre="I_post += w", where="i > 100")
    code = synapses(cells, cells, name="code", model="w : 1\nz : 1", on_pre="z += 1; I_post += z*w", where="i > 100")
    return made([inputs, cells, feed, none, code], {"v": (cells, "v"), "spikes": cells, "z": (code, "z")}, [(feed, "w")]), {}


def one_of_each():
    cells = NeuronGroup(1, "dv/dt = (I - v)/tau : 1\ndI/dt = -I/(4*ms) : 1\ntau : second", threshold="v > 1", reset="v -= 1", method="exact", name="cells")
    cells.tau = 10 * ms
    inputs = source(1)
    feed = synapses(inputs, cells, model="w : 1", on_pre="I_post += w", weight="1.5")
    return made([inputs, cells, feed], {"v": (cells, "v"), "spikes": cells}, [(feed, "w"), (cells, "tau")]), {"source": events(STEPS, BATCH, 1)}


def many_members_and_neurons():
    """More neurons than a word of bits, more members than a tile, sizes that are no multiples of anything."""
    cells = NeuronGroup(71, "dv/dt = (I - v)/(10*ms) : 1\ndI/dt = -I/(4*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="cells")
    inputs = source(19)
    feed = synapses(inputs, cells, model="w : 1", on_pre="I_post += w", weight="0.2 + 0.01*((3*i + 5*j) % 17)")
    loop = synapses(cells, cells, name="loop", model="w : 1", on_pre="I_post += w", where="(i + 3*j) % 5 == 0", weight="0.02*((i + j) % 7) - 0.06")
    loop.delay = "((i + j) % 2)*ms"
    record = {"spikes": cells, "count": bnn.Count(cells), "high": bnn.Max((cells, "v"))}
    return made([inputs, cells, feed, loop], record, [(feed, "w"), (loop, "w")]), {"source": events(STEPS, 19, 19, p=0.1)}


def counted_releases():
    """Synapses that draw how many vesicles they release, by what changes; a sum of neurons that draw; and a reset that does."""
    cells = lif(LIF_WITH_CONSTANT, reset="v = 0.05*poisson(3*c)")
    cells.c = "0.8 + 0.1*i"
    inputs = source()
    code = "I_post += 0.3*w*poisson(1 + c_post + u); u += 0.2*poisson(2.5)"
    feed = synapses(inputs, cells, model="w : 1\nu : 1", on_pre=code, where="(i + j) % 4 > 0", delay=1 * ms)
    return made([inputs, cells, feed], {"spikes": cells, "v": (cells, "v"), "u": (feed, "u")}, [(feed, "w"), (cells, "c")]), {}


OWN = {
    one.__name__: one
    for one in (
        of_spytorch, late_delivery, arrays_in_time, linked, one_input_in_many_ways, many_types, reductions, nobody_connected, one_of_each,
        many_members_and_neurons, counted_releases,
    )
}  # fmt: skip


def cases():
    """Every case by its name, as a function that makes the module and its inputs."""
    found = {}
    for name in dynamics.MODELS:
        found[name] = lambda name=name: (dynamics.build(name)[0], {"source": dynamics.inputs()})
    for name, neuron in NEURONS.items():
        found[f"neurons: {name}"] = lambda neuron=neuron: trained_models.network(neuron)
    for name, options in PATHWAYS.items():
        found[f"pathways: {name}"] = lambda o=options: custom(LIF.equations, TIMES, ("tau_m", "tau_s"), method="exact", delay="rand()*4*ms", **o)[:2]
    for name, build in OWN.items():
        found[name] = lambda build=build: _own(build)
    return found


def _own(build):
    defaultclock.dt = 1 * ms
    seed(5)
    module, x = build()
    return module, x or {"source": events(STEPS, BATCH, 6)}


CASES = cases()
ON_TORCH = {
    "linked": "reaches other elements of what changes during a run",
    "synapses_that_set": "in an order that matters",
}
"""What torch does, and what the log says of it."""


@pytest.fixture(autouse=True)
def _fresh():
    start_scope()
    threads, before = torch.get_num_threads(), defaultclock.dt
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)
    defaultclock.dt = before
    start_scope()


class _Collected(Exception):
    """A run would begin."""


@pytest.fixture(scope="module")
def compiled_together(request):
    """The kernels of all cases that this session runs, compiled in one go: a compiler needs a second to begin."""
    chosen = dict.fromkeys(item.callspec.params["name"] for item in request.session.items if item.path == request.path and "name" in _parameters(item))
    sources = {}

    def noted(found):
        sources.update({one.name: one for one in found})
        return defaultdict(lambda: NativeKernel("", 0, ""))

    def begun(*arguments):
        raise _Collected

    before = defaultclock.dt
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compiled_engine, "build_cython", noted)
        patched.setattr(operator, "run", begun)
        for name in chosen:
            start_scope()
            module, x = CASES[name]()
            module._choice.engine = "cython"
            try:
                run_once(module, x)
            except _Collected:
                continue
    defaultclock.dt = before
    build_cython(list(sources.values()))


def _parameters(item):
    return item.callspec.params if hasattr(item, "callspec") else {}


# ------------------------------------------------------------------------------------------------------------------------------------------ the comparison
def run_once(module, x, **options):
    """Records and last state by name, and what they were made from."""
    given = {key: value.detach().clone().requires_grad_() for key, value in x.items()}
    record, state = module.run(**given, seed=3, **options)
    found = {f"record {key}": value for key, value in record._asdict().items()}
    return found | states(state, given), given


def states(state, x):
    """The state by name; what no sample has for its own has the axes of the batch, too."""
    batch = torch.broadcast_shapes(*(value.shape[1:-1] for value in x.values()))
    found = {f"{owner}.{name}": value for owner, variables in state.items() for name, value in variables.items() if owner != "clock"}
    lead = {name: value.shape[:1] if name.endswith("_past") else () for name, value in found.items()}
    missing = {name: [1] * (len(batch) + 1 + len(lead[name]) - value.dim()) for name, value in found.items()}
    wide = {name: value.reshape(*lead[name], *missing[name], *value.shape[len(lead[name]) :]) for name, value in found.items()}
    return {f"state {name}": value.expand(*lead[name], *batch, value.shape[-1]) for name, value in wide.items()}


def outcome(module, engine, run, x):
    """What a run hands out, and the gradients of a sum of it all."""
    module._choice.engine = engine
    module.zero_grad(set_to_none=True)
    found, given = run(module, x)
    total = 0.0
    for name, value in found.items():
        if value.is_floating_point():
            generator = torch.Generator().manual_seed(sum(map(ord, name)))
            total = total + (value * torch.randn(value.shape[-1:], generator=generator, dtype=torch.float64)).sum()
    if total.requires_grad:
        total.backward()
    gradients = {f"gradient {name}": parameter.grad for name, parameter in module.named_parameters()}
    return found, gradients | {f"gradient {name}": value.grad for name, value in given.items()}


def assert_engines_agree(module, x, run=run_once, tolerance=1e-9):
    (expected, expected_gradients), (found, gradients) = (outcome(module, engine, run, x) for engine in ("torch", "cython"))
    assert found.keys() == expected.keys()
    assert {name for name, value in found.items() if value.requires_grad} >= {name for name, value in expected.items() if value.requires_grad}
    for name, value in (expected | expected_gradients).items():
        ours = (found | gradients)[name]
        if ours is None or value is None:
            assert (0.0 if ours is None else ours.abs().sum()) == (0.0 if value is None else value.abs().sum()), name
            continue
        assert ours.dtype is value.dtype and ours.shape == value.shape, name
        ours, value = ours.detach().double(), value.detach().double()
        if "spike" in name and not name.startswith("gradient"):
            assert torch.equal(ours, value), name
        elif value.numel():
            assert float((ours - value).abs().max()) <= tolerance * max(float(value.abs().max()), 1e-9), name
    return expected


def ran_compiled(module):
    """Whether the compiled engine did all that it was asked."""
    made_engines = [found for _, found in module._choice._compiled.values()]
    return all(one is not None and one._variants and not any(isinstance(v, Exception) for v in one._variants.values()) for one in made_engines)


@pytest.mark.parametrize("name", CASES)
def test_every_network(name, compiled_together):
    module, x = CASES[name]()
    expected = assert_engines_agree(module, x)
    assert expected["record spikes"].sum() > 2
    assert ran_compiled(module) is (name not in ON_TORCH)
    if name in ON_TORCH:
        assert any(ON_TORCH[name] in text for text in module._choice._said)


@pytest.mark.parametrize("name", ["stdp", "several_pathways", "of_spytorch", "late_delivery", "one_input_in_many_ways", "reductions"])
def test_gradients_of_pieces_reach_each_other_through_the_state(name, compiled_together):
    def in_pieces(module, x):
        whole, given = {}, {key: value.detach().clone().requires_grad_() for key, value in x.items()}
        state, begin = None, 0
        for end in (1, 2, 9, 30):
            record, state = module.run(**{key: value[begin:end] for key, value in given.items()}, state=state, seed=3)
            whole |= {f"record {key} {begin}": value for key, value in record._asdict().items()}
            begin = end
        return whole | states(state, given), given

    module, x = CASES[name]()
    assert_engines_agree(module, x, in_pieces)
    assert ran_compiled(module)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (9,)], ids=str)
@pytest.mark.parametrize("name", ["several_pathways", "reductions"])
def test_every_shape_of_a_batch(name, shape, compiled_together):
    module, _ = CASES[name]()
    assert_engines_agree(module, {"source": events(STEPS, *shape, 6)})


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("name", ["stdp", "several_pathways", "late_delivery", "reductions"])
def test_runs_shorter_than_delays(name, steps, compiled_together):
    module, _ = CASES[name]()
    assert_engines_agree(module, {"source": events(steps, BATCH, 6)})


@pytest.mark.parametrize("name", ["refractory_text", "several_pathways"])
def test_given_spikes(name, compiled_together):
    module, x = CASES[name]()
    cells = module["cells"]
    spikes = events(len(x["source"]), BATCH, 4, p=0.3, seed=9)
    for mask in (torch.ones_like(spikes), events(len(spikes), BATCH, 4, p=0.5, seed=8)):
        assert_engines_agree(module, x, lambda m, given, mask=mask: run_once(m, given, force={cells: (spikes, mask)}))
    assert ran_compiled(module)


@pytest.mark.parametrize("trained", [[], ["source"]], ids=["nothing", "inputs"])
def test_only_some_gradients_are_asked_for(trained, compiled_together):
    module, x = CASES["several_pathways"]()
    for parameter in module.parameters():
        parameter.requires_grad_(False)

    def some(m, given):
        given = {key: value.detach().clone().requires_grad_(key in trained) for key, value in given.items()}
        return {f"record {key}": value for key, value in m(**given)._asdict().items()}, given

    assert_engines_agree(module, x, some)
    one_by_one, _ = CASES["several_pathways"]()
    for parameter in list(one_by_one.parameters()):
        for other in one_by_one.parameters():
            other.requires_grad_(other is parameter)
        assert_engines_agree(one_by_one, x)


@pytest.mark.parametrize(
    "name", ["stdp", "short_term_plasticity", "several_pathways", "white_noise", "counted_noise", "late_delivery", "reductions", "arrays_in_time"]
)
def test_samples_with_lengths_of_their_own(name, compiled_together):
    """As in the torch engine; what the inputs hold after the end of a sample does not matter, whatever it is."""
    module, x = CASES[name]()
    steps = len(x["source"])
    for lengths in ([2, steps, 5, 1, steps - 1, 5, 9, 12, 3, 7, 30], [4, 4, 4]):
        x = {"source": events(steps, len(lengths), 6)}
        for member, length in enumerate(lengths):
            x["source"][length:, member] = 1e30
        expected = assert_engines_agree(module, x, lambda m, given, lengths=lengths: run_once(m, given, lengths=torch.tensor(lengths)))
        assert expected["record spikes"].sum() > 2 or len(lengths) == 3
    assert ran_compiled(module)
    module.checkpoint = 4
    assert_engines_agree(module, x, lambda m, given: run_once(m, given, lengths=torch.tensor([steps, 3, 17])))
    two = {"source": events(steps, 2, 3, 6)}
    assert_engines_agree(module, two, lambda m, given: run_once(m, given, lengths=torch.tensor([[2, 30, 5], [11, 8, 30]])))


@pytest.mark.parametrize("name", ["refractory_text", "arrays_in_time", "white_noise", "counted_releases", "several_pathways", "stdp", "reductions"])
def test_samples_that_stand_at_different_steps(name, compiled_together):
    """What samples of different lengths leave goes on, each at a step of its own: its time, its noise and its refractory period."""
    module, x = CASES[name]()
    steps = len(x["source"])

    def streamed(m, given, lengths, batch, rest, seed=3):
        given = {key: value.detach().clone().requires_grad_() for key, value in given.items()}
        first, state = m.run(**{key: value[:9] for key, value in given.items()}, lengths=torch.tensor(lengths).reshape(batch), seed=seed)
        left = None if rest is None else torch.tensor(rest).reshape(batch)
        second, state = m.run(**{key: value[9:] for key, value in given.items()}, state=state, lengths=left)
        assert state["clock"]["t_in_timesteps"].reshape(-1).tolist() == [a + b for a, b in zip(lengths, rest or [steps - 9] * len(lengths))]
        found = {f"record {key} {n}": value for n, record in enumerate((first, second)) for key, value in record._asdict().items()}
        return found | states(state, given), given

    lengths = [9, 2, 5, 1, 8, 5, 9, 3, 7, 4, 6]
    x = {"source": events(steps, 11, 6)}
    run = lambda batch, rest: lambda m, given: streamed(m, given, lengths[: batch.numel()], batch, rest)  # noqa: E731
    expected = assert_engines_agree(module, x, run(torch.Size([11]), None))
    assert expected["record spikes 1"].sum() > 2 and ran_compiled(module)
    went_on, _ = module.run(x["source"][9:, 1], seed=3, samples=1, state=module.run(x["source"][:2, 1], seed=3, samples=1)[1])
    torch.testing.assert_close(went_on.spikes, expected["record spikes 1"][:, 1].detach(), rtol=0, atol=0)
    module.checkpoint = 4
    assert_engines_agree(module, x, run(torch.Size([11]), [steps - 9, 3, 1, 20, 2, 13, 9, 9, 5, 6, 7]))
    module.checkpoint = None
    assert_engines_agree(module, {"source": events(steps, 2, 3, 6)}, run(torch.Size([2, 3]), None))
    assert ran_compiled(module) and all("runs on compiled kernels" in text for text in module._choice._said)


# -------------------------------------------------------------------------------------------------------------------------------------------- who does what
def test_what_torch_alone_can_do_goes_to_torch(compiled_together):
    module, x = CASES["many_members_and_neurons"]()
    module._choice.engine = "cython"
    x, unchecked = x["source"], copy.deepcopy(module)
    unchecked.check_finite = False
    with torch.no_grad():
        expected = module(x).count
        (tangent,) = (torch.func.jvp(lambda given: module(given).high, (x,), (torch.ones_like(x),))[1],)
        assert tangent.abs().max() > 0 and "a transform of torch.func is at work" in "".join(module._choice._said)
        assert torch.equal(torch.func.vmap(lambda one: unchecked(one).count, in_dims=1)(x), expected)
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
            torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(module(dual).high).tangent, tangent)


def test_the_engine_is_said_once(compiled_together):
    module, x = CASES["synapses_that_set"]()
    module._choice.engine = "cython"
    with catch_logs() as messages:
        for _ in range(3):
            run_once(module, x)
    assert len(messages) == 1 and messages[0][2].endswith("so it has no gradient.") and "runs on torch, because" in messages[0][2]
