"""How compiled runs behave as parts of torch programs: passes and backward passes in any order, threads, interrupts, and what goes to torch instead."""

import copy
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("one_thread")

import training_cases  # noqa: E402
from training_cases import Case  # noqa: E402

import brianlike.nn as bnn  # noqa: E402
from brianlike.nn.compiled import engine as compiled_engine  # noqa: E402
from brianlike.only import *  # noqa: E402

CASE = Case("lif", "SuperSpike", "everything", delay="each", shape="two populations", refractory="time", batch=(20,))


def pair(case: Case = CASE, **options: object) -> tuple[bnn.NetworkModule, bnn.NetworkModule]:
    """The module of a case for each engine."""
    return training_cases.build(case, "torch", **options), training_cases.build(case, "cython", **options)


def loss_of(y: tuple) -> torch.Tensor:
    return sum((value * torch.linspace(-1, 1, value.numel(), dtype=value.dtype).view(value.shape)).sum() for value in y)


def gradients(module: bnn.NetworkModule, loss: torch.Tensor, **options: object) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad(loss, list(module.parameters()), **options)


def close(one: tuple[torch.Tensor, ...], other: tuple[torch.Tensor, ...], rtol: float = 1e-9) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=0.1 * rtol * float(b.detach().abs().max()))


def is_compiled(y: tuple) -> bool:
    """Whether a record was made by the compiled engine: by its node in the graph of torch."""
    seen, nodes = set(), [value.grad_fn for value in y if value.grad_fn is not None]
    while nodes:
        node = nodes.pop()
        if node in seen:
            continue
        seen.add(node)
        if "brianlike" in node.name():
            return True
        nodes += [following for following, _ in node.next_functions if following is not None]
    return False


# ---------------------------------------------------------------------------------------------------------------------------- passes and backward passes
def test_two_passes_before_one_backward_pass() -> None:
    found = []
    for module in pair():
        x = training_cases.inputs(CASE)["source"].detach()
        one, two = module(x), module(x.flip(0))
        found.append(gradients(module, loss_of(one) + loss_of(two)))
    close(*reversed(found))


def test_backward_passes_in_the_order_of_the_passes() -> None:
    """What one pass keeps, the next one does not write over."""
    expected, found = [], []
    for module, results in zip(pair(), (expected, found)):
        x = training_cases.inputs(CASE)["source"].detach()
        losses = [loss_of(module(piece)) for piece in (x, x.flip(0), x.flip(1))]
        results += [gradients(module, loss) for loss in losses]
    for one, other in zip(found, expected):
        close(one, other)


def test_without_gradients_nothing_is_kept() -> None:
    _, module = pair()
    x = training_cases.inputs(CASE)["source"].detach()
    kept = []
    run = compiled_engine.CompiledEngine.run
    with pytest.MonkeyPatch.context() as patched, torch.no_grad():
        patched.setattr(compiled_engine.CompiledEngine, "run", lambda *arguments, **options: kept.append(run(*arguments, **options)) or kept[-1])
        quiet = module(x)
    assert len(kept) == 1 and not kept[0].tape and not any(value.requires_grad for value in quiet)
    loud = module(x)
    assert is_compiled(loud) and all(torch.equal(one, other) for one, other in zip(quiet, loud))
    assert all(value.any() for value in gradients(module, loss_of(loud)))
    frozen = training_cases.build(CASE, "cython").requires_grad_(False)
    assert not any(value.requires_grad for value in frozen(x))


def test_evaluation_in_inference_mode_leaves_nothing_behind() -> None:
    """Set-up and kernels are there after it, and a pass with gradients finds none of its tensors."""
    module = pair()[1]
    given = training_cases.inputs(CASE)
    with torch.inference_mode():
        evaluated = module(**given)
    trained = module(**given)
    assert all(torch.equal(a, b) for a, b in zip(evaluated, trained))
    assert all(gradient is None or torch.isfinite(gradient).all() for gradient in gradients(module, loss_of(trained)))


def test_a_graph_that_is_kept_is_used_again() -> None:
    _, module = pair()
    loss = loss_of(module(**training_cases.inputs(CASE)))
    one = gradients(module, loss, retain_graph=True)
    two = gradients(module, loss)
    assert all(torch.equal(a, b) for a, b in zip(one, two))
    with pytest.raises(RuntimeError, match="a second time"):
        gradients(module, loss)


def test_gradients_add_up() -> None:
    _, module = pair()
    for _ in range(2):
        loss_of(module(**training_cases.inputs(CASE))).backward()
    once = gradients(module, loss_of(module(**training_cases.inputs(CASE))))
    close(tuple(p.grad for p in module.parameters()), tuple(2 * g for g in once), 1e-14)


def test_second_derivatives_are_refused_by_name() -> None:
    torch_module, module = pair()
    with pytest.raises(RuntimeError, match="the compiled engine has no second derivatives; make the module with engine='torch' for create_graph=True"):
        gradients(module, loss_of(module(**training_cases.inputs(CASE))), create_graph=True)
    first = gradients(torch_module, loss_of(torch_module(**training_cases.inputs(CASE))), create_graph=True)
    assert any(value.requires_grad for value in first)
    loss_of(module(**training_cases.inputs(CASE))).backward()  # and the module is as good as before


def test_a_graph_outlives_its_module() -> None:
    torch_module, module = pair()
    expected = gradients(torch_module, loss_of(torch_module(**training_cases.inputs(CASE))))
    parameters, loss = list(module.parameters()), loss_of(module(**training_cases.inputs(CASE)))
    del module
    gc.collect()
    close(torch.autograd.grad(loss, parameters), expected)


def test_parameters_change_between_pass_and_backward_pass() -> None:
    """Gradients are those at the values that the pass has seen, as with torch, where values are made of parameters by a unit."""
    found = []
    for module in pair():
        loss = loss_of(module(**training_cases.inputs(CASE)))
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(1.01)
        found.append(gradients(module, loss))
    close(found[1], found[0])


def test_training_is_the_same() -> None:
    """Optimiser steps: parameters, transforms and what is cached between runs."""
    found = []
    for module in pair(replace(CASE, synapses="masked")):
        optimizer = torch.optim.Adam(module.parameters(), 1e-3)
        x = training_cases.inputs(CASE)["source"].detach()
        losses = []
        for _ in range(5):
            loss = loss_of(module(x))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        found.append((*losses, *(p.detach() for p in module.parameters())))
    close(found[1], found[0], 1e-7)


# --------------------------------------------------------------------------------------------------------------------------------------------- tensors
@pytest.mark.parametrize("form", ["transposed", "expanded", "strided", "other type", "batch first"])
def test_inputs_of_any_form(form: str) -> None:
    results = []
    for module in pair(batch_first=form == "batch first"):
        x = training_cases.inputs(CASE)["source"].detach()
        match form:
            case "transposed" | "batch first":
                x = x.transpose(0, 1).contiguous().transpose(0, 1)
                x = x.transpose(0, 1) if form == "batch first" else x
            case "expanded":
                x = x[:, :1].expand(-1, 20, -1)
            case "strided":
                x = torch.stack([x, 1 - x], -1).flatten(-2)[..., ::2]
            case "other type":
                x = x.bool()
        leaf = x if form == "other type" else x.requires_grad_()
        y = module(leaf)
        results.append((*y, *torch.autograd.grad(loss_of(y), [*([leaf] if leaf.requires_grad else []), *module.parameters()])))
    close(results[1], results[0])


def test_an_input_for_the_whole_batch_and_a_state_with_one() -> None:
    results = []
    for module in pair(replace(CASE, batch=(4,), fed="current", learned="everything")):
        x = training_cases.inputs(replace(CASE, batch=(4,), fed="current"))
        x["J"] = x["J"][:, 0].detach().requires_grad_()
        y, state = module.run(**x)
        y, state = module.run(**x, state={"cells": {"v": state["cells"]["v"][0]}})
        results.append((*y, *torch.autograd.grad(loss_of(y), [*x.values(), *module.parameters()])))
    close(results[1], results[0])


# ------------------------------------------------------------------------------------------------------------------------------------------- threads
@pytest.mark.parametrize("case", [replace(CASE, batch=(45,)), replace(CASE, batch=(45,), checkpoint=6, record="reduced")], ids=["", "checkpoints"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_any_number_of_threads_gives_the_same_bits(case: Case, dtype: torch.dtype) -> None:
    results = []
    for threads in (1, 2, 3, 1):
        torch.set_num_threads(threads)
        module, x = training_cases.build(case, "cython", dtype), training_cases.inputs(case, dtype)
        y = module(**x)
        assert is_compiled(y)
        results.append((*y, *torch.autograd.grad(loss_of(y), [*x.values(), *module.parameters()])))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other))


def test_members_do_not_depend_on_the_batch() -> None:
    _, module = pair()
    x = training_cases.inputs(CASE)["source"].detach()
    with torch.no_grad():
        whole = module(x)
        for first, last in ((0, 1), (3, 12), (19, 20)):
            assert all(torch.equal(a, b[:, first:last]) for a, b in zip(module(x[:, first:last]), whole))


def test_threads_share_a_module() -> None:
    _, module = pair()
    x = training_cases.inputs(CASE)["source"].detach()

    def passes(piece: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = module(piece)
        return (*y, *gradients(module, loss_of(y)))

    pieces = [x.roll(n, 0) for n in range(6)]
    expected = [passes(piece) for piece in pieces]
    torch.set_num_threads(2)
    with ThreadPoolExecutor(3) as pool:
        for one, other in zip(expected, pool.map(passes, pieces)):
            assert all(torch.equal(a, b) for a, b in zip(one, other))


def test_copies_are_compiled_too() -> None:
    torch_module, module = pair()
    other = copy.deepcopy(module)
    with torch.no_grad():
        for one, two in zip(other.parameters(), torch_module.parameters()):
            one.mul_(1.01), two.mul_(1.01)
    y = other(**training_cases.inputs(CASE))
    assert is_compiled(y) and is_compiled(module(**training_cases.inputs(CASE)))
    close(gradients(other, loss_of(y)), gradients(torch_module, loss_of(torch_module(**training_cases.inputs(CASE)))))


# ------------------------------------------------------------------------------------------------------------------------------- errors and interrupts
@pytest.mark.parametrize("direction", ["forwards", "backwards"])
def test_an_error_in_one_thread_ends_all_of_them(direction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(3)
    _, module = pair()
    x = training_cases.inputs(CASE)
    expected = gradients(module, loss_of(module(**x)))
    run_tiles, main = compiled_engine.run_tiles, threading.current_thread()
    broken = threading.Event()

    def failing(*arguments):
        if threading.current_thread() is not main and not broken.is_set():
            broken.set()
            raise MemoryError("as if there were none")
        broken.wait(10)
        return run_tiles(*arguments)

    loss = loss_of(module(**x)) if direction == "backwards" else None
    with monkeypatch.context() as patched, pytest.raises(MemoryError, match="as if there were none"):
        patched.setattr(compiled_engine, "run_tiles", failing)
        module(**x) if loss is None else loss.backward()
    assert broken.is_set()
    assert all(torch.equal(a, b) for a, b in zip(gradients(module, loss_of(module(**x))), expected))


def test_values_that_are_not_finite_are_named() -> None:
    torch_module, module = pair()
    x = training_cases.inputs(CASE)
    expected = gradients(module, loss_of(module(**x)))
    messages = []
    for one in (torch_module, module):
        with torch.no_grad():
            weight = one.parameter(one["feed"], "w")
            before = weight.clone()
            weight[0, 0] = float("nan")
        with pytest.raises(FloatingPointError) as error:
            one(**x)
        messages.append(str(error.value))
        with torch.no_grad():
            weight.copy_(before)
    assert messages[0] == messages[1] and "cells.v of element 0 is not finite" in messages[0]
    assert all(torch.equal(a, b) for a, b in zip(gradients(module, loss_of(module(**x))), expected))


INTERRUPTED = """
import gc, resource, signal, sys, threading, torch
gc.disable()
sys.path[:0] = {paths!r}
torch.set_num_threads({threads})
import training_cases
from training_cases import Case
from brianlike.nn.compiled.buffers import buffers
case = Case("lif", batch=(64,), record="reduced", learned="weights")
module = training_cases.build(case, "cython", torch.float32)
x = training_cases.inputs(case, torch.float32)["source"].detach()
def passes(x):
    module.zero_grad()
    y = module(x)
    sum(value.sum() for value in y).backward()
    return [p.grad.clone() for p in module.parameters()]
before = passes(x)
long = x.repeat({repeat}, 1, 1)
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
def ready():
    print("running", flush=True)
used = []
for _ in range({times}):
    timer = threading.Timer(0.2, ready)
    timer.start()
    try:
        passes(long)
        print("finished", flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    timer.join()
    buffers.release()
    used.append(resident())
after = passes(x)
assert all(torch.equal(a, b) for a, b in zip(before, after))
assert used[-1] < used[0] + {allowed}, used  # gc is off: nothing waits for it
print("works", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_ends_a_pass(threads: int) -> None:
    """A pass of minutes ends at once, again and again; what it had is given back, and the module goes on working."""
    tests = os.path.dirname(os.path.abspath(__file__))
    times, repeat = 2, 6_000
    text = INTERRUPTED.format(paths=[tests, os.path.dirname(tests)], threads=threads, repeat=repeat, times=times, allowed=20_000_000)
    process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        said = []
        while len(said) < 2 * times:
            line = process.stdout.readline().strip()
            if not line:
                break
            said.append(line)
            if line == "running":
                time.sleep(0.2)
                process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert said == ["running", "interrupted"] * times, (said, errors)
    assert rest.strip() == "works", errors


# ------------------------------------------------------------------------------------------------------------------------------------- which engine runs
def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "brianlike.nn.engine"]


def small(engine: str, coupled: bool = False, **options: object) -> tuple[bnn.NetworkModule, torch.Tensor]:
    """Inputs and a population, with and without what the compiled engine cannot do."""
    start_scope()
    defaultclock.dt = 1 * ms
    inputs = InputGroup(4, name="inputs")
    equations = "dv/dt = (k*u - v)/(5*ms) : 1\ndu/dt = (v - k*u)/(5*ms) : 1\nk : 1" if coupled else "dv/dt = -v/(5*ms) : 1"
    cells = NeuronGroup(3, equations, threshold="v > 1", reset="v = 0; k += 0.1" if coupled else "v = 0", method="exact", name="cells")
    feed = Synapses(inputs, cells, "w : 1", on_pre="v_post += w", name="feed")
    feed.connect()
    feed.w, feed.delay = "0.4 + 0.1*i", "i*ms"
    options = {"dtype": torch.float64, "namespace": {}, "engine": engine} | options
    module = bnn.NetworkModule(Network(inputs, cells, feed), {"v": (cells, "v"), "spikes": cells}, [bnn.Learn(feed, "w")], **options)
    return module, (torch.rand(20, 6, 4, generator=torch.Generator().manual_seed(1)) < 0.3).double()


def run_watched(module, x):
    with bnn.GradientNorms(module):
        return module(x)


def run_vmapped(module, x):
    module.check_finite = False
    return torch.func.vmap(lambda one: tuple(module(one)), in_dims=1, out_dims=1)(x)


TO_TORCH = {
    "propagators": (lambda module, x: module(x), {"coupled": True}, "needs a matrix exponential or a Python function in every step"),
    "watched": (run_watched, {}, "something watches every step"),
    "torch.func": (run_vmapped, {}, "a transform of torch.func is at work"),
}


@pytest.mark.parametrize("name", TO_TORCH)
def test_what_is_not_for_the_compiled_engine_goes_to_torch(name: str, caplog: pytest.LogCaptureFixture) -> None:
    run, options, reason = TO_TORCH[name]
    expected, x = small("torch", **options)
    reference = run(expected, x)
    module, _ = small("cython", **options)
    with caplog.at_level(logging.INFO, logger="brianlike"):
        first, second = run(module, x), run(module, x)
    assert [reason in line and "runs on torch" in line for line in lines(caplog)] == [True], lines(caplog)
    assert caplog.records[-1].levelno == logging.WARNING
    for one, other, third in zip(first, second, reference):
        assert torch.equal(one, other) and torch.equal(one, third)


def test_autocast_does_not_change_the_type_of_kernels() -> None:
    """A layer before the module computes in bfloat16, the module in its own type, as it does without autocast."""
    module, x = small("cython", dtype=torch.float32)
    before = torch.nn.Linear(4, 4)
    torch.nn.init.eye_(before.weight)
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            fed = before(x.float())
            y = module(fed)
        assert fed.dtype is (torch.bfloat16 if enabled else torch.float32) and is_compiled(y) and y.v.dtype is torch.float32
        again = module(fed.detach().float())
        assert torch.equal(y.v, again.v) and torch.equal(y.spikes, again.spikes)
        loss = y.v.square().sum()
        results.append(torch.autograd.grad(loss, [before.weight, *module.parameters()]))
    for one, other in zip(*results):
        torch.testing.assert_close(one, other, rtol=0.1, atol=0.1 * float(one.abs().max()))


def test_a_layer_of_torch_in_every_step_goes_to_torch(caplog: pytest.LogCaptureFixture) -> None:
    made = {}
    for engine in ("torch", "cython"):
        start_scope()
        torch.manual_seed(1)
        made[engine] = bnn.NeuronModule(
            5, "dv/dt = (J - v)/(5*ms) : 1\nJ : 1 (input)", threshold="v > 1", reset="v = 0", recurrent=torch.nn.Linear(5, 5), engine=engine, method="exact",
            namespace={},
        )  # fmt: skip
    x = 3 * torch.rand(20, 4, 5)
    with caplog.at_level(logging.INFO, logger="brianlike"):
        found = [module(x) for module in made.values()]
    assert torch.equal(*found) and ["a layer of torch runs in every step" in line for line in lines(caplog)] == [True]


def test_layers_are_compiled() -> None:
    """A NeuronModule between layers of torch: gradients reach those before it."""
    results = []
    for engine in ("torch", "cython"):
        start_scope()
        defaultclock.dt = 1 * ms
        torch.manual_seed(1)
        equations = "dv/dt = (J - v)/tau : 1\nJ : 1 (input)\ntau : second"
        options = {"threshold": "v > 1", "reset": "v -= 1", "parameters": {"tau": 10 * ms}, "method": "exact", "dtype": torch.float64, "namespace": {}}
        learn = {"variable": "tau", "unit": ms, "share": "channel", "bounds": (2 * ms, 50 * ms)}
        net = torch.nn.Sequential(
            bnn.OverTime(torch.nn.Conv2d(1, 3, 3)), bnn.NeuronModule((3, 4, 4), equations, learn=learn, engine=engine, **options), torch.nn.Flatten(2),
            torch.nn.Linear(48, 5), bnn.NeuronModule(5, equations, learn="tau", output="v", engine=engine, **options),
        ).double()  # fmt: skip
        y = net(8 * torch.rand(30, 4, 1, 6, 6, dtype=torch.float64))
        assert is_compiled((y,)) == (engine == "cython") and net[1](8 * torch.rand(9, 4, 3, 4, 4).double()).any()
        results.append((y, *torch.autograd.grad(y.square().sum(), list(net.parameters()))))
    close(results[1], results[0])


def test_auto_says_once_what_it_chose_and_why(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    module, x = small("auto")
    with caplog.at_level(logging.INFO, logger="brianlike"):
        y = module(x), module(x)
    assert not is_compiled(y[0]) and len(lines(caplog)) == 1
    assert "runs on torch, because" in lines(caplog)[0] and caplog.records[-1].levelno == logging.INFO
    caplog.clear()

    monkeypatch.setattr("brianlike.nn.choice.WORTHWHILE", 100)
    module, x = small("auto")
    with caplog.at_level(logging.INFO, logger="brianlike"):
        y = module(x), module(x[:10]), module(x)
    assert is_compiled(y[0]) and len(lines(caplog)) == 1
    assert "runs on compiled kernels" in lines(caplog)[0] and "because" in lines(caplog)[0]
    caplog.clear()

    module, x = small("auto", coupled=True)
    with caplog.at_level(logging.INFO, logger="brianlike"):
        module(x), module(x)
    assert ["needs a matrix exponential" in line for line in lines(caplog)] == [True]


def test_engines_are_named(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="engine= takes 'auto', 'torch', 'cython', not 'numpy'"):
        small("numpy")
    module, x = small("torch")
    with caplog.at_level(logging.INFO, logger="brianlike"):
        assert not is_compiled(module(x))
    assert not lines(caplog)


def test_without_a_compiler_torch_does_it(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    from brianlike.build import CompilerUnavailable

    def none(sources):
        raise CompilerUnavailable("there is no C compiler")

    monkeypatch.setattr(compiled_engine, "build_cython", none)
    module, x = small("cython")
    with caplog.at_level(logging.INFO, logger="brianlike"):
        y = module(x), module(x)
    assert ["runs on torch, because there is no C compiler" in line for line in lines(caplog)] == [True]
    assert torch.equal(y[0].v, small("torch")[0](x).v)


def test_the_driver_and_its_operations_have_the_same_fields() -> None:
    """Operations go to C as rows of whole numbers."""
    from brianlike._training import ENTRY_FIELDS, OPERATION_FIELDS
    from brianlike.nn.compiled.operations import FIELDS, Place

    assert len(FIELDS) == OPERATION_FIELDS and len(Place(0, 0, 1, 8, 16).entry) == ENTRY_FIELDS
