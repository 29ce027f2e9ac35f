"""Small networks, one for each thing that can run inside a module beside the equations of neurons; each can be built without it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

import brianlike.nn as bnn
from brianlike.only import *

STEPS, BATCH, INPUTS, CELLS = 40, 3, 6, 4
LIF = "dv/dt = (I - v)/(10*ms) : 1\ndI/dt = -I/(4*ms) : 1"


@dataclass
class Built:
    """Objects of a network, what to learn of them, and what to record beside the spikes and potentials of the cells."""

    objects: list[object]
    cells: NeuronGroup
    learn: list[tuple[object, str]]
    record: dict[str, tuple[object, str]] = field(default_factory=dict)
    width: object = None


def source(n: int = INPUTS) -> InputGroup:
    return InputGroup(n, name="source")


def lif(equations: str = LIF, **options: object) -> NeuronGroup:
    given = {"threshold": "v > 1", "reset": "v = 0", "method": "exact", "name": "cells", **options}
    cells = NeuronGroup(CELLS, equations, **given)
    cells.v = "0.1 + 0.2*i"
    return cells


def synapses(*ends: object, name: str = "feed", weight: str = "0.4 + 0.1*((3*i + 5*j) % 7)", where: str | None = None, **options: object) -> Synapses:
    made = Synapses(*ends, name=name, **options)
    made.connect(where) if where else made.connect()
    made.w = weight
    return made


def driven(cells: NeuronGroup) -> tuple[InputGroup, Synapses]:
    inputs = source()
    return inputs, synapses(inputs, cells, model="w : 1", on_pre="I_post += w")


# --------------------------------------------------------------------------------------------------------------------------- synapses with their own state
def nmda(on: bool = True) -> Built:
    cells = lif("dv/dt = (2*s_sum*(3 - v) - v)/(10*ms) : 1\ns_sum : 1", method="euler")
    inputs = source()
    equations = f"""ds/dt = -s/tau + a*x*{"(1 - s)" if on else "1"} : 1 (clock-driven)
                    dx/dt = -x/(2*ms) : 1 (clock-driven)
                    s_sum_post = w*s : 1 (summed)
                    w : 1
                    tau : second
                    a : Hz"""
    feed = synapses(inputs, cells, model=equations, on_pre="x += 1", where="(i + j) % 5 > 0", method="euler")
    feed.tau, feed.a = "(10 + i)*ms", "(300 + 20*j)*Hz"
    return Built([inputs, cells, feed], cells, [(feed, "w"), (feed, "tau"), (feed, "a")], {"s": (feed, "s"), "s_sum": (cells, "s_sum")})


def conductance(on: bool = True) -> Built:
    cells = lif(f"dv/dt = (g*({'E - v' if on else 'E'}) - v)/(10*ms) : 1\ndg/dt = -g/tau : 1\nE : 1\ntau : second", method="exponential_euler")
    cells.E, cells.tau = "4 + 0.1*i", "(3 + i)*ms"
    inputs = source()
    feed = synapses(inputs, cells, model="w : 1", on_pre="g_post += w", weight="0.2 + 0.01*i")
    return Built([inputs, cells, feed], cells, [(feed, "w"), (cells, "E"), (cells, "tau")], {"g": (cells, "g")})


def short_term_plasticity(on: bool = True) -> Built:
    cells = lif()
    inputs = source()
    equations = """du/dt = -u/tau_f : 1 (event-driven)
                   dr/dt = (1 - r)/tau_d : 1 (event-driven)
                   w : 1
                   U : 1
                   tau_f : second
                   tau_d : second"""
    code = "u += U*(1 - u); I_post += 4*w*u*r; r -= u*r" if on else "u += U*(1 - u); I_post += 4*w*u"
    feed = synapses(inputs, cells, model=equations, on_pre=code)
    feed.U, feed.tau_f, feed.tau_d, feed.r, feed.u = "0.3 + 0.02*j", "(20 + i)*ms", "(30 + 2*j)*ms", "0.9 - 0.01*i", "0.05*j"
    return Built([inputs, cells, feed], cells, [(feed, name) for name in ("w", "U", "tau_f", "tau_d", "u", "r")], {"u": (feed, "u"), "r": (feed, "r")})


def stdp(on: bool = True, timing: str = "event-driven") -> Built:
    cells = lif()
    inputs = source()
    equations = f"""dx/dt = -x/tau_x : 1 ({timing})
                    dy/dt = -y/(8*ms) : 1 ({timing})
                    w : 1
                    tau_x : second
                    up : 1
                    down : 1 (shared)"""
    rules = {"on_pre": "I_post += w; x += up; w = clip(w - y, 0, 2)", "on_post": "y += down; w = clip(w + x, 0, 2)"}
    rules = rules if on else {"on_pre": "I_post += w; x += up", "on_post": "y += down"}
    feed = synapses(inputs, cells, model=equations, method="exact", **rules)
    feed.tau_x, feed.up, feed.down = "(5 + i)*ms", "0.15 + 0.01*j", 0.1
    feed.delay = "(1 + (i + j) % 3)*ms"
    return Built([inputs, cells, feed], cells, [(feed, name) for name in ("w", "tau_x", "up", "down")], {"w": (feed, "w"), "x": (feed, "x")})


def stdp_clock_driven(on: bool = True) -> Built:
    return stdp(on, "clock-driven")


def several_pathways(on: bool = True) -> Built:
    cells = lif(LIF + "\ndk/dt = -k/(6*ms) : 1")
    inputs = source()
    paths = {"fast": "I_post += w", "slow": "z += 0.3*w; k_post += z; I_post += 0.2*z"}
    feed = synapses(inputs, cells, model="w : 1\nz : 1", on_pre=paths if on else {"fast": paths["fast"]}, where="(2*i + j) % 3 > 0")
    feed.fast.delay, feed.z = "(i % 2)*ms", "0.01*(1 + j)"
    if on:
        feed.slow.delay = "(2 + j)*ms"
    back = synapses(cells, cells, name="back", model="w : 1", on_post="k_pre += w", where="i != j", weight="0.1*i - 0.2")
    return Built([inputs, cells, feed, back], cells, [(feed, "w"), (back, "w"), (feed, "z")], {"k": (cells, "k"), "z": (feed, "z")})


def synapses_that_set(on: bool = True) -> Built:
    """Code of synapses may set a variable of their neurons: the last one counts."""
    cells = lif("dv/dt = (I + m - v)/(10*ms) : 1\ndI/dt = -I/(4*ms) : 1\nm : 1")
    inputs, feed = driven(cells)
    gap = synapses(cells, cells, name="gap", model="w : 1", where="i > j")
    if on:
        gap.run_regularly("m_post = w*v_pre", when="start")
    return Built([inputs, cells, feed, gap], cells, [(feed, "w"), *([(gap, "w")] if on else [])], {"m": (cells, "m")})


def gap_junctions(on: bool = True) -> Built:
    cells = lif("dv/dt = (I + gap - v)/(10*ms) : 1\ndI/dt = -I/(4*ms) : 1\ngap : 1", method="euler")
    inputs, feed = driven(cells)
    model = "w : 1\ngap_post = w*(v_pre - v_post) : 1 (summed)" if on else "w : 1"
    joined = synapses(cells, cells, name="joined", model=model, where="i != j", weight="0.1 + 0.02*i")
    return Built([inputs, cells, feed, joined], cells, [(feed, "w"), *([(joined, "w")] if on else [])], {"gap": (cells, "gap")})


def parts_of_a_group(on: bool = True) -> Built:
    cells = lif()
    inputs, feed = driven(cells)
    inner = synapses(cells[:2], cells[1:] if on else cells[2:], name="inner", model="w : 1", on_pre="I_post -= w")
    return Built([inputs, cells, feed, inner], cells, [(feed, "w"), (inner, "w")])


# --------------------------------------------------------------------------------------------------------------------------------------- code and events
def regular_code(on: bool = True) -> Built:
    cells = lif(LIF + "\nk : 1\nshift : 1 (shared)")
    cells.k = "0.9 - 0.05*i"
    inputs, feed = driven(cells)
    if on:
        cells.run_regularly("shift += 0.01; I = I*k + shift", when="before_thresholds")
    return Built([inputs, cells, feed], cells, [(feed, "w"), *([(cells, "k")] if on else [])], {"I": (cells, "I"), "shift": (cells, "shift")})


def code_on_events(on: bool = True) -> Built:
    cells = lif(LIF + "\nk : 1\nq : 1", events={"high": "v > 0.6"})
    cells.k = "0.5 + 0.1*i"
    inputs, feed = driven(cells)
    if on:
        cells.run_on_event("high", "I *= k; q += 1")
    return Built([inputs, cells, feed], cells, [(feed, "w"), *([(cells, "k")] if on else [])], {"I": (cells, "I"), "q": (cells, "q")})


def custom_events(on: bool = True) -> Built:
    cells = lif(LIF + "\ndk/dt = -k/(5*ms) : 1", events={"high": "v > 0.6"})
    inputs, feed = driven(cells)
    options = {"on_event": "high"} if on else {}
    back = synapses(cells, cells, name="back", model="w : 1", on_pre="k_post += w; I_post -= 0.1*w", where="i != j", **options)
    return Built([inputs, cells, feed, back], cells, [(feed, "w"), (back, "w")], {"k": (cells, "k"), "high": (cells, "high")})


def constant_over_dt(on: bool = True) -> Built:
    flag = " (constant over dt)" if on else ""
    cells = lif(f"dv/dt = (I*f - v)/(10*ms) : 1\ndI/dt = -I/(4*ms) : 1\nf = exp(-k*v**2) : 1{flag}\nk : 1", method="rk4")
    cells.k = "0.3 + 0.1*i"
    inputs, feed = driven(cells)
    return Built([inputs, cells, feed], cells, [(feed, "w"), (cells, "k")], {"f": (cells, "f")} if on else {})


# --------------------------------------------------------------------------------------------------------------------------------------------- refractory
def refractory_text(on: bool = True) -> Built:
    cells = lif("dv/dt = (I - v)/(10*ms) : 1 (unless refractory)\ndI/dt = -I/(4*ms) : 1", refractory="(2 + i)*ms" if on else False)
    inputs, feed = driven(cells)
    return Built([inputs, cells, feed], cells, [(feed, "w")])


def refractory_condition(on: bool = True) -> Built:
    equations = "dv/dt = (I - v)/(10*ms) : 1 (unless refractory)\ndI/dt = -I/(4*ms) : 1\ndh/dt = -h/tau : 1\ntau : second"
    cells = lif(equations, reset="v = 0; h = 1", refractory="h > 0.4" if on else False)
    cells.tau = "(5 + i)*ms"
    inputs, feed = driven(cells)
    return Built([inputs, cells, feed], cells, [(feed, "w")], {"h": (cells, "h")})


def adaptive_threshold(on: bool = True) -> Built:
    equations = "dv/dt = (I - v)/(10*ms) : 1\ndI/dt = -I/(4*ms) : 1\ndb/dt = -b/tau : 1\ntau : second\nbeta : 1"
    cells = lif(equations, threshold=f"v > 1 + {'beta*b' if on else '0*beta*b'}", reset="v = 0; b += 1")
    cells.tau, cells.beta = "(20 + i)*ms", "0.3 + 0.1*i"
    inputs, feed = driven(cells)
    return Built([inputs, cells, feed], cells, [(feed, "w"), (cells, "tau"), (cells, "beta")] if on else [(feed, "w")], {"b": (cells, "b")})


def skip_connections(on: bool = True) -> Built:
    """Two groups of different equations, one after the other, with connections back and past the first."""
    cells = lif()
    inputs, feed = driven(cells)
    above = NeuronGroup(3, "dv/dt = (I - u - v)/(8*ms) : 1\ndu/dt = (a*v - u)/(20*ms) : 1\ndI/dt = -I/(3*ms) : 1\na : 1", name="above", method="euler",
                        threshold="v > 0.8", reset="v = 0; u += 0.2")  # fmt: skip
    above.a = "0.2 + 0.1*i"
    up = synapses(cells, above, name="up", model="w : 1", on_pre="I_post += w", weight="1 + 0.1*i")
    back = synapses(above, cells, name="back", model="w : 1", on_pre="I_post -= w", delay=2 * ms)
    past = [synapses(inputs, above, name="past", model="w : 1", on_pre="I_post += w")] if on else []
    learn = [(feed, "w"), (up, "w"), (back, "w"), (above, "a"), *((one, "w") for one in past)]
    return Built([inputs, cells, feed, above, up, back, *past], cells, learn, {"u": (above, "u")})


# -------------------------------------------------------------------------------------------------------------------------------------------------- noise
def white_noise(on: bool = True) -> Built:
    equations = f"dv/dt = (I - v)/(10*ms) {'+ sigma*sqrt(2/(10*ms))*xi' if on else '+ 0*sigma/ms'} : 1\ndI/dt = -I/(4*ms) : 1\nsigma : 1"
    cells = lif(equations, method="euler")
    cells.sigma = "0.2 + 0.05*i"
    inputs, feed = driven(cells)
    return Built([inputs, cells, feed], cells, [(feed, "w"), *([(cells, "sigma")] if on else [])])


def two_noises(on: bool = True) -> Built:
    cells = lif("dv/dt = (I - v)/(10*ms) + 0.2*v*xi_a*ms**-0.5 : 1\ndI/dt = -I/(4*ms) + 0.1*(xi_a + xi_b)*ms**-0.5 : 1" if on else LIF, method="heun")
    inputs, feed = driven(cells)
    return Built([inputs, cells, feed], cells, [(feed, "w")], {"I": (cells, "I")})


def random_reset(on: bool = True) -> Built:
    cells = lif(LIF + "\nk : 1", reset="v = k*rand()" if on else "v = k")
    cells.k = 0.5
    inputs, feed = driven(cells)
    return Built([inputs, cells, feed], cells, [(feed, "w"), (cells, "k")])


def random_release(on: bool = True) -> Built:
    cells = lif()
    inputs = source()
    code = "I_post += 2*w*int(rand() < 0.5)" if on else "I_post += 2*w"
    feed = synapses(inputs, cells, model="w : 1", on_pre=code, where="(i + j) % 4 > 0", delay=1 * ms)
    return Built([inputs, cells, feed], cells, [(feed, "w")], {"I": (cells, "I")})


def escape_noise(on: bool = True) -> Built:
    cells = lif(LIF + "\nk : 1", threshold="rand() < 0.3*exp(k*(v - 1))" if on else "0.5 < 0.3*exp(k*(v - 1))")
    cells.k = 3
    inputs, feed = driven(cells)
    return Built([inputs, cells, feed], cells, [(feed, "w"), (cells, "k")], {"I": (cells, "I")})


def poisson_group(on: bool = True) -> Built:
    cells = lif()
    inputs, feed = driven(cells)
    noise = PoissonGroup(5, rates="(40 + 10*i)*Hz" if on else 0 * Hz, name="noise")
    other = synapses(noise, cells, name="other", model="w : 1", on_pre="I_post += w")
    return Built([inputs, cells, feed, noise, other], cells, [(feed, "w"), (other, "w")] if on else [(feed, "w")], {"noise": noise})


def poisson_input(on: bool = True) -> Built:
    cells = lif(LIF + "\nk : 1")
    cells.k = "0.05 + 0.01*i"
    inputs, feed = driven(cells)
    few = [PoissonInput(cells, "I", N=20, rate=30 * Hz, weight="k"), PoissonInput(cells, "I", N=1000, rate=20 * Hz, weight=0.01)] if on else []
    return Built([inputs, cells, feed, *few], cells, [(feed, "w"), *([(cells, "k")] if on else [])], {"I": (cells, "I")})


def counted_noise(on: bool = True) -> Built:
    """Laws whose parameter changes in every step."""
    cells = lif(LIF + "\nc : 1")
    inputs, feed = driven(cells)
    if on:
        cells.run_regularly("c = poisson(clip(2*v, 0, 5)); I += 0.1*c + 0.01*randn()")
    return Built([inputs, cells, feed], cells, [(feed, "w")], {"I": (cells, "I"), "c": (cells, "c")})


MODELS: dict[str, Callable[..., Built]] = {
    f.__name__: f
    for f in (
        nmda, conductance, short_term_plasticity, stdp, stdp_clock_driven, several_pathways, synapses_that_set, gap_junctions, parts_of_a_group,
        regular_code, code_on_events, custom_events, constant_over_dt, refractory_text, refractory_condition, adaptive_threshold, skip_connections,
        white_noise, two_noises, random_reset, random_release, escape_noise, poisson_group, poisson_input, counted_noise,
    )
}  # fmt: skip
WITHOUT_ADJOINT = ("synapses_that_set", "counted_noise")
"""Of several synapses that set one variable the last counts; numpy has no draws with parameters of a batch. Finite differences are their test."""
NOISY = ("white_noise", "two_noises", "random_reset", "random_release", "escape_noise", "poisson_group", "poisson_input", "counted_noise")


def build(name: str, on: bool = True, gradient: object = None, learn: bool = True, **options: object) -> tuple[bnn.NetworkModule, Built]:
    """A module of one model, in float64."""
    start_scope()
    seed(5)
    defaultclock.dt = 1 * ms
    built = MODELS[name](on)
    record = {"spikes": built.cells, "v": (built.cells, "v"), **built.record}
    learned = [bnn.Learn(owner, variable) for owner, variable in built.learn] if learn else []
    chosen = gradient or bnn.Surrogate(bnn.SuperSpike(beta=5))
    return bnn.NetworkModule(Network(built.objects), record, learned, chosen, dtype=torch.float64, namespace={}, **options), built


def inputs(batch: tuple[int, ...] = (BATCH,), steps: int = STEPS, p: float = 0.2) -> torch.Tensor:
    return (torch.rand(steps, *batch, INPUTS, generator=torch.Generator().manual_seed(2)) < p).double()
