"""The language without the names of numpy and matplotlib: `from brianlike.only import *`.

One line for each name; `__all__` is what stands here without a leading underscore.
"""

from __future__ import annotations as _annotations

from types import ModuleType as _Module

from codegen.errors import ModelError as BrianObjectException  # noqa: F401  (what Brian wraps errors of a run in)
from codegen.errors import ModelError as ModelError

from .binomial import BinomialFunction as BinomialFunction
from .clocks import Clock as Clock
from .clocks import defaultclock as defaultclock
from .codes import CodeRunner as CodeRunner
from .codestrings import Expression as Expression
from .codestrings import Statements as Statements
from .compatibility import DEFAULT_CONSTANTS as DEFAULT_CONSTANTS
from .compatibility import DEFAULT_UNITS as DEFAULT_UNITS
from .compatibility import BrianObject as BrianObject
from .compatibility import Group as Group
from .compatibility import Nameable as Nameable
from .compatibility import SpikeSource as SpikeSource
from .compatibility import Trackable as Trackable
from .compatibility import VariableOwner as VariableOwner
from .compatibility import clear_cache as clear_cache
from .compatibility import restore_initial_state as restore_initial_state
from .compatibility import test as test
from .default_functions import DEFAULT_FUNCTIONS as DEFAULT_FUNCTIONS
from .devices import all_devices as all_devices
from .devices import device as device
from .devices import get_device as get_device
from .devices import set_device as set_device
from .equations import Equations as Equations
from .explain import explain as explain
from .functions import Function as Function
from .functions import declare_types as declare_types
from .functions import implementation as implementation
from .groups import NeuronGroup as NeuronGroup
from .importexport import ImportExport as ImportExport
from .inputs import InputGroup as InputGroup
from .inputs import PoissonGroup as PoissonGroup
from .inputs import SpikeGeneratorGroup as SpikeGeneratorGroup
from .later import LATER as _LATER
from .later import Later as _Later
from .linked import linked_var as linked_var
from .logger import BrianLogger as BrianLogger
from .logger import get_logger as get_logger
from .logger import std_silent as std_silent
from .magic import MagicError as MagicError
from .magic import MagicNetwork as MagicNetwork
from .magic import collect as collect
from .magic import magic_network as magic_network
from .magic import profiling_summary as profiling_summary
from .magic import restore as restore
from .magic import run as run
from .magic import scheduling_summary as scheduling_summary
from .magic import start_scope as start_scope
from .magic import stop as stop
from .magic import store as store
from .monitors import EventMonitor as EventMonitor
from .monitors import PopulationRateMonitor as PopulationRateMonitor
from .monitors import SpikeMonitor as SpikeMonitor
from .monitors import StateMonitor as StateMonitor
from .namespaces import get_local_namespace as get_local_namespace
from .network import Network as Network
from .operations import NetworkOperation as NetworkOperation
from .operations import network_operation as network_operation
from .poisson_input import PoissonInput as PoissonInput
from .preferences import BrianPreference as BrianPreference
from .preferences import PreferenceError as PreferenceError
from .preferences import brian_prefs as brian_prefs
from .preferences import prefs as prefs
from .seeding import seed as seed
from .stateupdaters import ExplicitStateUpdater as ExplicitStateUpdater
from .stateupdaters import StateUpdateMethod as StateUpdateMethod
from .stateupdaters import euler as euler
from .stateupdaters import exact as exact
from .stateupdaters import exponential_euler as exponential_euler
from .stateupdaters import gsl_rk2 as gsl_rk2
from .stateupdaters import gsl_rk4 as gsl_rk4
from .stateupdaters import gsl_rk8pd as gsl_rk8pd
from .stateupdaters import gsl_rkck as gsl_rkck
from .stateupdaters import gsl_rkf45 as gsl_rkf45
from .stateupdaters import heun as heun
from .stateupdaters import independent as independent
from .stateupdaters import linear as linear
from .stateupdaters import milstein as milstein
from .stateupdaters import rk2 as rk2
from .stateupdaters import rk4 as rk4
from .subgroups import Subgroup as Subgroup
from .synapses import Synapses as Synapses
from .timed_arrays import TimedArray as TimedArray
from .unit_safe import *  # noqa: F403
from .units import *  # noqa: F403

globals().update({_name: _Later(_name) for _name in _LATER if _name not in globals()})

__all__: list[str] = sorted(_name for _name, _value in globals().items() if not _name.startswith("_") and not isinstance(_value, _Module))
