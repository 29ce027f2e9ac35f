"""Which engine runs a network."""

from __future__ import annotations

from codegen.errors import UnsupportedError

from .build import CompilerUnavailable
from .engines import Engine, NumpySimulation
from .logger import get_logger
from .preferences import prefs
from .prepare import Prepared

__all__ = ["make_engine"]

_LOG = get_logger("brianlike.network")


def make_engine(prepared: Prepared) -> Engine:
    """The engine that `prefs.codegen.target` asks for; without a compiler, or for what cannot be compiled, numpy with one line in the log."""
    target = prefs["codegen.target"]
    if target == "numpy":
        return NumpySimulation(prepared)
    try:
        from .drive import CythonSimulation

        return CythonSimulation(prepared)
    except (CompilerUnavailable, ImportError, UnsupportedError) as error:
        if target == "cython":
            raise
        _LOG.warn(f"Simulations run on numpy, which is slower: {' '.join(str(error).splitlines())}", "codegen_fallback", once=True)
        return NumpySimulation(prepared)
