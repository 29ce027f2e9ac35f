"""Names that scripts may import and that do nothing yet: using one says what to use instead.

A feature that arrives is deleted here and imported in `only`.
"""

from __future__ import annotations

from typing import NoReturn

__all__ = ["LATER", "Later"]

_COMPARTMENTS = "neurons with several compartments are not simulated; couple the compartments of a NeuronGroup by Synapses with summed variables"
_CODE = "code objects are internal to Brian; prefs.codegen.target chooses what runs a simulation, explain() shows its code"

LATER: dict[str, str] = {
    **dict.fromkeys(("Morphology", "Soma", "Cylinder", "Section", "SpatialNeuron"), _COMPARTMENTS),
    **dict.fromkeys(("NumpyCodeObject", "CythonCodeObject"), _CODE),
}
"""Name: what to use instead."""


class Later:
    """A name that can be imported; calling it, or asking it for anything, raises NotImplementedError."""

    __slots__ = ("_name",)

    def __init__(self, name: str):
        self._name = name

    def _refuse(self) -> NoReturn:
        raise NotImplementedError(f"{self._name}: {LATER[self._name]}")

    def __call__(self, *arguments: object, **keywords: object) -> NoReturn:
        self._refuse()

    def __getattr__(self, name: str) -> NoReturn:
        # Those who only look, such as notebooks, ask for names with underscores.
        if name.startswith("_"):
            raise AttributeError(name)
        self._refuse()

    def __getitem__(self, item: object) -> NoReturn:
        self._refuse()

    def __instancecheck__(self, value: object) -> bool:
        return False

    def __mro_entries__(self, bases: object) -> NoReturn:
        self._refuse()

    def __repr__(self) -> str:
        return f"<{self._name}: not available>"
