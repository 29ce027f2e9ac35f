"""Traces that live on neurons: both engines agree, whatever users read and write between, and the compiled one really keeps them there."""

import numpy as np
import pytest

from brianlike import *

DT = 1e-4


@pytest.fixture(autouse=True)
def fresh():
    start_scope()
    defaultclock.dt = 0.1 * ms
    yield
    prefs.reset_to_defaults()


def inputs(size, steps, rate=0.05, seed_=1):
    """Spikes of `size` neurons, several in most steps."""
    fired = np.random.RandomState(seed_).rand(steps, size) < rate
    step, neuron = np.nonzero(fired)
    return SpikeGeneratorGroup(size, neuron, (step + 0.5) * DT * second)


PLASTIC = """w : 1
dApre/dt = -Apre/tau_pre : 1 (event-driven)
dApost/dt = -Apost/tau_post : 1 (event-driven)"""
ON_PRE = "v_post += w\nApre += 0.001\nw = clip(w + Apost, 0, 1)"
ON_POST = "Apost -= 0.00105\nw = clip(w + Apre, 0, 1)"
TRIPLET = """w : 1
dr1/dt = -r1/(16*ms) : 1 (event-driven)
dr2/dt = -r2/(100*ms) : 1 (event-driven)
do1/dt = -o1/(33*ms) : 1 (event-driven)
do2/dt = -o2/(110*ms) : 1 (event-driven)"""
BOTH = {"Apre": "pre", "Apost": "post"}
MODELS = {  # equations, on_pre, on_post, arguments, where each trace lives
    "the classic example": (PLASTIC, ON_PRE, ON_POST, {}, BOTH),
    "on_pre only": ("dx/dt = -x/tau_pre : 1 (event-driven)\nw : 1", "x += 1\nv_post += w*x", None, {}, {"x": "pre"}),
    "on_post only": ("dx/dt = -x/tau_pre : 1 (event-driven)\nw : 1", None, "w += 0.001*x\nx += 1", {}, {"x": "post"}),
    "a delay on pre": (PLASTIC, ON_PRE, ON_POST, {"delay": 0.7 * ms}, BOTH),
    "delays on both": (PLASTIC, ON_PRE, ON_POST, {"delay": {"pre": 0.3 * ms, "post": 0.5 * ms}}, BOTH),
    "resets": (PLASTIC, ON_PRE.replace("+= 0.001", "= 0.001"), ON_POST.replace("-= 0.00105", "= -0.002"), {}, BOTH),
    "read before and behind": (PLASTIC, "w -= 0.1*Apre\nApre += 0.001\nw += Apre\nApre *= 0.9\nw -= Apre\nv_post += w", ON_POST, {}, BOTH),
    "triplets": (
        TRIPLET,
        "v_post += w\nw = clip(w - o1*(0.0005 + 0.0006*r2), 0, 1)\nr1 += 1\nr2 += 1",
        "w = clip(w + r1*(0.0005 + 0.0006*o2), 0, 1)\no1 += 1\no2 += 1",
        {},
        {"r1": "pre", "r2": "pre", "o1": "post", "o2": "post"},
    ),
    "coupled traces": (
        "w : 1\ndx/dt = (y - x)/(7*ms) : 1 (event-driven)\ndy/dt = -y/(3*ms) : 1 (event-driven)", "y += 1\nv_post += w*x", "w += 0.0001*x", {},
        {"x": "pre", "y": "pre"},
    ),
    "a third factor": (
        PLASTIC + "\ndc/dt = -c/(50*ms) : 1 (event-driven)", "v_post += w\nApre += 0.001\nc = clip(c + Apost, -1, 1)\nw = clip(w + c*dopamine_post, 0, 1)",
        "Apost -= 0.001\nc = clip(c + Apre, -1, 1)\nw = clip(w + c*dopamine_post, 0, 1)", {}, BOTH,
    ),
    "parameters of neurons": (
        PLASTIC.replace("tau_pre", "slow_pre").replace("tau_post", "slow_post"), ON_PRE.replace("0.001", "0.001*gain_pre"), ON_POST, {}, BOTH,
    ),
    "a decay that is not to zero": ("w : 1\ndx/dt = (5 - x)/tau_pre : 1 (event-driven)", "x += 1\nv_post += w*x", "w -= 0.001*x", {}, {"x": "pre"}),
    "three pathways": (PLASTIC, {"pre": ON_PRE, "late": "Apre += 0.0002\nw *= 0.99"}, ON_POST, {"delay": {"late": 0.9 * ms}}, BOTH),
    "order matters": (PLASTIC, "v_post = 0.5*v_post + w\nApre += 0.001\nw = clip(w + Apost, 0, 1)", ON_POST, {}, BOTH),
    "a trace of both sides": ("w : 1\ndx/dt = -x/tau_pre : 1 (event-driven)", "x += 1\nv_post += w*x", "x += 1", {}, {}),
    "a change by synapse": (PLASTIC, ON_PRE.replace("0.001", "0.001*w"), ON_POST, {}, {"Apost": "post"}),
    "a change by a random number": (PLASTIC, ON_PRE.replace("0.001", "0.001*rand()"), ON_POST, {}, {"Apost": "post"}),
    "a rate by synapse": (PLASTIC.replace("tau_pre", "(tau_pre*(1 + w))"), ON_PRE, ON_POST, {}, {"Apost": "post"}),
    "the time of the update": (PLASTIC, ON_PRE + "\nw += 0*lastupdate/second", ON_POST, {}, {}),
    "what the pathway changes": (PLASTIC, "v_pre += 1\nApre += 0.001*v_pre", ON_POST, {}, {"Apost": "post"}),
}  # fmt: skip
NAMES = {"tau_pre": 20 * ms, "tau_post": 15 * ms}
NEURON = "dv/dt = -v/(10*ms) : 1\nslow : second (constant)\ngain : 1\ndopamine : 1"
CONNECTIONS = {
    "all": dict(),
    "some": dict(p=0.3),
    "few": dict(condition="(i + j) % 9 == 0"),
    "several": dict(n=2),
}


def network(model, connection="all", recurrent=False, parts=False):
    """The plastic network; what it is asked about."""
    equations, on_pre, on_post, more, _ = MODELS[model]
    seed(3)
    G = NeuronGroup(13, NEURON, threshold="v > 1", reset="v = 0", method="exact", name="G")
    G.slow, G.gain, G.dopamine = "(5 + i)*ms", "1 + 0.1*i", "0.5 + 0.1*i"
    if recurrent:
        source = G
        kick = Synapses(inputs(13, 400, 0.04), G, on_pre="v_post += 1.2", name="kick")
        kick.connect(j="i")
        objects = [kick.source, kick]
    else:
        spikes = inputs(9, 400)
        source = NeuronGroup(9, NEURON, threshold="v > 1", reset="v = 0", method="exact", name="H")
        source.slow, source.gain = "(9 - i)*ms", "1 - 0.1*i"
        relay = Synapses(spikes, source, on_pre="v_post += 1.2", name="relay")
        relay.connect(j="i")
        objects = [spikes, source, relay]
    S = Synapses(source[2:8] if parts else source, G[3:] if parts else G, equations, on_pre=on_pre, on_post=on_post, name="S", namespace=dict(NAMES), **more)
    S.connect(**CONNECTIONS[connection])
    S.w = "rand()*0.4"
    return Network(G, S, *objects), S, G


def on_neurons(net, S):
    """Where each trace of a compiled network lives."""
    engine = net._engine
    return {} if S.name not in engine.prepared.on_neurons else {name: side.value for name, side in engine._traces[S.name].sides.items()}


def result(engine, model, actions, dtype="float64", **more):
    prefs.codegen.target = engine
    prefs.core.default_float_dtype = np.dtype(dtype)
    start_scope()
    net, S, G = network(model, **more)
    found = []
    actions(net, S, found)
    states = {name: np.array(S.state[name]) for name in S.state if name not in ("i", "j")}
    return net, S, found, {**states, "v": np.array(G.v[:])}


def same(model, actions=lambda net, S, found: net.run(40 * ms), dtype="float64", **more):
    """Run on both engines, compare all that can be seen, and give the compiled network."""
    expected, _, first, definition = result("numpy", model, actions, dtype, **more)
    net, S, second_, values = result("cython", model, actions, dtype, **more)
    tolerance = 1e-11 if dtype == "float64" else 2e-4
    for name, array in definition.items():
        np.testing.assert_allclose(values[name], array, rtol=tolerance, atol=tolerance * 1e-3, err_msg=name)
    assert len(first) == len(second_)
    for one, other in zip(first, second_):
        np.testing.assert_allclose(other, one, rtol=tolerance, atol=tolerance * 1e-3)
    assert ((definition["w"] > 0) & (definition["w"] < 1)).any()
    return net, S


@pytest.mark.parametrize("connection", CONNECTIONS)
@pytest.mark.parametrize("model", MODELS)
def test_every_model_on_both_engines(model, connection):
    net, S = same(model, connection=connection)
    assert on_neurons(net, S) == MODELS[model][4]


@pytest.mark.parametrize("model", MODELS)
def test_recurrent_networks(model):
    net, S = same(model, lambda net, S, found: net.run(8 * ms), recurrent=True)
    assert on_neurons(net, S) == MODELS[model][4]


@pytest.mark.parametrize("model", ["the classic example", "triplets", "parameters of neurons", "delays on both"])
def test_parts_of_groups(model):
    net, S = same(model, parts=True)
    assert on_neurons(net, S) == MODELS[model][4]


@pytest.mark.parametrize("model", ["the classic example", "triplets", "delays on both", "resets", "a third factor"])
def test_in_single_precision(model):
    net, S = same(model, dtype="float32")
    assert on_neurons(net, S) == MODELS[model][4]


# -------------------------------------------------------------------------------------------------------------------------- rows with and without gaps
ROWS = {
    "weights": ("w : 1", "v_post += w", None),
    "plastic": (PLASTIC, ON_PRE, ON_POST),
    "choices": (PLASTIC, "v_post += w*int(w > 0.2)\nApre += 0.001\nw = clip(abs(w + Apost) - w**2*1e-3, 0, 1)", ON_POST),
    "functions": (PLASTIC, "v_post += w\nApre += 0.001\nw = clip(w + Apost*exp(-w), 0, 1)", "Apost -= 0.001\nw *= exp(-Apre)"),
}


def weights_of(model, size, shuffled, threads=1, dtype="float64"):
    start_scope()
    prefs.codegen.target, prefs.core.threads, prefs.core.default_float_dtype = "cython", threads, np.dtype(dtype)
    equations, on_pre, on_post = ROWS[model]
    G = NeuronGroup(size, NEURON, threshold="v > 1", reset="v = 0", method="exact")
    source = inputs(11, 300)
    S = Synapses(source, G, equations, on_pre=on_pre, on_post=on_post, namespace=NAMES)
    i, j = np.repeat(np.arange(11), size), np.tile(np.arange(size), 11)
    order = np.random.RandomState(5).permutation(i.size) if shuffled else np.arange(i.size)
    S.connect(i=i[order], j=j[order])
    S.w = (0.05 + 0.3 * np.random.RandomState(7).rand(i.size))[order]
    Network(G, source, S).run(30 * ms)
    found = np.zeros(i.size, S.state["w"].dtype)
    found[order] = S.state["w"]
    return found, np.array(G.v[:])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("model", ROWS)
def test_rows_without_gaps_give_the_same_bits(model, dtype):
    for size in (1, 3, 8, 13, 16, 29, 67):
        for one, other in zip(weights_of(model, size, False, dtype=dtype), weights_of(model, size, True, dtype=dtype)):
            np.testing.assert_array_equal(one, other)


def test_threads_give_the_same_bits():
    import brianlike._runtime as runtime

    before = runtime.set_threads_from(1)
    try:
        for one, other in zip(weights_of("plastic", 64, False), weights_of("plastic", 64, False, threads=2)):
            np.testing.assert_array_equal(one, other)
    finally:
        runtime.set_threads_from(before)


# ----------------------------------------------------------------------------------------------------------------- what users read and write meanwhile
def look(S, found):
    found += [np.array(getattr(S, name)) for name in ("Apre", "Apost", "lastupdate_", "w")]


def reads_between(net, S, found):
    for _ in range(4):
        net.run(9 * ms)
        look(S, found)


def keeps_the_array(net, S, found):
    net.run(5 * ms)
    mine = S.Apre[:]
    net.run(9 * ms)
    found.append(mine.copy())
    net.run(9 * ms)
    found.append(mine.copy())


def writes_the_same_for_all(net, S, found):
    net.run(9 * ms)
    S.Apre, S.lastupdate = 0.25, net.t
    S.Apost = "0.1*j"
    net.run(9 * ms)
    look(S, found)


def forgets(net, S, found):
    net.run(9 * ms)
    S.Apre = S.Apost = 0
    net.run(9 * ms)


def changes_weights(net, S, found):
    net.run(9 * ms)
    S.w = "0.1 + 0.01*i"
    net.run(9 * ms)


def stores(net, S, found):
    net.run(9 * ms)
    net.store()
    net.run(9 * ms)
    look(S, found)
    net.restore()
    look(S, found)
    net.run(9 * ms)
    look(S, found)


def adds_a_monitor(net, S, found):
    net.run(9 * ms)
    monitor = StateMonitor(S, "w", record=[0, 3])
    net.add(monitor)
    net.run(9 * ms)
    found.append(np.array(monitor.w))


def acts_on_all(net, S, found):
    @network_operation(dt=2 * ms)
    def operation():
        S.w = S.w * 0.99
        found.append(np.array(S.Apre))
        S.Apost = 0

    net.add(operation)
    net.run(15 * ms)


def watches_what_it_holds(net, S, found):
    mine = S.Apre[:]

    @network_operation(dt=2 * ms)
    def operation():
        found.append(mine.copy())

    net.add(operation)
    net.run(15 * ms)


def watches(net, S, found):
    def report(elapsed, done, start, duration):
        look(S, found) if done in (0, 1) else None

    net.run(20 * ms, report=report)


KEEPING = [
    reads_between, keeps_the_array, writes_the_same_for_all, forgets, changes_weights, stores, adds_a_monitor, watches, acts_on_all, watches_what_it_holds,
]  # fmt: skip


@pytest.mark.parametrize("connection", ["all", "some"])
@pytest.mark.parametrize("actions", KEEPING, ids=lambda f: f.__name__)
def test_traces_stay_on_neurons(actions, connection):
    net, S = same("the classic example", actions, connection=connection)
    assert on_neurons(net, S) == BOTH


def writes_one(net, S, found):
    net.run(9 * ms)
    S.Apre[3] = 0.25
    net.run(9 * ms)
    look(S, found)


def writes_while_it_reports(net, S, found):
    def report(elapsed, done, start, duration):
        if done < 1:
            S.Apre[5] = 0.25

    net.run(9 * ms)
    net.run(9 * ms, report=report)
    look(S, found)


def writes_into_the_array(net, S, found):
    mine = S.Apre[:]
    net.run(9 * ms)
    mine[:] = 0.125
    net.run(9 * ms)
    found.append(mine.copy())


def connects_more(net, S, found):
    net.run(9 * ms)
    S.connect(i=[0, 1], j=[1, 1])
    S.w[-2:] = 0.1
    net.run(9 * ms)
    look(S, found)


def changes_a_time_constant(net, S, found):
    net.run(9 * ms, namespace={**NAMES, "tau_pre": 20 * ms})
    S.namespace["tau_pre"] = 5 * ms
    net.run(9 * ms)
    look(S, found)


def records_a_trace(net, S, found):
    monitor = StateMonitor(S, ["Apre", "lastupdate"], record=True)
    net.add(monitor)
    net.run(9 * ms)
    found += [np.array(monitor.Apre), np.array(monitor.lastupdate_)]


def acts(net, S, found):
    @network_operation(dt=1 * ms)
    def operation(t):
        found.append(np.array(S.Apre))
        if t > 4 * ms:
            S.Apre[2] = 0.5

    net.add(operation)
    net.run(9 * ms)
    look(S, found)


def acts_between_slots(net, S, found):
    def once(slot, step):
        @network_operation(when=slot)
        def operation(t):
            if abs(t / (0.1 * ms) - step) < 0.5:
                S.Apost[3] += 0.01
                look(S, found)

        return operation

    net.add(once("before_synapses", 30), once("after_synapses", 50), once("end", 70))
    net.run(9 * ms)
    look(S, found)


def stops_itself(net, S, found):
    @network_operation
    def operation(t):
        if t > 4 * ms:
            S.Apre[2] = 0.5
            net.stop()

    net.add(operation)
    net.run(9 * ms)
    found.append(np.array([net.t_]))
    net.run(5 * ms)


def changes_a_parameter(net, S, found):
    G = net["G"]

    @network_operation(dt=1 * ms)
    def operation(t):
        if 4 * ms < t < 5.5 * ms:
            G.slow = G.slow * 2

    net.add(operation)
    net.run(9 * ms)
    look(S, found)


def runs_regularly(net, S, found):
    S.run_regularly("Apre *= 0.99", dt=1 * ms)
    net.run(9 * ms)
    look(S, found)


def has_nothing_like_a_number(net, S, found):
    S.Apre[1] = np.nan
    net.run(9 * ms)
    found.append(np.nan_to_num(np.array(S.Apre), nan=-1))
    S.Apre[1] = S.w[1] = 0


SEPARATE = [
    writes_one, writes_while_it_reports, writes_into_the_array, connects_more, changes_a_time_constant, records_a_trace, acts, acts_between_slots,
    stops_itself, has_nothing_like_a_number,
]  # fmt: skip


@pytest.mark.parametrize("actions", SEPARATE, ids=lambda f: f.__name__)
def test_traces_that_differ_live_on_synapses(actions):
    net, S = same("the classic example", actions)
    assert on_neurons(net, S) == {}


@pytest.mark.parametrize("more", [{"recurrent": True}, {"connection": "some"}, {"parts": True}], ids=str)
@pytest.mark.parametrize("model", ["delays on both", "three pathways", "order matters"])
def test_the_form_changes_in_the_middle_of_a_step(model, more):
    net, S = same(model, acts_between_slots, **more)
    assert on_neurons(net, S) == {}


def test_a_function_may_change_a_rate():
    net, S = same("parameters of neurons", changes_a_parameter)
    assert on_neurons(net, S) == {}


def test_one_of_two_traces_may_stay():
    net, S = same("the classic example", runs_regularly)
    assert on_neurons(net, S) == {"Apost": "post"}


def test_traces_return_to_neurons():
    def actions(net, S, found):
        writes_one(net, S, found)
        S.Apre = 0
        net.run(9 * ms)
        look(S, found)

    net, S = same("the classic example", actions)
    assert on_neurons(net, S) == BOTH


def test_runs_in_pieces_give_the_same_bits():
    def whole(net, S, found):
        net.run(30 * ms)

    def pieces(net, S, found):
        for n in range(10):
            net.run(3 * ms)
            if n % 3 == 0:
                look(S, found)

    first, second_ = (result("cython", "the classic example", actions)[3] for actions in (whole, pieces))
    for name in first:
        np.testing.assert_array_equal(second_[name], first[name], err_msg=name)


def test_restored_runs_give_the_same_bits():
    def actions(net, S, found):
        net.run(9 * ms)
        net.store()
        for _ in range(2):
            net.restore()
            net.run(9 * ms)
            look(S, found)

    found = result("cython", "the classic example", actions)[2]
    for one, other in zip(found[:4], found[4:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_no_longer_is_a_number_is_reported(caplog):
    prefs.codegen.target = "cython"
    net, S, G = network("the classic example")
    S.namespace["tau_pre"] = -0.2 * ms
    net.run(80 * ms)
    assert "S.Apre of synapse" in caplog.text


def test_many_spikes_later():
    net, S = same("the classic example", lambda net, S, found: [net.run(40 * ms), net.run(400 * ms)])
    assert on_neurons(net, S) == BOTH
