"""Names of modules that scripts for Brian import: `from brianlike.units.constants import *`, `import brianlike.core.functions`, ...

Our own modules are cut differently. Each alias is a thin module that looks its names up in ours, when it is asked; the table is all there is to it.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

__all__ = ["ALIASES", "install"]

_EVERYTHING = "only"
ALIASES: dict[str, str] = {
    "codegen": "later",
    "core": "only",
    "core.base": "compatibility only",
    "core.clocks": "clocks",
    "core.core_preferences": "preferences",
    "core.functions": "only times",
    "core.magic": "magic only",
    "core.names": "compatibility",
    "core.namespace": "namespaces compatibility only",
    "core.network": "network progress only times",
    "core.operations": "operations",
    "core.preferences": "preferences",
    "core.spikesource": "compatibility",
    "core.tracking": "compatibility",
    "core.variables": "views state only",
    "devices.cpp_standalone": "devices",
    "devices.cpp_standalone.device": "devices",
    "devices.device": "devices",
    "equations.codestrings": "codestrings",
    "equations.equations": "equations",
    "groups.group": "compatibility only",
    "groups.neurongroup": "groups",
    "groups.subgroup": "only",
    "importexport.importexport": "importexport",
    "input": "inputs only",
    "input.binomial": "only",
    "input.poissongroup": "inputs",
    "input.poissoninput": "only",
    "input.spikegeneratorgroup": "inputs",
    "input.timedarray": "only",
    "memory": "only",
    "monitors.ratemonitor": "only",
    "monitors.spikemonitor": "monitors only",
    "monitors.statemonitor": "monitors",
    "parsing": "codestrings",
    "spatialneuron": "only",
    "spatialneuron.morphology": "only",
    "spatialneuron.spatialneuron": "only",
    "stateupdaters.GSL": "stateupdaters only",
    "stateupdaters.base": "stateupdaters only",
    "stateupdaters.exact": "stateupdaters only",
    "stateupdaters.explicit": "stateupdaters only",
    "stateupdaters.exponential_euler": "stateupdaters only",
    "synapses.synapses": "synapses",
    "tests": "compatibility",
    "tests.utils": "comparing",
    "units.allunits": "all_units units",
    "units.constants": "unit_constants",
    "units.fundamentalunits": "units",
    "units.stdunits": "units",
    "units.unitsafe": "unit_safe",
    "units.unitsafefunctions": "unit_safe",
    "utils": "logger",
    "utils.logger": "logger",
}
"""Module of Brian's: the modules of ours that have its names, the first one that has a name first."""


class AliasModule(ModuleType):
    """A module whose names are those of others."""

    def __init__(self, name: str, sources: list[str]):
        super().__init__(name, f"The names of {', '.join(sources)}, where scripts for Brian look for them.")
        self.__dict__["_sources"] = sources
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return sorted({item for source in self._sources for item in importlib.import_module(source).__all__})
        if name.startswith("__"):
            raise AttributeError(name)
        for source in self._sources:
            found = getattr(importlib.import_module(source), name, self)
            if found is not self:
                return found
        raise AttributeError(f"module {self.__name__!r} has no name {name!r}")

    def __dir__(self) -> list[str]:
        return self.__getattr__("__all__")


def install(package: str) -> list[str]:
    """Make all aliases importable under `package`; the names of those at the top, which a star import brings."""
    for name in sorted(ALIASES):
        module = AliasModule(f"{package}.{name}", [f"{package}.{source}" for source in ALIASES[name].split()])
        assert module.__name__ not in sys.modules, f"{module.__name__} is a module: remove its alias"
        sys.modules[module.__name__] = module
        parent, _, child = module.__name__.rpartition(".")
        if parent not in sys.modules:
            importlib.import_module(parent)
        if child not in vars(sys.modules[parent]):  # `devices.device` is the device in use
            setattr(sys.modules[parent], child, module)
    # A module called `input` would hide Python's function of that name, `codegen` the compiler, `tests` those of the user.
    return sorted({name.partition(".")[0] for name in ALIASES} - {"input", "codegen", "tests"})
