"""get_states and set_states: of groups, synapses and networks, as dicts and as pandas DataFrames."""

from __future__ import annotations

import numpy as np
import pytest

from brianlike.importexport import ImportExport
from brianlike.only import *


def cells() -> NeuronGroup:
    text = "dv/dt = -v/(10*ms) : volt \n gain : 1 (shared) \n k : integer \n b = 2*v : volt"
    G = NeuronGroup(3, text, threshold="v > 1*volt", reset="v = 0*volt", refractory=2 * ms)
    G.v, G.gain, G.k = [1, 2, 3] * mV, 5, [7, 8, 9]
    return G


def test_everything_that_is_stored_comes_out() -> None:
    states = cells().get_states()
    assert set(states) == {"N", "i", "t", "dt", "t_in_timesteps", "v", "gain", "k", "lastspike", "not_refractory"}  # as Brian 2.9
    assert states["v"][1] == 2 * mV and states["k"].tolist() == [7, 8, 9] and states["dt"] == 0.1 * ms and states["gain"] == 5
    assert set(cells().get_states(read_only_variables=False)) == {"v", "gain", "k", "lastspike", "not_refractory"}
    assert cells().get_states(subexpressions=True)["b"][2] == 6 * mV
    assert cells().get_states(["v", "b"], units=False)["b"].tolist() == pytest.approx([2e-3, 4e-3, 6e-3])


def test_what_comes_out_is_a_copy_and_goes_back_in() -> None:
    G = cells()
    kept = G.get_states(read_only_variables=False)
    G.v, G.k = 0 * mV, 0
    assert kept["v"][0] == 1 * mV
    G.set_states(kept)
    assert G.v_[:].tolist() == [0.001, 0.002, 0.003] and G.k[:].tolist() == [7, 8, 9]


def test_read_only_values_are_refused_before_anything_is_set() -> None:
    G = cells()
    with pytest.raises(TypeError, match="'t' of .* is read-only"):
        G.set_states({"v": 0 * mV, "t": 0 * ms})
    assert G.v[0] == 1 * mV


def test_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    G = cells()
    frame = G.get_states(units=False, format="pandas", read_only_variables=False)
    assert isinstance(frame, pandas.DataFrame) and frame.shape == (3, 5) and frame["v"].tolist() == [0.001, 0.002, 0.003]
    G.v, G.gain = 0 * mV, 0
    G.set_states(frame, units=False, format="pandas")
    assert G.v_[:].tolist() == [0.001, 0.002, 0.003] and G.gain[:] == 5
    for action in (lambda: G.get_states(format="pandas"), lambda: G.set_states(frame, format="pandas")):
        with pytest.raises(NotImplementedError, match="units=False"):
            action()


def test_formats_of_ones_own() -> None:
    class Lists(ImportExport):
        name = "lists"

        @staticmethod
        def export_data(group, variables, units=True, level=0):
            return [list(group.view(name + "_")[:]) for name in variables]

        @staticmethod
        def import_data(group, data, units=True, level=0):
            group.v_ = data[0]

    with pytest.raises(NotImplementedError, match="there is no format 'lists'"):
        cells().get_states(format="lists")
    ImportExport.register(Lists())
    try:
        assert cells().get_states(["v"], format="lists") == [[0.001, 0.002, 0.003]]
        with pytest.raises(ValueError, match="already"):
            ImportExport.register(Lists())
    finally:
        del ImportExport.methods["lists"]
    with pytest.raises(ValueError, match="subclass of ImportExport"):
        ImportExport.register("lists")


def test_networks() -> None:
    G = cells()
    S = Synapses(G, G, "w : 1", on_pre="v_post += w*mV")
    S.connect(i=[2, 0], j=[1, 1])
    S.w = [3, 4]
    net = Network(G, S)
    states = net.get_states()
    assert states[G.name]["v"][0] == 1 * mV and states[S.name]["w"].tolist() == [3, 4] and states[S.name]["i"].tolist() == [2, 0]
    writable = net.get_states(read_only_variables=False)
    S.w, G.v = 0, 0 * mV
    net.set_states(writable)
    assert S.w[:].tolist() == [3, 4] and np.all(G.v_[:] == [0.001, 0.002, 0.003])
    with pytest.raises(KeyError, match="no object 'missing'"):
        net.set_states({"missing": {}})
