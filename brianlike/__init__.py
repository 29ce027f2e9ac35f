"""Spiking neural networks from equation strings: simulated fast, trained with gradients, explained.

`from brianlike import *` brings groups, synapses, monitors, `run` and all units; `import brianlike.nn` the torch modules made from the same objects.
"""

import codegen as _codegen

if not getattr(_codegen, "IS_BRIANLIKE_COMPILER", False):
    raise ImportError(
        f"brianlike needs its own package `codegen`, but another one shadows it: {getattr(_codegen, '__file__', 'unknown')}. "
        "Rename that one, or move it behind brianlike on sys.path."
    )

from codegen.errors import ModelError as ModelError

from . import units as _units
from .clocks import Clock as Clock
from .clocks import defaultclock as defaultclock
from .equations import Equations as Equations
from .explain import explain as explain
from .groups import NeuronGroup as NeuronGroup
from .inputs import InputGroup as InputGroup
from .inputs import PoissonGroup as PoissonGroup
from .inputs import SpikeGeneratorGroup as SpikeGeneratorGroup
from .magic import MagicError as MagicError
from .magic import collect as collect
from .magic import magic_network as magic_network
from .magic import run as run
from .magic import start_scope as start_scope
from .magic import stop as stop
from .monitors import SpikeMonitor as SpikeMonitor
from .monitors import StateMonitor as StateMonitor
from .namespaces import get_local_namespace as get_local_namespace
from .network import Network as Network
from .operations import NetworkOperation as NetworkOperation
from .operations import network_operation as network_operation
from .preferences import prefs as prefs
from .seeding import seed as seed
from .subgroups import Subgroup as Subgroup
from .synapses import Synapses as Synapses
from .units import *  # noqa: F403

__version__ = "0.1.0"
__all__ = [
    "Clock", "Equations", "InputGroup", "MagicError", "ModelError", "Network", "NetworkOperation", "NeuronGroup", "PoissonGroup",
    "SpikeGeneratorGroup", "SpikeMonitor", "StateMonitor", "Subgroup", "Synapses", "collect", "defaultclock", "explain", "get_local_namespace",
    "magic_network",
    "network_operation", "prefs", "run", "seed", "start_scope", "stop",
    *_units.__all__,
]  # fmt: skip
