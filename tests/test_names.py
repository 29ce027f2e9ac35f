"""Scripts find every name that Brian brings, without loading what they do not use; and names that do nothing yet say so when they are used."""

import builtins
import importlib
import logging
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_docs import environment

import brianlike
from brianlike import BrianLogger, BrianPreference, Network, NeuronGroup, PreferenceError, aliases, get_logger, later, only, prefs
from brianlike.lazy import LazyName, bare
from brianlike.logger import catch_logs
from brianlike.units import DimensionMismatchError, Quantity, Unit, ms, mV, second, volt

LANGUAGE, STAR, PYLAB = (
    block.split("\n", 1)[1].split() for block in (Path(__file__).parent / "brian_names.txt").read_text(encoding="utf-8").strip().split("\n\n")
)
NOT_OURS = set("input codegen tests parsing check_cache logger signal memory in1d trapz".split())
"""Beside the language, Brian's star import binds modules that happen to be loaded; `input` would hide Python's function."""
OF_PYPLOT_ITSELF = set(
    "AbstractContextManager Enum ExitStack IO TYPE_CHECKING annotations cast connect core ctypeslib f f2py functools importlib inspect logging overload "
    "sys testing threading time typing".split()
)
"""What pylab's star import brings by accident, and modules of numpy that are slow to load."""


def test_the_star_import_brings_what_brians_brings():
    names = {}
    exec("from brianlike import *", names)
    assert not set(LANGUAGE) - names.keys()
    assert not set(STAR) - NOT_OURS - names.keys()
    # Lists of other versions of the libraries differ in a few names.
    assert len(set(PYLAB) - OF_PYPLOT_ITSELF - names.keys() - set(dir(builtins))) <= 5
    assert names["np"] is names["numpy"] and names["np"].random is np.random
    for builtin in ("abs", "bool", "bytes", "max", "min", "pow", "round", "input"):
        assert builtin not in names, "Python's own"
    assert names["sum"](n for n in (1, 2)) == 3 and list(names["sum"]([[1, 2], [3, 4]], axis=0)) == [4, 6]
    assert names["seed"] is brianlike.seeding.seed and isinstance(names["cm"], Unit)


def test_the_language_alone():
    names = {}
    exec("from brianlike.only import *", names)
    assert not set(LANGUAGE) - names.keys()
    assert not {"plot", "np", "array", "sum"} & names.keys()


def test_a_star_import_loads_nothing_slow():
    slow = ["sympy", "torch", "matplotlib", "scipy", "Cython", "pandas", "h5py", "numpy.testing", "numpy.f2py", "unittest"]
    code = f"import sys; from brianlike import *; print([name for name in {slow} if name in sys.modules])"
    assert python(code) == "[]\n"


def python(code):
    result = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


# -------------------------------------------------------------------------------------------------------------------------------------------- modules
@pytest.mark.parametrize("name", aliases.ALIASES)
def test_modules_of_brian_can_be_imported(name):
    module = importlib.import_module(f"brianlike.{name}")
    assert module.__all__ and all(getattr(module, item, None) is not None for item in module.__all__)
    with pytest.raises(AttributeError, match=f"module 'brianlike.{re.escape(name)}' has no name 'nothing'"):
        _ = module.nothing


def test_names_where_scripts_look_for_them():
    code = """
from brianlike.units.constants import zero_celsius, faraday_constant
from brianlike.units.allunits import mvolt, henry
from brianlike.units.fundamentalunits import DIMENSIONLESS, Unit, get_or_create_dimension
from brianlike.units.stdunits import mV
from brianlike.units.unitsafefunctions import exprel
from brianlike.core.functions import timestep, DEFAULT_FUNCTIONS, Function
from brianlike.core.network import schedule_propagation_offset, Network
from brianlike.core.namespace import get_local_namespace, DEFAULT_UNITS
from brianlike.core.variables import VariableView
from brianlike.core.magic import magic_network, MagicError
from brianlike.core.base import BrianObject
from brianlike.core.clocks import defaultclock
from brianlike.core.preferences import prefs
from brianlike.devices.device import reset_device, reinit_devices, reinit_and_delete, all_devices, get_device, set_device, seed
from brianlike.devices import device
from brianlike.equations.equations import SingleEquation, Equations
from brianlike.equations.codestrings import Expression, Statements
from brianlike.groups.neurongroup import NeuronGroup
from brianlike.synapses.synapses import Synapses
from brianlike.monitors.statemonitor import StateMonitor
from brianlike.input.poissongroup import PoissonGroup
from brianlike.spatialneuron import SpatialNeuron
from brianlike.stateupdaters.base import StateUpdateMethod
from brianlike.utils.logger import catch_logs, get_logger, BrianLogger
from brianlike.tests.utils import assert_allclose, exc_isinstance
from brianlike.only import *
import brianlike.numpy_ as np
import brianlike.units.fundamentalunits as units
"""
    names = {}
    exec(code, names)
    assert names["timestep"](0.3 * ms, 0.1 * ms) == 3 and isinstance(names["mV"], names["Unit"])
    assert names["schedule_propagation_offset"]() == 0 * second
    assert brianlike.core.functions.timestep is names["timestep"]


def test_comparing_in_tests():
    from brianlike.tests.utils import assert_allclose, exc_isinstance

    assert_allclose([1, 2] * mV, [0.001, 0.002] * volt)
    for wrong in ([1, 3] * mV, [1, 2] * ms, [1, 2]):
        with pytest.raises(AssertionError):
            assert_allclose([1, 2] * mV, wrong)
    error = RuntimeError("outer")
    error.__cause__ = KeyError("inner")
    assert exc_isinstance(error, KeyError) and not exc_isinstance(error, ValueError) and not exc_isinstance(None, KeyError)


# ---------------------------------------------------------------------------------------------------------------------------------- names without use
@pytest.mark.parametrize("name", [name for name in later.LATER if isinstance(getattr(only, name), later.Later)])
def test_names_that_do_nothing_yet_say_so(name):
    item = getattr(only, name)
    for use in (item, lambda: item.attribute, lambda: item[0]):
        with pytest.raises(NotImplementedError, match=f"^{name}: "):
            use()
    assert not isinstance(3, item) and repr(item) == f"<{name}: not available>"


def test_how_to_run_the_tests():
    with pytest.raises(NotImplementedError, match="-m pytest"):
        brianlike.test()


def test_caches(monkeypatch, tmp_path):
    (tmp_path / "kernels-1").mkdir(mode=0o700)
    (tmp_path / "kernels-1" / "entry").write_text("x")
    monkeypatch.setenv("BRIANLIKE_CACHE_DIR", str(tmp_path))
    brianlike.clear_cache("cython")
    assert list((tmp_path / "kernels-1").iterdir()) == []
    with pytest.raises(ValueError, match="there is no cache for 'numpy'"):
        brianlike.clear_cache("numpy")


def test_the_initial_state():
    prefs.core.threads = 2
    brianlike.defaultclock.dt = 1 * ms
    brianlike.restore_initial_state()
    assert prefs.core.threads == 1 and brianlike.defaultclock.dt == 0.1 * ms


# -------------------------------------------------------------------------------------------------------------------------------------- numpy, pyplot
def test_pyplot_is_loaded_when_it_is_used():
    pytest.importorskip("matplotlib")
    printed = python("""
import sys
from brianlike import *
assert 'matplotlib' not in sys.modules and repr(plot) == '<matplotlib.pyplot.plot, loaded when it is used>'
figure(figsize=(4, 3))
subplot(1, 2, 1)
(line,) = plot([1, 2, 3]*ms, array([4., 5., 6.])*mV, 'k', label='v')
import matplotlib.pyplot as real
assert line is real.gca().lines[0] and line.get_xdata().tolist() == [0.001, 0.002, 0.003], line.get_xdata()
xlabel('time'); title(f'{3*mV}'); legend(); xlim(0*ms, 5*ms)
style.use('default')
plt.style.use('default')
rcParams['font.size'] = 7
assert real.rcParams['font.size'] == 7 and 'font.size' in rcParams
rcParams.update({'font.size': 8})
image = imshow(rand(3, 3)*mV); colorbar(image)
assert isinstance(gcf(), Figure) and isinstance(gca(), Axes) and not isinstance(3, Figure)
G = NeuronGroup(3, 'v : volt')
G.v = [1, 2, 3]*mV
(line,) = plot(G.v, [G.v[0], 1*mV, 2*mV])
assert line.get_xdata().tolist() == [0.001, 0.002, 0.003]
figures, axes_ = subplots(1, 2)
class Mine(Formatter): pass
assert issubclass(Mine, Formatter)
show()
savefig('/dev/null', format='png')
print('done')
""")
    assert printed == "done\n"


@pytest.mark.parametrize("first", ["from brianlike import *\nimport matplotlib.pyplot as plt", "import matplotlib.pyplot as plt\nfrom brianlike.only import *"])
def test_matplotlib_draws_quantities_by_itself(first):
    pytest.importorskip("matplotlib")
    assert python(f"""
{first}
fig, ax = plt.subplots()
(line,) = ax.plot([1, 2]*ms, [3, 4]*mV)
assert list(line.get_xdata(orig=False)) == [0.001, 0.002] and list(line.get_ydata(orig=False)) == [0.003, 0.004]
ax.axvline(1*ms); ax.axhline(1*mV); ax.set_xlim(0*ms, 3*ms); ax.scatter([1, 2]*ms, [1, 2]*mV); ax.bar([1, 2], [3, 4]*mV)
fig.savefig('/dev/null', format='png')
print('done')
""").endswith("done\n")


def test_names_that_the_installed_library_does_not_have():
    with pytest.raises(AttributeError, match="the installed json has no 'nothing'"):
        LazyName("json", "nothing")()
    assert LazyName("json").dumps([3 * mV]) == "[0.003]" and LazyName("json", "dumps")(2) == "2"


def test_bare_numbers():
    assert bare(3 * mV) == 0.003 and type(bare(3 * mV)) is float
    assert bare([1 * mV, (2 * mV, "x")]) == [0.001, (0.002, "x")]
    assert type(bare([1, 2] * mV)) is np.ndarray and bare(None) is None


@pytest.mark.parametrize("name", brianlike.unit_safe.__all__)
def test_functions_respect_units(name):
    function = getattr(brianlike, name)
    assert function is getattr(brianlike.np, name)
    whole = {"diagonal", "dot", "ptp", "ravel", "trace", "where", "ones_like", "zeros_like", "arange", "linspace"}
    if name not in whole:
        with pytest.raises(DimensionMismatchError):
            function(3 * mV)
        assert np.isfinite(function(1.0 if name == "arccosh" else 0.5))


def test_functions_that_keep_units():
    A = np.arange(4.0).reshape(2, 2) * mV
    np.testing.assert_array_equal(brianlike.ones_like(A), [[1, 1], [1, 1]])
    assert not isinstance(brianlike.ones_like(A), Quantity)
    assert brianlike.trace(A) == 3 * mV and brianlike.ptp(A) == 3 * mV and (brianlike.zeros_like(A) == 0 * mV).all()
    assert (brianlike.linspace(0 * mV, 1 * mV, 3) == [0, 0.5, 1] * mV).all()
    assert (brianlike.arange(start=1 * ms, stop=3 * ms, step=1 * ms) == [1, 2] * ms).all()
    assert (brianlike.arange(1 * ms, stop=3 * ms, step=1 * ms) == [1, 2] * ms).all()
    assert list(brianlike.arange(3)) == [0, 1, 2] and brianlike.arange(3, dtype=np.float32).dtype == np.float32
    for wrong in (lambda: brianlike.arange(3 * ms), lambda: brianlike.arange(1, 3 * ms, 1 * ms)):
        with pytest.raises(DimensionMismatchError):
            wrong()
    with pytest.raises(TypeError):
        brianlike.arange(1, 2, 3, 4)
    np.testing.assert_allclose(brianlike.exprel([0.0, 1e-10, 1.0, np.inf]), [1, 1, np.e - 1, np.inf], rtol=1e-9)


# ---------------------------------------------------------------------------------------------------------------------------------------------- units
def test_units_are_a_class():
    from brianlike.units import get_or_create_dimension, is_scalar_type, metre, register_new_unit

    assert isinstance(mV, Unit) and isinstance(mV / ms, Unit) and not isinstance(3 * mV, Unit) and isinstance(3 * mV, Quantity)
    fV = Unit.create_scaled_unit(volt, "f")
    assert 2 * fV == 2e-15 * volt and str(fV) == "fvolt" and fV.name == "fvolt" and fV.scale == -15
    with pytest.raises(ValueError, match="'x' is no prefix"):
        Unit.create_scaled_unit(volt, "x")
    assert get_or_create_dimension(m=1, s=-1) == (metre / second).dimensions == Quantity.with_dimensions(2, length=1, time=-1).dim
    with pytest.raises(TypeError, match="'colour' is no dimension"):
        get_or_create_dimension(colour=1)
    assert is_scalar_type(3.0) and not is_scalar_type(3 * mV) and not is_scalar_type([1]) and not is_scalar_type("x")
    area = Unit.create((metre**2).dimensions, "acre_like", scale=3)
    register_new_unit(area)
    try:
        assert str(5000 * metre**2) == "5. acre_like"
    finally:
        brianlike._unit_text.REGISTERED.clear()
        brianlike._unit_text._written_units.cache_clear()
    assert Quantity([1, 2], dim=volt.dimensions, dtype=np.float32).dtype == np.float32


# -------------------------------------------------------------------------------------------------------------------------------------------- messages
@pytest.fixture
def nothing_suppressed(monkeypatch):
    monkeypatch.setattr(brianlike.logger, "_SUPPRESSED", [])
    monkeypatch.setattr(brianlike.logger, "_SAID", set())


def test_messages_have_names(nothing_suppressed):
    log = get_logger("brianlike.somewhere")
    with catch_logs() as caught:
        log.warn("one", "topic")
        log.error("two")
        log.info("not caught")
        log.warn("again", "topic", once=True)
        log.warn("again", "topic", once=True)
    assert caught == [
        ("WARNING", "brianlike.somewhere.topic", "one"),
        ("ERROR", "brianlike.somewhere", "two"),
        ("WARNING", "brianlike.somewhere.topic", "again"),
    ]
    with catch_logs(log_level=logging.INFO) as caught:
        log.info("100% caught")
        log.debug("below")
    assert caught == [("INFO", "brianlike.somewhere", "100% caught")]
    assert get_logger("mine").name == "brianlike.mine"


def test_messages_can_be_suppressed(nothing_suppressed):
    log = get_logger("brianlike.somewhere.deep")
    BrianLogger.suppress_name("topic")
    BrianLogger.suppress_hierarchy("brian2.other")
    with catch_logs() as caught:
        log.warn("one", "topic")
        log.warn("two", "topics")
        get_logger("brianlike.other.place").warn("three")
        get_logger("brianlike.others").warn("four")
    assert [message for _, _, message in caught] == ["two", "four"]
    BrianLogger.suppress_hierarchy("brianlike.somewhere", filter_log_file=True)
    with catch_logs() as caught:
        log.error("five")
    assert caught == []


def test_messages_are_shown_from_a_level_on():
    shown = """
import sys; sys.stderr = sys.stdout
from brianlike.only import *
log = get_logger('brianlike.place')
log.info('1'); log.debug('2')
BrianLogger.log_level_warn(); log.info('3'); log.warn('4', 'topic')
BrianLogger.log_level_error(); log.warn('5')
BrianLogger.log_level_debug(); log.debug('6'); log.diagnostic('7')
BrianLogger.log_level_diagnostic(); log.diagnostic('8')
BrianLogger.log_level_info(); log.debug('9')
prefs.logging.console_log_level = 'ERROR'; BrianLogger.initialize(); log.warn('10')
with std_silent(): pass
import logging; logging.basicConfig(stream=sys.stdout, format='%(message)s only')
log.error('11')
"""
    assert [" ".join(line.split()) for line in python(shown).splitlines()] == [
        "INFO 1 [brianlike.place]",
        "WARNING 4 [brianlike.place.topic]",
        "DEBUG 6 [brianlike.place]",
        "DIAGNOSTIC 8 [brianlike.place]",
        "11 only",
    ]


def test_warnings_of_runs_have_brians_names(nothing_suppressed):
    prefs.codegen.target = "numpy"
    G = NeuronGroup(1, "dv/dt = v**3/ms : 1", method="euler", name="growing")
    G.v = 10
    net = Network(G)
    with catch_logs() as caught, np.errstate(all="ignore"):
        net.run(5 * ms)
    assert [name.rpartition(".")[2] for _, name, _ in caught] == ["invalid_values"]


# ----------------------------------------------------------------------------------------------------------------------------------------- preferences
def test_preferences_behave_as_brians():
    assert prefs["codegen.cpp.extra_compile_args_gcc"] == [] == prefs.codegen.cpp.extra_compile_args_gcc
    prefs.codegen.cpp.extra_compile_args_gcc += ["-O2"]
    prefs["core"]["threads"] = 2
    assert prefs["codegen.cpp.extra_compile_args_gcc"] == ["-O2"] and prefs["core.threads"] == 2 and prefs.get("core.threads") == 2
    assert "core.threads = 2\n" in prefs.as_file and "core.threads = 1\n" in prefs.defaults_as_file
    assert {"codegen", "core", "logging", "legacy", "devices", "GSL"} <= set(prefs.toplevel_categories)
    assert "without effect" in prefs.get_documentation("codegen.cpp") and "core.threads" not in prefs.get_documentation("codegen.cpp")
    prefs.reset_to_defaults()
    assert prefs.codegen.cpp.extra_compile_args_gcc == [] and dict(prefs)["core.threads"] == 1 and brianlike.brian_prefs is prefs
    for wrong in ("weave", "cpp", "cuda"):
        with pytest.raises(PreferenceError, match="preference 'codegen.target' cannot be"):
            prefs.codegen.target = wrong
    with pytest.raises(PreferenceError, match="whole steps"):
        prefs.legacy.refractory_timing = True
    with pytest.raises(NotImplementedError, match="preference files are not read"):
        prefs.read_preference_file("file")
    with pytest.raises(NotImplementedError, match="preference files are not read"):
        prefs.load_preferences()
    with pytest.raises(PreferenceError, match="cannot be removed"):
        del prefs["core.threads"]
    with pytest.raises(AttributeError, match="did you mean"):
        prefs.core.thread = prefs.core.nothing
    assert "threads" in dir(prefs.core) and "core" in dir(prefs)


def test_preferences_of_ones_own(monkeypatch):
    monkeypatch.setattr(brianlike.preferences, "PREFERENCES", dict(brianlike.preferences.PREFERENCES))
    prefs.register_preferences("mine", "for a test", size=BrianPreference(3, "how large", validator=lambda n: n > 0), name=BrianPreference("x", "its name"))
    assert prefs.mine.size == 3 and prefs["mine.name"] == "x"
    prefs.mine.size = 5
    for wrong in (("mine.size", -1), ("mine.name", 3)):
        with pytest.raises(PreferenceError):
            prefs[wrong[0]] = wrong[1]
    with pytest.raises(PreferenceError, match="exists already"):
        prefs.register_preferences("core", "taken", threads=BrianPreference(3, "mine"))
    with pytest.raises(PreferenceError, match="there is no preference 'core.threadz'"):
        prefs["core.threadz"] = 3
    prefs._values.pop("mine.size"), prefs._values.pop("mine.name")


def test_the_default_schedule():
    net = Network()
    prefs.core.network.default_schedule = ["start", "thresholds", "synapses", "groups", "resets", "end"]
    assert net.schedule == prefs.core.network.default_schedule and Network().schedule[1] == "thresholds"
    net.schedule = ["start", "groups", "end"]
    assert net.schedule == ["start", "groups", "end"]
    net.schedule = None
    assert net.schedule[1] == "thresholds"
    for wrong in (["start", "before_start"], ["start", "start"], []):
        with pytest.raises(ValueError, match="a schedule is"):
            net.schedule = wrong
        with pytest.raises(PreferenceError):
            prefs.core.network.default_schedule = wrong
    with pytest.raises(TypeError, match="a schedule is a list of slots"):
        net.schedule = "start"
