"""Small networks for comparing engines of training: neuron models crossed with surrogates, what is learned, synapses, delays, refractoriness, resets, records.

A `Case` is one choice on each of `AXES`. `PAIRS` is a small set of cases in which every pair of choices occurs that can be combined (but for the pairs of
axes in `APART`); `table()` has larger ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from itertools import combinations, product
from random import Random

import torch

import brianlike.nn as bnn
from brianlike.only import *

DT = 0.5  # ms
INPUTS, CELLS = 6, 5


# ------------------------------------------------------------------------------------------------------------------------------------------------ models
@dataclass(frozen=True)
class Neuron:
    """A neuron model; `{unless}` and `{drive}` in its equations are filled in by the case.

    Attributes
    ----------
    target, weight, unit : the variable that synapses add to, about how much, and its unit.
    jump : what a reset of the kind `increment` adds, as a statement.
    values : of parameters and initial states, as texts.
    shared, own : parameters that all neurons share, and those of each neuron.
    initial : a variable whose initial value is learned.
    subtract : the reset that depends on how far the potential came; where it runs away, it keeps a part of the distance only.
    current : of the input `J` where the network is fed with currents.
    """

    equations: str
    method: str
    jump: str
    values: dict[str, str]
    shared: tuple[str, ...]
    own: tuple[str, ...]
    initial: str
    target: str = "I"
    unit: str = "1"
    weight: str = "0.9"
    loop: str = "0.5"
    potential: str = "1"
    jump_unit: str = "1"
    threshold: str = "v > vt"
    current: str = "1.5"
    subtract: str = "v -= vt - vr"
    width: object = None
    steps: int = 24


SYNAPTIC = "dI/dt = -I/tau_s : 1\ntau_s : second (shared, constant)"
ADEX = """dv/dt = (gL*(EL - v) + gL*DeltaT*exp((v - VT)/DeltaT) + I{drive} - u)/C : volt {unless}
          du/dt = (a*(v - EL) - u)/tau_w : amp
          dI/dt = -I/tau_s : amp
          EL = -70.6*mV : volt
          gL : siemens (shared)
          DeltaT : volt (shared)
          C : farad
          VT : volt
          a : siemens
          tau_w : second
          tau_s : second (shared)"""
ADEX_VALUES = {
    "C": "(250 + 10*i)*pF", "gL": "30*nS", "DeltaT": "5*mV", "VT": "-50.4*mV + 0.5*i*mV", "a": "4*nS", "tau_w": "(60 + 10*i)*ms", "tau_s": "6*ms",
    "v": "-65*mV + 2*i*mV", "vt": "-46*mV + 0.2*i*mV", "vr": "-70*mV + i*mV", "jump": "(50 + 10*i)*pA",
}  # fmt: skip


def _adex(method: str) -> Neuron:
    return Neuron(
        ADEX, method, "u += jump", ADEX_VALUES, ("gL", "tau_s"), ("C", "VT", "tau_w", "a"), "v", unit="amp", weight="0.6*nA", loop="0.2*nA",
        potential="volt", jump_unit="amp", current="1.2*nA", subtract="v = vr + 0.1*(v - vt)", width=4 * mV,
    )  # fmt: skip


NEURONS = {
    "lif": Neuron(
        f"dv/dt = (I{{drive}} - v)/tau : 1 {{unless}}\n{SYNAPTIC}\ntau : second (constant)", "exact", "I -= jump",
        {"tau": "(6 + 2*i)*ms", "tau_s": "4*ms", "v": "0.15*i", "I": "0.1*i", "vt": "1 + 0.05*i", "vr": "0.05*i", "jump": "0.1 + 0.02*i"},
        ("tau_s",), ("tau",), "v", weight="1.1",
    ),
    "integrator": Neuron(
        f"dv/dt = (I{{drive}})/tau : 1 {{unless}}\n{SYNAPTIC}\ntau : second", "exact", "I -= jump",
        {"tau": "(6 + 2*i)*ms", "tau_s": "4*ms", "v": "0.15*i", "vt": "1 + 0.05*i", "vr": "0.05*i", "jump": "0.1 + 0.02*i"},
        ("tau_s",), ("tau",), "I", weight="0.6", current="0.8",
    ),
    "adaptive": Neuron(
        f"dv/dt = (I{{drive}} - v)/tau : 1 {{unless}}\n{SYNAPTIC}\ntau : second\ndb/dt = -b/tau_b : 1\ntau_b : second\nbeta : 1 (shared)", "exact", "b += jump",
        {"tau": "(6 + 2*i)*ms", "tau_s": "4*ms", "tau_b": "(15 + 5*i)*ms", "beta": "0.6", "v": "0.15*i", "b": "0.1*i", "vt": "0.9 + 0.05*i", "vr": "0.05*i",
         "jump": "0.5 + 0.1*i"},
        ("tau_s", "beta"), ("tau", "tau_b"), "b", threshold="v > vt + beta*b", weight="1.2",
    ),
    "adex": _adex("exponential_euler"),
    "adex by euler": _adex("euler"),
    "adex by rk4": _adex("rk4"),
    "conductances": Neuron(
        """dv/dt = (ge*(Ee - v) + gi*(Ei - v){drive} - v)/tau : 1 {unless}
           dge/dt = -ge/tau_e : 1
           dgi/dt = -gi/(8*ms) : 1
           tau : second
           tau_e : second (shared)
           Ee : 1
           Ei : 1 (shared)""", "exponential_euler", "gi += jump",
        {"tau": "(6 + 2*i)*ms", "tau_e": "3*ms", "Ee": "4 + 0.2*i", "Ei": "-0.5", "v": "0.15*i", "ge": "0.02*i", "gi": "0.1 + 0.02*i",
         "vt": "0.9 + 0.05*i", "vr": "0.05*i", "jump": "0.3 + 0.05*i"},
        ("tau_e", "Ei"), ("tau", "Ee"), "ge", target="ge", weight="0.3", loop="0.15", current="0.7",
    ),
    "izhikevich": Neuron(
        """dv/dt = (0.04*v**2 + 5*v + 140 - u + I{drive})/ms : 1 {unless}
           du/dt = a*(0.2*v - u)/ms : 1
           dI/dt = -I/tau_s : 1
           a : 1
           tau_s : second (shared)""", "euler", "u += jump",
        {"a": "0.02 + 0.01*i", "tau_s": "4*ms", "v": "-62 - i", "u": "-13", "vt": "30 + i", "vr": "-65 + i", "jump": "4 + i"},
        ("tau_s",), ("a",), "u", weight="12", loop="3", current="10", subtract="v = vr + 0.1*(v - vt)", width=20.0, steps=30,
    ),
}  # fmt: skip
SURROGATES = {
    "SuperSpike": bnn.SuperSpike(beta=5), "Sigmoid": bnn.Sigmoid(slope=4), "ATan": bnn.ATan(), "Triangle": bnn.Triangle(), "Gaussian": bnn.Gaussian(),
    "Boxcar": bnn.Boxcar(), "Exponential": bnn.Exponential(beta=2), "MultiGaussian": bnn.MultiGaussian(), "none": None,
}  # fmt: skip
SCALES = {
    "SuperSpike": (1, 1), "Sigmoid": (3, 2), "ATan": (1, 0.5), "Triangle": (0.3, 2), "Gaussian": (1, 1), "Boxcar": (0.5, 3), "Exponential": (1, 0.7),
    "MultiGaussian": (0.5, 1),
}  # fmt: skip
"""Scale of a surrogate, and its width in units of that of the model."""


# ------------------------------------------------------------------------------------------------------------------------------------------------- cases
@dataclass(frozen=True)
class Case:
    """One choice on each axis."""

    model: str = "lif"
    surrogate: str = "SuperSpike"
    learned: str = "everything"
    synapses: str = "dense"
    delay: str = "none"
    refractory: str = "none"
    reset: str = "assign"
    detach: str = "default"
    shape: str = "recurrent"
    record: str = "timed"
    batch: tuple[int, ...] = (5,)
    pieces: str = "whole"
    fed: str = "spikes"
    checkpoint: int | None = None

    def __str__(self) -> str:
        return "-".join("x".join(map(str, value)) or "one" if isinstance(value, tuple) else str(value).replace(" ", "_") for value in astuple(self))


AXES: dict[str, tuple] = {
    "model": tuple(NEURONS),
    "surrogate": tuple(SURROGATES),
    "learned": ("everything", "weights", "weights and inputs", "neurons", "initial values"),
    "synapses": ("dense", "sparse", "masked"),
    "delay": ("none", "one", "each", "learned"),
    "refractory": ("none", "time", "condition", "each"),
    "reset": ("assign", "subtract", "increment"),
    "detach": ("default", "all", "nothing", "v"),
    "shape": ("feed-forward", "recurrent", "two populations", "skip"),
    "record": ("timed", "reduced", "margin"),
    "batch": ((), (1,), (5,), (3, 4), (40,)),
    "pieces": ("whole", "pieces", "truncated", "steps"),
    "fed": ("spikes", "graded", "current"),
    "checkpoint": (None, 5),
}
APART = [{"model", "surrogate"}, {"model", "learned"}, {"model", "batch"}, {"surrogate", "batch"}, {"surrogate", "learned"}, {"model", "detach"}]
APART += [{"surrogate", other} for other in ("detach", "synapses", "delay", "record", "pieces", "fed", "shape", "checkpoint")]
"""Pairs of axes whose choices `PAIRS` need not combine: the table marked slow does."""
assert list(AXES) == [field.name for field in fields(Case)]


def cover(axes: dict[str, Sequence], apart: Sequence[set[str]], seed: int = 1) -> list[Case]:
    """Cases in which every pair of choices occurs: each next one is the best of some that are made at random around a pair that is missing."""
    random = Random(seed)
    missing = {((a, x), (b, y)) for a, b in combinations(axes, 2) if {a, b} not in apart for x in axes[a] for y in axes[b]}
    places = {name: n for n, name in enumerate(axes)}

    def new(chosen: dict[str, object], name: str, x: object) -> int:
        """How many missing pairs there are between a choice and those that are made already."""
        return sum((((name, x), pair) if places[name] < places[pair[0]] else (pair, (name, x))) in missing for pair in chosen.items())

    cases = []
    while missing:
        candidates = []
        for pair in random.sample(sorted(missing, key=str), min(6, len(missing))):
            chosen, found = dict(pair), 1
            for name in random.sample([name for name in axes if name not in chosen], len(axes) - 2):
                counts = {x: new(chosen, name, x) for x in random.sample(axes[name], len(axes[name]))}
                chosen[name] = max(counts, key=counts.get)
                found += counts[chosen[name]]
            candidates.append((found, {name: chosen[name] for name in axes}))
        best = max(candidates, key=lambda candidate: candidate[0])[1]
        missing -= set(combinations(best.items(), 2))
        cases.append(Case(**best))
    return cases


PAIRS = cover({**AXES, "model": tuple(name for name in NEURONS if " by " not in name)}, APART)


def table() -> list[Case]:
    """All pairs of choices, without exception, from two beginnings; and every model with every surrogate, reset and detachment."""
    found = [*cover(AXES, [], seed=2), *cover(AXES, [], seed=3)]
    for n, (model, surrogate, reset, detach) in enumerate(product(NEURONS, SURROGATES, AXES["reset"], AXES["detach"])):
        rest = {name: AXES[name][n // 7 % len(AXES[name])] for name in ("synapses", "delay", "refractory", "shape", "record", "pieces", "fed", "checkpoint")}
        found.append(Case(model, surrogate, "everything", reset=reset, detach=detach, batch=(3,), **rest))
    return list(dict.fromkeys(found))


# --------------------------------------------------------------------------------------------------------------------------------------------- networks
def build(case: Case, engine: str = "torch", dtype: torch.dtype = torch.float64, **options: object) -> bnn.NetworkModule:
    """The module of a case."""
    start_scope()
    defaultclock.dt = DT * ms
    neuron = NEURONS[case.model]
    source, cells = InputGroup(INPUTS, name="source"), _cells(case, neuron)
    objects, feeds = [source, cells], [_synapses(case, source, cells, "feed", neuron, neuron.weight)]
    learn = _learned_by_neurons(case, cells, neuron)
    if case.shape != "feed-forward":
        loop = "feed" if case.shape == "skip" else "loop"
        feeds += [] if loop == "feed" else [_synapses(case, cells, cells, "loop", neuron, f"({neuron.loop})*(1 - 2*int((i + j) % 3 == 0))", loop=True)]
    if case.shape in ("two populations", "skip"):
        other = NeuronGroup(
            3, "dv/dt = (I - v)/tau : 1\ndI/dt = -I/(3*ms) : 1\ndb/dt = -b/(20*ms) : 1\ntau : second", threshold="v > 1 + b", reset="v = 0; b += 0.2",
            method="exact", name="other",
        )  # fmt: skip
        other.tau = "(5 + i)*ms"
        plain = NEURONS["lif"]
        feeds.append(_synapses(case, cells, other, "on", plain, "1.5"))
        if case.shape == "skip":
            feeds.append(_synapses(case, source, other, "past", plain, "0.8"))
        else:
            feeds.append(_synapses(case, other, cells, "back", neuron, f"-0.3*({neuron.weight})"))
        objects.append(other)
        if case.learned in ("everything", "neurons"):
            learn.append(bnn.Learn(other, "tau", unit=ms))
    if case.learned in ("everything", "weights", "weights and inputs"):
        mask = "(i + 2*j) % 4 > 0" if case.synapses == "masked" else None
        learn += [bnn.Learn(S, "w", mask=mask) for S in feeds]
    if case.delay == "learned":
        learn += [bnn.Learn(S, "delay", unit=ms) for S in feeds]
    groups = [item for item in objects if isinstance(item, NeuronGroup)]
    gradient = {group: _gradient(case, neuron.width if group is cells else None) for group in groups}
    chosen = gradient if len(groups) > 1 else gradient[cells]
    options = {"dtype": dtype, "engine": engine, "checkpoint": case.checkpoint, "namespace": {}} | options
    return bnn.NetworkModule(Network(*objects, *feeds), _record(case, groups, neuron), learn, chosen, **options)


def _cells(case: Case, neuron: Neuron) -> NeuronGroup:
    resets = {"assign": "v = vr", "subtract": neuron.subtract, "increment": f"v = vr; {neuron.jump}"}
    lines = [
        neuron.equations.format(unless="" if case.refractory == "none" else "(unless refractory)", drive=" + J" if case.fed == "current" else ""),
        f"vt : {neuron.potential}", f"vr : {neuron.potential}", f"jump : {neuron.jump_unit}",
    ]  # fmt: skip
    lines += [f"J : {neuron.unit if neuron.target == 'I' else '1'} (input)"] if case.fed == "current" else []
    reset = resets[case.reset]
    if case.refractory == "condition":
        lines.append("dh/dt = -h/(2*ms) : 1")
        reset += "; h = 1"
    refractory = {"none": False, "time": 1 * ms, "condition": "h > 0.5", "each": "(0.5 + 0.5*(i % 3))*ms"}[case.refractory]
    cells = NeuronGroup(CELLS, "\n".join(lines), threshold=neuron.threshold, reset=reset, refractory=refractory, method=neuron.method, name="cells")
    for name, value in neuron.values.items():
        setattr(cells, name, value)
    return cells


def _synapses(case: Case, source: object, target: NeuronGroup, name: str, neuron: Neuron, weight: str, loop: bool = False) -> Synapses:
    made = Synapses(source, target, f"w : {neuron.unit}", on_pre=f"{neuron.target}_post += w", name=name)
    where = ["i != j"] if loop and case.synapses == "sparse" else []
    where += ["(2*i + j) % 3 > 0"] if case.synapses == "sparse" else []
    made.connect(" and ".join(where)) if where else made.connect()
    made.w = f"({weight})*(0.4 + 0.15*((3*i + 5*j) % 7))" + ("*1.4" if case.synapses != "dense" else "")
    if case.delay != "none":
        made.delay = f"{2 * DT}*ms" if case.delay == "one" else f"((i + 2*j) % 4)*{DT}*ms"
    return made


def _learned_by_neurons(case: Case, cells: NeuronGroup, neuron: Neuron) -> list[bnn.Learn]:
    learn = []
    if case.learned in ("everything", "neurons"):
        learn += [bnn.Learn(cells, name) for name in (*neuron.shared, *neuron.own, "vt", "vr")]
        learn += [bnn.Learn(cells, "jump")] if case.reset == "increment" else []
    if case.learned in ("everything", "initial values"):
        learn += [bnn.Learn(cells, name) for name in dict.fromkeys(("v", neuron.initial))]
    return learn


def _gradient(case: Case, width: object) -> bnn.Surrogate | bnn.TrueGradient:
    if case.surrogate == "none":
        return bnn.TrueGradient()
    detach = {"default": None, "all": True, "nothing": False, "v": {"v"}}[case.detach]
    scale, factor = SCALES[case.surrogate]
    return bnn.Surrogate(SURROGATES[case.surrogate], width=factor * (1 if width is None else width), scale=scale, detach_reset=detach)


def _record(case: Case, groups: Sequence[NeuronGroup], neuron: Neuron) -> dict[str, object]:
    cells, last = groups[0], groups[-1]
    match case.record:
        case "timed":
            return {"v": (last, "v"), "spikes": cells, "state": (cells, neuron.initial)}
        case "margin":
            return {"margin": bnn.Margin(last), "spikes": cells, "v": (cells, "v"), "count": bnn.Count(last)}
    v = (cells, "v")
    record = {"count": bnn.Count(cells), "mean": bnn.Mean(v), "max": bnn.Max(v), "last": bnn.Last(v), "first": bnn.FirstSpike(last), "spikes": cells}
    return record | {"now": bnn.Last(cells), "rate": bnn.Mean(last), "state": bnn.Mean((cells, neuron.initial))}


def inputs(case: Case, dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    """Inputs of a case, which want their gradient where the case says so."""
    neuron = NEURONS[case.model]
    generator = torch.Generator().manual_seed(3)
    spikes = (torch.rand(neuron.steps, *case.batch, INPUTS, generator=generator) < 0.25).double()
    if case.fed == "graded":
        spikes = spikes * (0.7 + 0.6 * torch.rand(spikes.shape, generator=generator, dtype=torch.float64))
    found = {"source": spikes}
    if case.fed == "current":
        scale = {"adex": 1.2e-9}.get(case.model.split()[0], float(neuron.current) if "*" not in neuron.current else 0)
        found["J"] = scale * torch.rand(neuron.steps, *case.batch, CELLS, generator=generator, dtype=torch.float64)
    wanted = case.learned in ("everything", "weights and inputs")
    return {name: value.to(dtype).requires_grad_(wanted) for name, value in found.items()}


# ---------------------------------------------------------------------------------------------------------------------------------------------- results
@dataclass(frozen=True)
class Result:
    """Records and gradients by name, and the state after the run."""

    records: dict[str, torch.Tensor]
    gradients: dict[str, torch.Tensor]
    state: dict[str, torch.Tensor]


def run(case: Case, module: bnn.NetworkModule, x: dict[str, torch.Tensor], force: dict[object, torch.Tensor] | None = None, backward: bool = True) -> Result:
    """Run a case in its pieces, and differentiate a random sum of everything that it records and of the state that it ends with."""
    steps = len(x["source"])
    third = steps // 3
    cuts = {"whole": [0, steps], "pieces": [0, third, third + 1, steps], "truncated": [0, third, 2 * third, steps], "steps": [0, steps - 3, steps]}[case.pieces]
    state, records, generator, loss = None, {}, torch.Generator().manual_seed(4), 0.0
    for number, (first, last) in enumerate(zip(cuts, cuts[1:])):
        piece = {name: value[first:last] for name, value in x.items()}
        replayed = {group: spikes[first:last] for group, spikes in force.items()} if force else None
        if case.pieces == "steps" and number == 1 and not force:
            for t in range(last - first):
                y, state = module.step(**{name: value[t] for name, value in piece.items()}, state=state)
                records |= {f"{key} {t}": value for key, value in y._asdict().items()}
        else:
            y, state = module.run(**piece, state=bnn.detached(state) if case.pieces == "truncated" and state else state, force=replayed)
            records |= {f"{key} of {number}": value for key, value in y._asdict().items()}
    state = {f"{owner}.{name}": value for owner, variables in state.items() if owner != "clock" for name, value in variables.items()}
    state = {name: value.expand(*value.shape[: name.endswith("_past")], *case.batch, value.shape[-1]) for name, value in state.items()}  # may be common to all
    for value in (*records.values(), *(value for _, value in sorted(state.items()) if value.is_floating_point())):
        weights = torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value.dtype)
        loss = loss + (weights * value).sum() / (float(value.detach().abs().max()) or 1.0)
    wanted = {name: value for name, value in x.items() if value.requires_grad} | dict(module.named_parameters())
    wanted = wanted if backward else {}
    found = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True) if wanted else ()
    gradients = {name: torch.zeros_like(value) if one is None else one for (name, value), one in zip(wanted.items(), found)}
    return Result({key: value.detach() for key, value in records.items()}, gradients, {key: value.detach() for key, value in state.items()})
