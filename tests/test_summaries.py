"""Tables of the schedule and of where the time goes."""

from __future__ import annotations

import pytest
from networks import SIMULATORS

from brianlike import *


@pytest.fixture(params=SIMULATORS)
def engine(request: pytest.FixtureRequest):
    prefs.codegen.target = request.param
    yield request.param
    prefs.reset_to_defaults()


def network() -> Network:
    G = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="cells", order=2)
    P = PoissonGroup(3, 5 * Hz, name="noise")
    S = Synapses(P, G, on_pre="v_post += 1", on_post="v_post -= 0.1", name="links")
    S.connect()
    return Network(G, P, S, StateMonitor(G, "v", record=True, name="trace"), SpikeMonitor(G, name="spikes"))


def test_the_schedule_is_that_of_a_step() -> None:
    net = network()
    entries = net.scheduling_summary().entries
    # As Brian 2.9 lists them.
    assert [(e.name, e.when, e.order) for e in entries] == [
        ("trace", "start", 0), ("cells_stateupdater", "groups", 2), ("noise_spike_thresholder", "thresholds", 0),
        ("cells_spike_thresholder", "thresholds", 2), ("spikes", "thresholds", 3), ("links_pre", "synapses", -1), ("links_post", "synapses", 1),
        ("cells_spike_resetter", "resets", 2),
    ]  # fmt: skip
    net["links"].pre.active = False
    net["noise"].active = False
    assert [e.name for e in scheduling_summary(net).entries if not e.active] == ["noise_spike_thresholder", "links_pre"]
    text = repr(net.scheduling_summary())
    assert "links_pre (SynapticPathway)" in text and "links (Synapses)" in text and "every step" in text
    assert net.scheduling_summary()._repr_html_().count("<tr>") == 9


def test_slots_of_ones_own_have_their_place() -> None:
    net = network()
    net.schedule = ["start", "groups", "synapses", "thresholds", "resets", "end"]
    names = [e.name for e in net.scheduling_summary().entries]
    assert names.index("links_pre") < names.index("cells_spike_thresholder")


def test_time_is_measured_where_it_is_asked_for(engine: str) -> None:
    net = network()
    net.run(5 * ms)
    with pytest.raises(ValueError, match="without profile=True"):
        profiling_summary(net)
    net.run(20 * ms, profile=True)
    info = net.profiling_info
    assert {"cells_update", "noise_threshold"} <= {name.split("+")[0] for name, _ in info}
    assert all(time > 0 * second for _, time in info) and [t for _, t in info] == sorted((t for _, t in info), reverse=True)
    summary = profiling_summary(net, show=2)
    assert len(summary.names) == 2 and 0 < sum(summary.percentages) < 100 and "%" in repr(summary) and summary._repr_html_().count("<tr>") == 3
    net.run(5 * ms)
    with pytest.raises(ValueError, match="without profile=True"):
        net.profiling_info  # noqa: B018


def test_profiling_changes_nothing(engine: str) -> None:
    results = []
    for profile in (False, True):
        seed(3)
        net = network()
        net.run(50 * ms, profile=profile)
        results.append((net["spikes"].count.tolist(), net["trace"].v.tolist()))
    assert results[0] == results[1]
