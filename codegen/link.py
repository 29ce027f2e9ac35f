"""Linked variables: names for variables of other objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .desugar import LAST_SPIKE, subexpressions
from .errors import EquationError, UnknownNameError
from .expr import Access, Binary, Cast, DType, Element, Expr, Index, accesses, transform
from .functions import DT, dtype_of
from .ir import Model, Role, Subexpression, Variable
from .resolve import target_span


@dataclass(frozen=True, slots=True)
class Link:
    """What a linked variable stands for: `name` of the object `owner`, at the same element, or at the position `index`.

    `single`: that object has one element, which all share. `alone`: the object with the link has only one element, too.
    """

    owner: str
    name: str
    index: Expr | None = None
    single: bool = False
    alone: bool = False


def link(models: Mapping[str, Model], links: Mapping[str, Mapping[str, Link]]) -> dict[str, Model]:
    """`Models -> Models`: resolved models without linked variables, those of each object being given by `links`.

    A link to a stored variable of the same element becomes another name of its array, which can be written, too. Every other one becomes a
    subexpression that reads the other object's arrays.
    """
    return {name: _Linker(models, links, name).model() for name in models}


class _Linker:
    """The links of one object, and the names that its model needs for arrays of others."""

    def __init__(self, models: Mapping[str, Model], links: Mapping[str, Mapping[str, Link]], name: str) -> None:
        self.models, self.links, self.name = models, links, name
        self.foreign: dict[str, Variable] = {}

    def model(self) -> Model:
        model = self.models[self.name]
        variables: list[Variable] = []
        values: list[Subexpression] = []
        for variable in model.variables:
            if variable.role is not Role.LINKED:
                variables.append(variable)
                continue
            value = self.value(self.name, variable.name, ())
            target = self.foreign.get(value.variable) if isinstance(value, Access) and value.index is not Index.WHOLE else None
            if target is not None and self.links[self.name][variable.name].index is None:
                variables.append(replace(target, name=variable.name, span=variable.span))
                continue
            dtype = dtype_of(value, {}, lambda access: self._declared(self.name, access).dtype)
            variables.append(replace(variable, role=Role.SUBEXPRESSION, dtype=dtype))
            values.append(Subexpression(variable.name, value, variable.span))
        if not values and len(variables) == len(model.variables) and not self.foreign:
            return model
        used = {access.variable for s in values for access in accesses(s.value)}
        hidden = (variable for name, variable in self.foreign.items() if name in used)
        _check_targets(model, {v.name for v in variables if v.role is Role.SUBEXPRESSION or v.shared} & set(self.links.get(self.name, ())))
        self._check_shared(model, {v.name for v in variables if v.shared})
        return replace(model, variables=(*variables, *hidden), subexpressions=(*values, *model.subexpressions))

    def _check_shared(self, model: Model, shared: set[str]) -> None:
        """Refuse shared subexpressions of a linked variable that has several values."""
        linked = {v.name for v in model.variables if v.role is Role.LINKED} - shared
        for s in model.subexpressions:
            for access in accesses(s.value) if model.variable(s.variable).shared else ():
                if access.variable in linked and not self.links[self.name][access.variable].single:
                    message = f"`{s.variable}` is shared, but `{access.variable}` is linked to a variable that differs from element to element"
                    raise EquationError(message, s.span, "Remove the flag `shared`, or link to a group of one neuron or to a shared variable.")

    # ------------------------------------------------------------------------------------------------------------------------- what a variable means
    def value(self, owner: str, name: str, path: tuple[tuple[str, str], ...]) -> Expr:
        """The linked variable `name` of `owner` in terms of what is stored, as the elements of `owner` see it."""
        if (owner, name) in path:
            ring = " -> ".join(f"{o}.{n}" for o, n in (*path[path.index((owner, name)) :], (owner, name)))
            place = self.models[owner].variable(name).span
            raise EquationError(f"linked variables need each other in a circle: {ring}", place, "Link one of them to a parameter.")
        known = self.links.get(owner, {}).get(name)
        if known is None:
            variable = self.models[owner].variable(name)
            message = f"the linked variable `{name}` of {owner} is not linked to anything"
            raise UnknownNameError(message, variable.span, f"Write `{owner}.{name} = linked_var(group, 'variable')` before the run.")
        return self._moved(self._inner(known.owner, known.name, (*path, (owner, name))), owner, name, known)

    def _inner(self, owner: str, name: str, path: tuple[tuple[str, str], ...]) -> Expr:
        """A variable of another object in terms of what that object, or those it is linked to, store."""
        model = self.models[owner]
        variable = model.variable(name)
        if variable.role is Role.LINKED:
            return self.value(owner, name, path)
        if name == "lastspike":
            return Binary("*", Cast(DType.FLOAT, LAST_SPIKE), DT)
        stored = subexpressions(model).get(name)
        if stored is None:
            return Access(name, Index.SHARED if variable.shared else Index.SELF)

        def rule(node: Expr) -> Expr:
            if isinstance(node, Access) and node.index is not Index.WHOLE and self._declared(owner, node).role is Role.LINKED:
                return self.value(owner, node.variable, path)
            return node

        return transform(stored, rule)

    def _declared(self, owner: str, access: Access) -> Variable:
        return self.foreign.get(access.variable) or self.models[owner].variable(access)

    def _moved(self, value: Expr, owner: str, name: str, known: Link) -> Expr:
        """What the elements of `known.owner` compute, as those of `owner` see it."""

        def rule(node: Expr) -> Expr:
            if not isinstance(node, Access):
                return node
            variable = self._declared(known.owner, node)
            if variable.role is Role.CLOCK:
                return Access(node.variable, Index.SHARED)
            array = variable.array or f"{known.owner}.{variable.name}"
            shared = variable.shared or (known.single and not known.alone)
            whole = node.index is Index.WHOLE or (known.index is not None and not shared)
            # A whole array is the same one wherever it is seen from, so it has one name in the network.
            hidden = node.variable if node.index is Index.WHOLE else f"_{owner}__{name}__{node.variable}"
            role = Role.PARAMETER if variable.role in (Role.EXTERNAL, Role.STATE) else variable.role
            self.foreign[hidden] = replace(variable, name=hidden, role=role, shared=shared and not whole, guard=None, span=None, array=array)
            if node.index is Index.WHOLE:
                return node
            if whole and known.index is not None:
                return Element(Access(hidden, Index.WHOLE), known.index)
            return Access(hidden, Index.SHARED if shared else Index.SELF)

        return transform(value, rule)


def _check_targets(model: Model, read_only: set[str]) -> None:
    """Refuse statements that write what several elements share, or what is computed."""
    codes = [event.reset for event in model.events] + [pathway.code for pathway in model.pathways] + [code.statements for code in model.codes]
    for statement in (statement for code in codes for statement in code):
        target = statement.target
        if isinstance(target, Access) and target.index in (Index.SELF, Index.SHARED) and target.variable in read_only:
            message = f"`{target.variable}` cannot be written: it is linked to a value that is computed, shared or chosen by an index"
            raise EquationError(message, target_span(statement), "Write to the variable that it is linked to, in the group that has it.")
