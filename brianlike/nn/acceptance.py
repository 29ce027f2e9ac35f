"""What a module can hold: everything else is refused by name, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.dataflow import constant_in_run
from codegen.errors import UnsupportedError
from codegen.expr import Access, Index, accesses
from codegen.fuse import array_name
from codegen.ir import Deliver, Role

from ..clocks import Clock
from ..codes import runners
from ..groups import Group
from ..inputs import InputGroup, SpikeGeneratorGroup
from ..objects import SimulationObject, acts
from ..poisson_input import PoissonInput
from ..prepare import Prepared
from ..state import VariableOwner
from ..synapses import Synapses
from .recording import is_event


def refuse_objects(objects: Sequence[SimulationObject]) -> None:
    """Refuse objects that run Python code, and code on clocks of its own."""
    for item in objects:
        if acts(item) or not isinstance(item, Group | Synapses | PoissonInput):
            raise UnsupportedError(f"a module cannot hold {item.name} ({type(item).__name__})", None, "Leave it out of the network.")


def common_clock(objects: Sequence[SimulationObject]) -> Clock:
    """The one clock of all objects and of the code that they run; an error names two that differ."""
    if not objects:
        raise ValueError("a module needs a network with objects")
    first = objects[0]
    codes = [runner for item in objects if isinstance(item, Group | Synapses) for runner in runners(item)]
    for item in (*objects, *codes):
        if not item.clock.same_dt(first.clock):
            message = f"a module has one clock, but {first.name} has dt = {first.clock.dt!r} and {item.name} has dt = {item.clock.dt!r}"
            raise UnsupportedError(message, None, "Give all of them one dt.")
    return first.clock


def refuse_program(prepared: Prepared) -> None:
    """Refuse what has no gradient."""
    for kernel in prepared.program.kernels:
        if isinstance(kernel, Deliver) and kernel.sequential:
            raise UnsupportedError(
                f"the result of pathway {kernel.name} depends on the order of its synapses, so it cannot be trained",
                None,
                "Only add to variables of the connected groups (`v_post += w`), and do not read there what the same code adds to.",
            )
    _refuse_traces_that_see_changes(prepared)


def _refuse_traces_that_see_changes(prepared: Prepared) -> None:
    """From event to event, an equation knows the values at the event only."""
    fixed = constant_in_run(prepared.program)
    for name, one in prepared.compiled.items():
        model, part = one.core, one.part
        own = {flow.variable for flow in model.event_driven}
        for flow in model.event_driven:
            for access in accesses(flow.drift):
                owner = {Index.PRE: part.pre, Index.POST: part.post}.get(access.index) or name
                variable = model.variable(access)
                changes = variable.role is not Role.CLOCK and array_name(owner, variable) not in fixed
                if access not in {Access(trace) for trace in own} and changes:
                    message = f"the event-driven equation of `{flow.variable}` of {name} reads `{access.variable}`, which changes between events"
                    raise UnsupportedError(message, flow.span, "Write (clock-driven) instead of (event-driven).")


def check_record(key: str, owner: VariableOwner, variable: str) -> None:
    """Refuse a record of what an object does not have, or does not keep."""
    where = f"record={{{key!r}: ...}}: {owner.name!r}"
    if is_event(owner, variable) and variable != "_spike":
        return
    if variable in ("_spike", "_margin"):
        if not isinstance(owner, InputGroup | SpikeGeneratorGroup) and not owner.model.events:
            raise ValueError(f"{where} has no threshold, so it has no spikes")
        return
    declared = owner.variable(variable)
    recordable = [v.name for v in owner.model.variables if v.role in (Role.STATE, Role.PARAMETER, Role.INPUT)]
    if declared is None:
        raise ValueError(f"{where} has no variable {variable!r}; it has {', '.join(recordable) or 'none'}")
    if declared.role is Role.LINKED:
        raise UnsupportedError(f"{where} has {variable!r} from another object; record it there")
    if declared.role is Role.SUBEXPRESSION or variable == "lastspike":  # which is a number of steps inside
        raise UnsupportedError(f"{where} computes {variable!r} where it is used; modules record {', '.join(recordable)} only")
