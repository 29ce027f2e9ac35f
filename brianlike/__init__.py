"""Spiking neural networks from equation strings: simulated fast, trained with gradients, explained.

`from brianlike import *` brings groups, synapses, monitors, `run`, all units, and the names of numpy and matplotlib.pyplot, which is loaded when one of
its names is first used; `from brianlike.only import *` leaves those two out. `import brianlike.nn` brings the torch modules made from the same objects.
"""

import codegen as _codegen

if not getattr(_codegen, "IS_BRIANLIKE_COMPILER", False):
    raise ImportError(
        f"brianlike needs its own package `codegen`, but another one shadows it: {getattr(_codegen, '__file__', 'unknown')}. "
        "Rename that one, or move it behind brianlike on sys.path."
    )

from . import aliases as _aliases
from . import numpy_ as numpy_
from . import only as only
from . import plot_units as _plot_units
from . import pylab_names as _pylab_names

# Of equal names, those of the language hold.
globals().update({name: getattr(module, name) for module in (_pylab_names, only) for name in module.__all__})

np = numpy_
numpy = numpy_

_plot_units.install()

__version__ = "0.1.0"
__all__: list[str] = sorted({*_pylab_names.__all__, *only.__all__, "np", "numpy", "numpy_", "only", *_aliases.install(__name__)})
