"""Compiled runs inside graphs that `torch.compile` makes: two operators, with the bits that they have outside, or breaks of the graph."""

import pytest

torch = pytest.importorskip("torch")

import dynamics  # noqa: E402
import training_cases  # noqa: E402
from test_compiled_runs import loss_of  # noqa: E402
from training_cases import Case  # noqa: E402

import brianlike.nn as bnn  # noqa: E402
from brianlike.nn import choice  # noqa: E402
from brianlike.nn.compiled import operator  # noqa: E402
from brianlike.only import *  # noqa: E402

CASES = {
    "delays": Case("lif", "SuperSpike", "everything", delay="each", refractory="time", shape="feed-forward", batch=(20,)),
    "checkpoint": Case("adaptive", "Triangle", "everything", synapses="sparse", batch=(3, 4), checkpoint=5, record="reduced"),
    "current": Case("lif", "Boxcar", "weights", batch=(), fed="current", record="margin"),
}


@pytest.fixture(autouse=True)
def _fresh():
    torch.compiler.reset()
    threads, before = torch.get_num_threads(), defaultclock.dt
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    defaultclock.dt = before
    torch.compiler.reset()
    start_scope()


class Graphs:
    """A backend that notes what is in each graph, and hands it on: with the gradients in a graph, too."""

    def __init__(self, backend: str = "aot_eager") -> None:
        self.targets: list[list[object]] = []
        self.backend = torch._dynamo.lookup_backend(backend)

    def __call__(self, module, inputs):
        self.targets.append([node.target for node in module.graph.nodes if node.op == "call_function"])
        return self.backend(module, inputs)


def outcome(module, run):
    """What a run hands out, and the gradients."""
    found = tuple(value for value in run(module) if value.is_floating_point())
    return (*(value.detach() for value in found), *torch.autograd.grad(loss_of(found), list(module.parameters()), allow_unused=True))


def equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one is other is None or torch.equal(one, other)


def pieces(x):
    """A run in two pieces, with the state between them."""

    def run(module):
        y, state = module.run(**{name: value[:9] for name, value in x.items()})
        z, state = module.run(**{name: value[9:] for name, value in x.items()}, state=state)
        return (*y, *z, state["cells"]["v"])

    return run


@pytest.mark.parametrize("name", ["delays", *(pytest.param(name, marks=pytest.mark.slow) for name in ("checkpoint", "current"))])
def test_a_run_is_an_operator_of_one_graph(name):
    case, graphs = CASES[name], Graphs()
    module = training_cases.build(case, "cython")
    run = pieces({name: value.detach() for name, value in training_cases.inputs(case).items()})
    expected = outcome(module, run)
    compiled = torch.compile(run, fullgraph=True, backend=graphs)
    equal(outcome(module, compiled), expected)
    made = len(graphs.targets)
    equal(outcome(module, compiled), expected)
    assert len(graphs.targets) == made
    assert all(targets.count(torch.ops.brianlike.run.default) == 2 and len(targets) < 400 for targets in graphs.targets)  # no step of theirs is in it
    torch_module = training_cases.build(case, "torch")
    for one, other in zip(expected, outcome(torch_module, run), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10 * float(other.abs().max()))


def test_shapes_change():
    case = CASES["delays"]
    module = training_cases.build(case, "cython")
    x = training_cases.inputs(case)["source"].detach()
    compiled = torch.compile(lambda part: module(part).v, fullgraph=True, backend="eager")
    for steps, members in ((20, 20), (11, 7)):
        assert torch.equal(compiled(x[:steps, :members]), module(x[:steps, :members]).v)


@pytest.mark.slow
def test_inductor():
    case = CASES["delays"]
    module = training_cases.build(case, "cython", torch.float32)
    run = pieces({name: value.detach() for name, value in training_cases.inputs(case, torch.float32).items()})
    for one, other in zip(outcome(module, torch.compile(run, fullgraph=True, backend="inductor")), outcome(module, run), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))  # around the operators it rounds otherwise


def of_noise(module, x):
    return module(x, seed=3)


def of_lengths(module, x):
    return module(x, lengths=torch.tensor([10, len(x), 3]))


def of_events(module, x):
    return module(bnn.Events.from_dense(x))


@pytest.mark.parametrize("name, run", [("white_noise", of_noise), ("conductance", of_lengths), ("conductance", of_events)])
def test_where_python_looks_at_numbers_graphs_break(name, run, monkeypatch):
    """And what is between them still runs on compiled kernels."""
    module, x = dynamics.build(name)[0], dynamics.inputs()
    module._choice.engine = "cython"
    expected = outcome(module, lambda m: run(m, x))
    monkeypatch.setattr(choice, "_on_torch", None)
    equal(outcome(module, torch.compile(lambda m: run(m, x), backend="eager")), expected)


def test_what_is_refused_is_traced_step_by_step():
    module, x = dynamics.build("synapses_that_set")[0], dynamics.inputs()[:3]
    module._choice.engine = "cython"
    expected, graphs = outcome(module, lambda m: m(x)), Graphs("eager")
    for one, other in zip(outcome(module, torch.compile(lambda m: m(x), fullgraph=True, backend=graphs)), expected, strict=True):
        assert one is other is None or torch.allclose(one, other)
    assert torch.ops.brianlike.run.default not in graphs.targets[0]
    (said,) = module._choice._said
    assert "runs on torch, because" in said and "in an order that matters" in said


@pytest.mark.parametrize("name", CASES)
def test_operators_are_what_they_say_without_values(name, monkeypatch):
    """Shapes, types and strides: graphs are made from these."""
    case, calls = CASES[name], []
    module, x = training_cases.build(case, "cython"), training_cases.inputs(case)
    for which in ("run", "run_back"):
        original = getattr(operator, which)
        monkeypatch.setattr(operator, which, lambda *given, original=original: calls.append((original, given)) or original(*given))
    outcome(module, lambda m: m(**x))
    assert len(calls) == 2
    for original, given in calls:
        torch.library.opcheck(original, given, test_utils=("test_schema", "test_faketensor"))
