"""Expressions in strings outside a run (`G.v = 'rand()*mV'`, `G.v['i < 3']`), and models with the values that the namespace gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from codegen.check import check_model, expression_type, noise_error, text_of
from codegen.desugar import show_last_spike, subexpressions
from codegen.dims import DIMENSIONLESS, Dimensions, unit_name
from codegen.emit import python
from codegen.errors import DataTypeError, UnitError
from codegen.expr import Access, DType, Expr, Index, Name, accesses, names, substitute, walk
from codegen.functions import is_noise, write_out
from codegen.grammar import parse_expression
from codegen.ir import Draw, Let, Load, Map, Model, Role, Store, Subexpression, Variable
from codegen.lines import rewrite_line
from codegen.lower import lower_expression
from codegen.resolve import resolve, unit_external, unit_value, unresolved

from .bounds import UNKNOWN, Limits, limits, limits_of
from .build import build_python
from .default_functions import functions_of
from .functions import Specified
from .namespaces import externals
from .randomness import Elements, drawn
from .seeding import next_epoch

if TYPE_CHECKING:
    from .state import VariableOwner

_VALUE = "_value"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model whose every name is known, and what came from the namespace: values (SI) of constants, functions, and the tables behind functions.

    `values` also holds those of the units that texts name, and the numbers that functions read.
    """

    model: Model
    values: dict[str, float]
    functions: dict[str, Specified] = field(default_factory=dict)

    @property
    def tables(self) -> dict[str, np.ndarray]:
        """The values of each variable that is a table."""
        return {name: table for function in self.functions.values() for name, table in function.tables.items()}

    @property
    def constants(self) -> tuple[str, ...]:
        """The names that the namespaces must have."""
        return tuple(name for name in self.values if unit_external(name) is None and not name.startswith("_"))  # those of inputs do not change


def resolve_model(model: Model, owner: VariableOwner, run: Mapping[str, object]) -> Resolved:
    """Look the model's free names up (the object's own namespace before that of the run), resolve and check it."""
    resolved = _resolved(model, owner, run)
    check_model(resolved.model)
    return resolved


def _resolved(model: Model, owner: VariableOwner, run: Mapping[str, object]) -> Resolved:
    found = externals(unresolved(model), owner.namespace, run)
    functions = functions_of(model, owner.namespace, run, owner)
    table = {name: external_variable(name, value, dims) for name, (value, dims) in found.items()}
    resolved = resolve(model, table, {name: function.spec for name, function in functions.items()})
    numbers = {name: number for function in functions.values() for name, number in function.numbers.items()}
    wanted = [v.name for v in resolved.variables if v.role is Role.EXTERNAL and not v.name.startswith("_")]  # others are given by those who need them
    return Resolved(resolved, {**{name: found[name][0] if name in found else unit_value(name) for name in wanted}, **numbers}, functions)


def external_variable(name: str, value: float, dimensions: Dimensions) -> Variable:
    """The declaration of a constant of the namespace; True and False are boolean, whole numbers become floats as in Brian's models."""
    dtype = DType.BOOL if isinstance(value, bool | np.bool_) else DType.FLOAT
    return Variable(name, Role.EXTERNAL, dimensions, dtype, shared=True, constant=True)


class Evaluation:
    """An expression that has been looked through, checked and turned into a function: its values for one set of elements after another.

    Random numbers depend on the element and on when the Evaluation was made, not on how elements are divided among calls.

    Parameters
    ----------
    text : str or Expr
        The user's expression, or what it was parsed to; it may read the owner's variables and call `rand()`.
    owner : VariableOwner
        What has the variables.
    dimensions : Dimensions, optional
        What the value must have; a UnitError points at the text otherwise.
    """

    def __init__(
        self,
        text: str | Expr,
        owner: VariableOwner,
        namespace: Mapping[str, object],
        *,
        expect_boolean: bool = False,
        dimensions: Dimensions | None = None,
    ) -> None:
        expr, text = (parse_expression(text), text) if isinstance(text, str) else (text, text_of(text))
        self._namespace, self._resolved = namespace, _with_value(owner, expr, namespace)
        self._model = self._resolved.model
        value = next(s.value for s in self._model.subexpressions if s.variable == _VALUE)
        _check(value, self._model, text, expect_boolean, dimensions)
        lines, self._result, dtype = lower_expression(self._model, _inlined(self._model, value))
        loads: dict[Access, Load] = {}

        def load(expr: Expr) -> Expr:
            table: dict[Expr, Expr] = {}
            for node in walk(expr):
                if isinstance(node, Access):
                    if node not in loads:
                        loads[node] = Load(f"a{len(loads)}", node.variable, Index.SELF, self._model.variable(node).dtype)
                    table[node] = Name(loads[node].name)
            return substitute(expr, table)

        self.lines, self.loads = tuple(rewrite_line(line, load) for line in lines), loads
        kernel = Map("expression", owner.name, tuple(loads.values()), self.lines, (Store(_VALUE, Index.SELF, self._result, dtype),))
        self._function, self._functions = build_python(python.render(kernel)), [spec.implementation for spec in python.functions(kernel)]
        self._draws = [line for line in self.lines if isinstance(line, Draw)]
        self._key = next_epoch()
        self._moment: dict[str, np.ndarray] = {}

    @property
    def result(self) -> str:
        """The line whose value is that of the expression."""
        return self._result

    @property
    def calls_python(self) -> bool:
        """Whether functions from outside take part, which may have effects of their own."""
        return bool(self._functions)

    @property
    def random(self) -> bool:
        """Whether it draws random numbers."""
        return bool(self._draws)

    @property
    def elementwise(self) -> bool:
        """Whether values are read at the element itself or at its neurons only, so that others may change meanwhile."""
        variables = [self._model.variable(access) for access in self.loads]
        return not any(access.index is Index.WHOLE or variable.role is Role.LINKED for access, variable in zip(self.loads, variables, strict=True))

    def kept(self, owner: VariableOwner) -> bool:
        """Whether the values can be computed later, too: they depend on constants, on the element and its neurons, on chance, and on the clock.

        What the texts were looked up in is forgotten then, so that it does not live as long as this, and the clock counts as it is now.
        """
        variables = {access: self._model.variable(access) for access in self.loads}
        ends, roles = ("i", "j"), (Role.EXTERNAL, Role.CLOCK)
        fixed = (v.role in roles or (v.role is Role.INDEX and access.index is Index.SELF and v.name in ends) for access, v in variables.items())
        if self._functions or not all(fixed):
            return False
        self._moment = {access.variable: self.value_of(owner, access, slice(0, 0)) for access, v in variables.items() if v.role is Role.CLOCK}
        self._namespace = {}
        return True

    def limits(self, leaf: Callable[[Access, Variable], Limits]) -> Limits:
        """Between which limits the values lie where variables lie between those that `leaf` gives."""
        known = {load.name: leaf(access, self._model.variable(access)) for access, load in self.loads.items()}
        with np.errstate(all="ignore"):
            for line in self.lines:
                match line:
                    case Let(name, value):
                        known[name] = limits_of(value, known)
                    case Draw(name, "uniform"):
                        known[name] = limits(0.0, 1.0)
        return known.get(self._result, UNKNOWN)

    def value_of(self, owner: VariableOwner, access: Access, indices: Any) -> np.ndarray:
        """The values (SI) of a variable that the expression reads."""
        return _value_of(owner, access, self._model.variable(access), indices, self._resolved, self._namespace)

    def __call__(self, owner: VariableOwner, indices: Any, places: Elements | None = None) -> np.ndarray:
        """The values (SI numbers or booleans) for the elements of `owner` at `indices`, an array or a slice from a number to a number.

        Random numbers are those of these elements, or of `places`.
        """
        arguments = [self._moment[a.variable] if a.variable in self._moment else self.value_of(owner, a, indices) for a in self.loads]
        draws = [drawn(line, *self._key, 0, indices if places is None else places, 0) for line in self._draws]
        shape = (max(0, indices.stop - indices.start),) if isinstance(indices, slice) else np.shape(indices)
        with np.errstate(all="ignore"):
            (values,) = self._function(*arguments, *draws, *self._functions)
        return values if np.shape(values) == shape else np.broadcast_to(values, shape)


def _with_value(owner: VariableOwner, expr: Expr, run: Mapping[str, object]) -> Resolved:
    """The model's variables and the subexpressions that `expr` needs, with `expr` as one more subexpression."""
    model = owner.model
    known = {s.variable: s for s in model.subexpressions}
    needed: dict[str, Subexpression] = {}
    todo = list(names(expr))
    while todo:
        name = todo.pop()
        if name in known and name not in needed:
            needed[name] = known[name]
            todo += names(known[name].value)
    ordered = tuple(s for s in model.subexpressions if s.variable in needed)
    variables = (*model.variables, Variable(_VALUE, Role.SUBEXPRESSION))
    small = Model(model.name, variables, (), (*ordered, Subexpression(_VALUE, expr)), pre=model.pre, post=model.post)
    return _resolved(small, owner, run)


def _check(value: Expr, model: Model, text: str, expect_boolean: bool, wanted: Dimensions | None) -> None:
    found, dtype = expression_type(value, model)
    span = value.span
    if expect_boolean and dtype is not DType.BOOL:
        raise DataTypeError(f"`{text.strip()}` is a number where a condition is needed", span, "Compare it with something, as in `i < 10`.")
    if not expect_boolean and dtype is DType.BOOL and wanted is not None:
        raise DataTypeError(f"`{text.strip()}` is a condition where a number is needed", span, "Write `int(...)` around it to get 0 and 1.")
    if wanted is not None and not expect_boolean and found != wanted:
        message = f"`{text.strip()}` has the unit {unit_name(found)} where {unit_name(wanted)} is needed"
        hint = f"Multiply by the unit, as in `({text.strip()})*{unit_name(wanted)}`." if found == DIMENSIONLESS else "Use a value with that unit."
        raise UnitError(message, span, hint)


def _inlined(model: Model, value: Expr) -> Expr:
    """`value` in terms of stored variables."""
    refuse_noise(model, value)
    inner = subexpressions(model)
    table: dict[Expr, Expr] = {Access(name, index): tree for name, tree in inner.items() for index in (Index.SELF, Index.SHARED)}
    holder = Model("value", model.variables, subexpressions=(Subexpression(_VALUE, substitute(write_out(value), table)),), pre=model.pre, post=model.post)
    return show_last_spike(holder).subexpressions[0].value


def refuse_noise(model: Model, value: Expr) -> None:
    """Refuse to compute an expression that contains noise, which has no value outside of differential equations."""
    inner = subexpressions(model)
    for access in accesses(value):
        if any(is_noise(part.variable) for part in accesses(inner.get(access.variable, access))):
            raise noise_error(access)


def _value_of(
    owner: VariableOwner,
    access: Access,
    variable: Variable,
    indices: Any,
    resolved: Resolved,
    namespace: Mapping[str, object],
) -> np.ndarray:
    match variable.role:
        case Role.EXTERNAL:
            return np.asarray(resolved.values[access.variable])
        case Role.TABLE:
            return resolved.tables[access.variable]
        case Role.CLOCK:
            clock = {"t": owner.clock.t_, "dt": owner.clock.dt_, "t_in_timesteps": owner.clock.timestep}
            return np.asarray(clock[access.variable])
    return np.asarray(owner.values_of(access, indices, namespace))
