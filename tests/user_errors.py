"""Mistakes a user can make with objects, runs and modules; their messages stand in `golden/errors.txt`."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from brianlike.only import *

LIF = "dv/dt = (I - v)/tau : 1\nI : 1\ntau : second"


def neurons(text: str = LIF, **more: object) -> NeuronGroup:
    return NeuronGroup(3, text, name="cells", **more)


def simulate(group: NeuronGroup, *others: object, **names: object) -> None:
    Network(group, *others).run(1 * ms, namespace=names)


def unknown_identifier() -> None:
    simulate(neurons("dv/dt = (I - v)/tau_membrane : 1\nI : 1\ntau_m : second"))


def unknown_constant_close_to_one_in_the_namespace() -> None:
    simulate(neurons("dv/dt = -v/tua : 1"), tau=10 * ms)


def unit_mismatch() -> None:
    simulate(neurons("dv/dt = (I - v)/tau : volt\nI : amp"), tau=10 * ms)


def unit_mismatch_by_a_constant() -> None:
    simulate(neurons("dv/dt = (v_rest - v)/tau : volt"), tau=10 * ms, v_rest=-70)


def nonlinear_with_exact() -> None:
    simulate(neurons("dv/dt = (v*v - v)/tau : 1\ntau : second", method="exact"))


def time_in_exact() -> None:
    simulate(neurons("dv/dt = sin(t/tau)/tau - v/tau : 1\ntau : second", method="exact"))


def oscillation_with_exact() -> None:
    simulate(neurons("dx/dt = y/tau : 1\ndy/dt = -x/tau : 1\ntau : second", method="exact"))


def unknown_method() -> None:
    simulate(neurons("dv/dt = -v/tau : 1\ntau : second", method="rk5"))


def reset_without_threshold() -> None:
    neurons(reset="v = 0")


def threshold_that_is_a_number() -> None:
    simulate(neurons(threshold="v - 1", reset="v = 0"))


def call_in_a_string() -> None:
    neurons('dv/dt = __import__("os").system("true")/second : 1')


def attribute_in_a_threshold() -> None:
    neurons(threshold="v.__class__ > 1", reset="v = 0")


def import_in_a_reset() -> None:
    neurons(threshold="v > 1", reset="import os")


def ten_thousand_brackets() -> None:
    neurons(threshold="(" * 10_000 + "v" + ")" * 10_000 + " > 1", reset="v = 0")


def call_in_an_assignment() -> None:
    neurons().v = 'open("x")'


def wrong_unit_in_an_assignment() -> None:
    neurons().tau = "20 + rand()"


def wrong_quantity_in_an_assignment() -> None:
    neurons().tau = 20 * mV


def wrong_shape_in_an_assignment() -> None:
    neurons().v = np.zeros(4)


def misspelt_variable() -> None:
    neurons().taau = 20 * ms


def _pair() -> tuple[InputGroup, NeuronGroup, Synapses]:
    source, target = InputGroup(2, name="inputs"), neurons(threshold="v > 1", reset="v = 0", method="exact", namespace={})
    target.tau = 10 * ms
    synapses = Synapses(source, target, "w : 1", on_pre="v_post += w", name="wires")
    synapses.connect()
    synapses.w = 0.5
    return source, target, synapses


def synapses_not_connected() -> None:
    Synapses(neurons(), on_pre="v_post += 1", name="wires").delay = 1 * ms


def synapse_index_out_of_range() -> None:
    Synapses(neurons(), on_pre="v_post += 1", name="wires").connect(i=[0, 5], j=[0, 1])


def _connect(**arguments: object) -> None:
    source = NeuronGroup(5, "x : 1", name="source")
    Synapses(source, neurons(), "w : 1", name="wires").connect(**arguments)  # type: ignore[arg-type]


def generator_beyond_the_target() -> None:
    _connect(j="i + 1")


def generator_beyond_the_target_with_its_variables() -> None:
    _connect(j="k for k in range(4) if v_post > 1")


def generator_that_uses_what_it_chooses() -> None:
    _connect(j="k for k in range(v_post)")


def generator_with_a_fraction_in_its_range() -> None:
    _connect(j="k for k in range(N_post/2)")


def generator_with_an_unknown_name() -> None:
    _connect(j="k for k in range(N_post) if i < limit")


def generator_with_a_variable_of_synapses() -> None:
    _connect(j="k for k in range(N_post) if w > 0")


def generator_as_condition() -> None:
    _connect(condition="k for k in range(N_post)")


def generator_beside_a_probability() -> None:
    _connect(j="i", p=0.1)


def generator_with_two_loops() -> None:
    _connect(j="k for k in range(3) for l in range(2)")


def generator_over_something_else() -> None:
    _connect(j="k for k in arange(3)")


def generator_with_a_tuple() -> None:
    _connect(j="k for k, l in range(3)")


def generator_with_a_fixed_name() -> None:
    _connect(j="i for i in range(3)")


def generator_without_in() -> None:
    _connect(j="k for k range(3)")


def generator_with_two_conditions() -> None:
    _connect(j="k for k in range(3) if i > 1 if k > 1")


def sample_without_a_probability() -> None:
    _connect(j="k for k in sample(N_post)")


def sample_with_an_unknown_option() -> None:
    _connect(j="k for k in sample(N_post, probability=0.1)")


def sample_that_is_too_large() -> None:
    _connect(j="k for k in sample(N_post, size=i)")


def multisynaptic_index_that_was_not_asked_for() -> None:
    _pair()[2].w[0, 0, 0]


def unknown_variable_in_a_pathway() -> None:
    source, target, _ = _pair()
    synapses = Synapses(source, target, on_pre="g_post += 1", name="more")
    synapses.connect()
    simulate(target, source, synapses)


def negative_duration() -> None:
    Network(neurons()).run(-1 * ms)


def duration_without_unit() -> None:
    Network(neurons()).run(10)


def negative_delay() -> None:
    source, target, synapses = _pair()
    synapses.delay = -1 * ms
    simulate(target, source, synapses)


def missing_object() -> None:
    _, target, synapses = _pair()
    Network(target, synapses).run(1 * ms)


def _module(change: Callable[[Synapses, NeuronGroup], None] | None = None, learn: Callable[..., list] | None = None, **more: object):
    import brianlike.nn as bnn

    source, target, synapses = _pair()
    if change is not None:
        change(synapses, target)
    learned = [bnn.Learn(synapses, "w")] if learn is None else learn(bnn, synapses, target)
    return bnn.NetworkModule(Network(source, target, synapses), {"spikes": target}, learned, **more)


def nan_weights() -> None:
    def change(synapses: Synapses, target: NeuronGroup) -> None:
        synapses.w = [0.1, np.nan, 0.1, 0.1, 0.1, 0.1]

    _module(change)


def weights_never_set() -> None:
    def change(synapses: Synapses, target: NeuronGroup) -> None:
        synapses.w = 0

    _module(change)


def values_outside_their_bounds() -> None:
    _module(learn=lambda bnn, synapses, target: [bnn.Learn(target, "tau", unit=ms, bounds=(20 * ms, 100 * ms))])


def learning_what_is_not_declared() -> None:
    _module(learn=lambda bnn, synapses, target: [bnn.Learn(target, "tau_membrane")])


def weights_of_both_signs_from_one_source() -> None:
    def change(synapses: Synapses, target: NeuronGroup) -> None:
        synapses.w = "1 - 2*(j % 2)"

    _module(change, learn=lambda bnn, synapses, target: [bnn.Learn(synapses, "w", sign="source")])


def neurons_without_a_form_in_nir() -> None:
    import brianlike.nn as bnn

    cells = NeuronGroup(2, "dv/dt = (J - v)/(10*ms) : 1\nJ : 1 (input)", threshold="v > 1", reset="v -= 1", method="exact", name="cells")
    bnn.to_nir(bnn.NetworkModule(Network(cells), {"spikes": cells}, namespace={}))


def wrong_input_shape() -> None:
    import torch

    _module()(torch.zeros(5, 1, 3))


def missing_input() -> None:
    _module()()


def order_dependent_pathway_in_a_module() -> None:
    import brianlike.nn as bnn

    source, target, _ = _pair()
    synapses = Synapses(source, target, "w : 1", on_pre="v_post = w", name="setters")
    synapses.connect()
    synapses.w = 0.5
    bnn.NetworkModule(Network(source, target, synapses), {"spikes": target})


def surrogate_without_width() -> None:
    import brianlike.nn as bnn

    source = InputGroup(1, name="inputs")
    target = NeuronGroup(1, "dv/dt = -v/(10*ms) : volt", threshold="v > 10*mV", reset="v = 0*mV", method="exact", name="cells")
    bnn.NetworkModule(Network(source, target), {"spikes": target})


def threshold_without_margin() -> None:
    import brianlike.nn as bnn

    source = InputGroup(1, name="inputs")
    target = neurons(threshold="v > 1 or I > 2", reset="v = 0", method="exact")
    target.tau = 10 * ms
    bnn.NetworkModule(Network(source, target), {"spikes": target})


MISTAKES: tuple[Callable[[], None], ...] = tuple(
    value for name, value in list(globals().items()) if callable(value) and getattr(value, "__module__", "") == __name__ and not name.startswith("_")
    and name not in ("neurons", "simulate")
)  # fmt: skip


def report(mistake: Callable[[], None]) -> str:
    """What the user sees."""
    try:
        mistake()
    except Exception as error:
        text = re.sub(r"0x[0-9a-f]+", "0x...", str(error))
        return f"{mistake.__name__}\n{type(error).__name__}: {text}\n"
    return f"{mistake.__name__}\naccepted\n"
