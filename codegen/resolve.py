"""Names -> variables: every `Name` of a parsed Model becomes an `Access`, or an error that points at it.

The order is Brian's: local names of a statement, the object's own variables, those of the pre- and postsynaptic neurons (`x_pre`, `x_post`; a plain
`x` means the postsynaptic one), units, and last what the namespace gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from .dims import SCALES, UNITS
from .errors import EquationError, Span, UnknownNameError
from .expr import Access, Call, DType, Expr, Index, Name, accesses, names, transform, walk
from .functions import CONSTANTS, FUNCTIONS, USER_FUNCTIONS, FunctionSpec, is_noise
from .grammar import suggest
from .ir import Code, Model, Refractory, Role, Statement, Variable
from .models import RESERVED_IN_SYNAPSES

Table = Mapping[str, Variable]

_READ_ONLY = {
    Role.SUBEXPRESSION: ("is a name for an expression", "Write to the variables that the expression uses."),
    Role.INPUT: ("is an input, fed from outside at every step", "Remove the flag `input`, or write to another variable."),
    Role.EXTERNAL: ("is a constant of the namespace", "Choose another name, or declare it in the equations."),
    Role.CLOCK: ("belongs to the clock", "Write to a variable of your own."),
    Role.INDEX: ("is fixed by the size of the object and its connections", "Write to a variable of your own."),
    Role.NOISE: ("is noise", "Choose another name."),
    Role.HIDDEN: ("belongs to the refractory mechanism", "Change `refractory=`, or write to a variable of your own."),
}
_OF_REFRACTORINESS = ("not_refractory", "lastspike")


def unit_external(name: str) -> Variable | None:
    """A unit such as `mV` as a constant of the namespace; None if there is no such unit."""
    dimensions = UNITS.get(name) or (SCALES[name][1] if name in SCALES else None)
    return None if dimensions is None else Variable(name, Role.EXTERNAL, dimensions, shared=True, constant=True)


def unit_value(name: str) -> float:
    """What one `name` is in SI units; KeyError if there is no such unit."""
    return 1.0 if name in UNITS else SCALES[name][0]


@dataclass(frozen=True, slots=True)
class _Scope:
    """The names that one object's expressions may use."""

    own: Table
    pre: Table
    post: Table
    externals: Table
    offered: frozenset[str] = frozenset()  # what the namespace has, for suggestions
    functions: Mapping[str, FunctionSpec] = field(default_factory=dict)  # from outside, by the name in the text

    def find(self, name: str) -> Access | None:
        """The variable that `name` means, without the namespace."""
        if name in self.own:
            return Access(name, Index.SHARED if self.own[name].shared else Index.SELF)
        for suffix, table, index in (("_pre", self.pre, Index.PRE), ("_post", self.post, Index.POST)):
            plain = name.removesuffix(suffix)
            if plain != name and plain in table:
                # All objects of a network share the clock.
                return Access(plain, Index.SHARED if table[plain].role is Role.CLOCK else index)
        return Access(name, Index.POST) if name in self.post else None

    def variable(self, access: Access) -> Variable:
        table = {Index.PRE: self.pre, Index.POST: self.post}.get(access.index, self.own)
        return table.get(access.variable) or self.externals[access.variable]

    def external(self, name: str) -> Access | None:
        return Access(name, Index.SHARED) if name in self.externals or unit_external(name) else None

    def known(self, name: str) -> set[str]:
        """Every name that could have been meant by `name`."""
        units = {unit for unit in SCALES if len(unit) > 2 or unit.lower() == name.lower()}
        visible = {name for name in (*self.own, *self.post, *self.offered)}
        seen = {f"{name}_pre" for name in self.pre} | {f"{name}_post" for name in self.post}
        return {name for name in visible | seen if not name.startswith("_")} | USER_FUNCTIONS | set(CONSTANTS) | units


def _table(variables: Iterable[Variable]) -> dict[str, Variable]:
    return {variable.name: variable for variable in variables}


def _neurons(variables: Iterable[Variable]) -> dict[str, Variable]:
    """What synapses see of a group: not the constants of its namespace, since synapses have their own."""
    return _table(variable for variable in variables if variable.role is not Role.EXTERNAL)


def _scope(model: Model, externals: Table, offered: Iterable[str] = (), functions: Mapping[str, FunctionSpec] | None = None) -> _Scope:
    return _Scope(_table(model.variables), _neurons(model.pre), _neurons(model.post), externals, frozenset(offered), functions or {})


# ------------------------------------------------------------------------------------------------------------------------------------- what is missing
def unresolved(model: Model) -> dict[str, Name]:
    """The identifiers that neither the model nor the units know, with their first place: the namespace must give them."""
    scope = _scope(model, {})
    found: dict[str, Name] = {}
    for expr in _expressions(model):
        _note(names(expr), scope, set(), found)
    for code in _codes(model):
        local: set[str] = set()
        for statement in code:
            _note(names(statement.value), scope, local, found)
            if isinstance(statement.target, str) and scope.find(statement.target) is None:
                if statement.operator != "=":
                    _note({statement.target: Name(statement.target, target_span(statement))}, scope, local, found)
                local.add(statement.target)
    return found


def called(model: Model) -> dict[str, Call]:
    """The functions that the model's texts call, with their first place."""
    calls = (node for expr in _every_expression(model) for node in walk(expr) if isinstance(node, Call))
    found: dict[str, Call] = {}
    for call in calls:
        found.setdefault(call.function, call)
    return found


def _every_expression(model: Model) -> Iterator[Expr]:
    yield from _expressions(model)
    yield from (statement.value for code in _codes(model) for statement in code)


def _note(used: Mapping[str, Name], scope: _Scope, local: set[str], found: dict[str, Name]) -> None:
    for name, node in used.items():
        if name not in local and scope.find(name) is None and unit_external(name) is None and not is_noise(name):
            found.setdefault(name, node)


def _expressions(model: Model) -> Iterator[Expr]:
    yield from (s.value for s in model.subexpressions)
    yield from (f.drift for f in (*model.flows, *model.event_driven))
    yield from (s.value for s in model.summed)
    yield from (event.condition for event in model.events)
    if model.refractory:
        yield model.refractory.value


def _codes(model: Model) -> Iterator[tuple[Statement, ...]]:
    yield from (event.reset for event in model.events)
    yield from (pathway.code for pathway in model.pathways)
    yield from (code.statements for code in model.codes)


def target_span(statement: Statement) -> Span | None:
    """Where the left side of a statement stands."""
    match statement.target, statement.span:
        case Access(_, _, span), _ if span is not None:
            return span
        case str(name), Span(text, start, _):
            return Span(text, start, start + len(name))
    return statement.span


# ------------------------------------------------------------------------------------------------------------------------------------------ resolving
def resolve(model: Model, externals: Mapping[str, Variable] | None = None, functions: Mapping[str, FunctionSpec] | None = None) -> Model:
    """`Model -> Model`: replace every name by the variable or function it means; the constants of the namespace that are used join the model's variables,
    and so does what its functions read."""
    wanted = unresolved(model)
    given = {name: _constant(variable) for name, variable in (externals or {}).items() if name in wanted}
    scope = _scope(model, given, externals or (), functions)
    flows = tuple(replace(f, drift=_resolve(f.drift, scope)) for f in model.flows)
    traces = tuple(replace(f, drift=_resolve(f.drift, scope)) for f in model.event_driven)
    summed = tuple(replace(s, target=_known(s.target, scope), value=_resolve(s.value, scope)) for s in model.summed)
    subexpressions = tuple(replace(s, value=_resolve(s.value, scope)) for s in model.subexpressions)
    events = tuple(replace(e, condition=_resolve(e.condition, scope), reset=_resolve_code(e.reset, scope)) for e in model.events)
    pathways = tuple(replace(p, code=_resolve_code(p.code, scope)) for p in model.pathways)
    resolved = replace(model, flows=flows, subexpressions=subexpressions, events=events, pathways=pathways, refractory=_refractory(model.refractory, scope))
    resolved = replace(resolved, codes=tuple(_resolve_whole(code, scope) for code in model.codes), event_driven=traces, summed=summed)
    return replace(resolved, variables=(*model.variables, *_used(resolved, scope), *_of_functions(resolved)))


def _of_functions(model: Model) -> tuple[Variable, ...]:
    """What the functions from outside read."""
    specs = dict.fromkeys(node.spec for expr in _every_expression(model) for node in walk(expr) if isinstance(node, Call) and node.spec is not None)
    return tuple(dict.fromkeys(variable for spec in specs for variable in spec.variables))


def resolve_expression(
    expr: Expr,
    variables: tuple[Variable, ...],
    pre: tuple[Variable, ...] = (),
    post: tuple[Variable, ...] = (),
    externals: Mapping[str, Variable] | None = None,
    functions: Mapping[str, FunctionSpec] | None = None,
) -> Expr:
    """`Expr -> Expr`: replace every name of an expression that stands alone, such as the right side of `G.v = '...'`."""
    given = {name: _constant(variable) for name, variable in (externals or {}).items()}
    return _resolve(expr, _Scope(_table(variables), _neurons(pre), _neurons(post), given, frozenset(given), functions or {}))


def _constant(variable: Variable) -> Variable:
    return replace(variable, role=Role.EXTERNAL, shared=True, constant=True)


def _resolve(expr: Expr, scope: _Scope, local: frozenset[str] | set[str] = frozenset()) -> Expr:
    def rule(node: Expr) -> Expr:
        if isinstance(node, Call):
            return _resolve_call(node, scope)
        if not isinstance(node, Name) or node.name in local:
            return node
        access = scope.find(node.name) or scope.external(node.name)
        if access is None:
            raise _unknown(node.name, node.span, scope, local)
        return replace(access, span=node.span)

    return transform(expr, rule)


def _known(target: Access | str, scope: _Scope) -> Access:
    """The variable of the neurons that a sum belongs to; parsing has seen that it exists."""
    access = scope.find(target) if isinstance(target, str) else target
    assert access is not None
    return access


def _resolve_call(call: Call, scope: _Scope) -> Call:
    """The call of a function from outside, with what is known of it."""
    spec = scope.functions.get(call.function)
    if spec is None:
        if call.function in FUNCTIONS or call.spec is not None:
            return call
        span = None if call.span is None else Span(call.span.text, call.span.start, min(call.span.end, call.span.start + len(call.function)))
        hint = suggest(call.function, USER_FUNCTIONS | set(scope.functions)) or f"To multiply, write `{call.function}*(...)`."
        raise UnknownNameError(f"`{call.function}` is not a function", span, hint)
    if len(call.arguments) != spec.arity:
        message = f"`{call.function}` takes {spec.arity or 'no'} argument{'' if spec.arity == 1 else 's'}, not {len(call.arguments)}"
        raise EquationError(message, call.span, "Separate the arguments by commas.")
    return replace(call, spec=spec)


def _unknown(name: str, span: Span | None, scope: _Scope, local: Iterable[str] = ()) -> UnknownNameError | EquationError:
    if is_noise(name):
        return EquationError(*noise_misplaced(name, span))
    hint: str | None = None
    if name in scope.pre:
        hint = f"Write `{name}_pre` for the variable of the presynaptic neuron."
    elif name in _OF_REFRACTORINESS:
        hint = "It exists in groups that are given `refractory=`."
    elif name.endswith(("_pre", "_post")) and not scope.pre and not scope.post:
        hint = "Names with `_pre` and `_post` are those of neurons, seen from the code of Synapses."
    hint = hint or suggest(name, scope.known(name) | set(local))
    return UnknownNameError(f"`{name}` is not known", span, hint or f"Declare it in the equations (`{name} : unit`), or give it a value before the run.")


def noise_misplaced(name: str, span: Span | None) -> tuple[str, Span | None, str]:
    """Message, place and hint for noise outside of differential equations."""
    return f"`{name}` is noise, which only differential equations have", span, "For a random number, write `randn()`."


def _resolve_whole(code: Code, scope: _Scope) -> Code:
    """The statements of a Code, which may write shared variables unless it waits for the events of single elements."""
    return replace(code, statements=_resolve_code(code.statements, scope, code.event is None))


def _resolve_code(code: tuple[Statement, ...], scope: _Scope, shared: bool = False) -> tuple[Statement, ...]:
    local: set[str] = set()
    result: list[Statement] = []
    for statement in code:
        value = _resolve(statement.value, scope, local)
        target = _resolve_target(statement, scope, local, shared)
        if isinstance(target, str):
            local.add(target)
        result.append(replace(statement, target=target, value=value))
    return tuple(result)


def _resolve_target(statement: Statement, scope: _Scope, local: set[str], shared: bool = False) -> Access | str:
    """The variable that a statement writes, if it may; a name that means nothing yet becomes a local one."""
    if isinstance(statement.target, Access):
        return statement.target
    name, span = statement.target, target_span(statement)
    access = scope.find(name)
    if access is not None:
        _check_writable(name, scope.variable(access), span, shared and access.index is Index.SHARED)
        return replace(access, span=span)
    if name in scope.externals:
        _check_writable(name, scope.externals[name], span)
    if (name not in local and statement.operator != "=") or name.endswith(("_pre", "_post")) or name in _OF_REFRACTORINESS:
        raise _unknown(name, span, scope, local)
    if name in RESERVED_IN_SYNAPSES or is_noise(name):
        raise EquationError(f"`{name}` is reserved: it means the same in every model", span, "Choose another name.")
    return name


def _check_writable(name: str, variable: Variable, span: Span | None, shared: bool = False) -> None:
    if variable.role in _READ_ONLY:
        message, hint = _READ_ONLY[variable.role]
        raise EquationError(f"`{name}` cannot be written: it {message}", span, hint)
    if variable.constant:
        raise EquationError(f"`{name}` cannot be written: it is declared constant", span, "Remove the flag `constant`.")
    if variable.shared and not shared:
        hint = "Remove the flag `shared`, or write it in run_regularly code."
        raise EquationError(f"`{name}` cannot be written here: it is shared, and this code runs for single elements", span, hint)


def _refractory(refractory: Refractory | None, scope: _Scope) -> Refractory | None:
    """The conditions that parsing cannot know are those that consist of one boolean variable."""
    if refractory is None:
        return None
    value = _resolve(refractory.value, scope)
    boolean = isinstance(value, Access) and _variable_or_unit(value, scope).dtype is DType.BOOL
    return Refractory(value, refractory.conditional or boolean)


def _variable_or_unit(access: Access, scope: _Scope) -> Variable:
    unit = unit_external(access.variable)
    return unit if unit is not None and access.variable not in scope.externals else scope.variable(access)


def _used(model: Model, scope: _Scope) -> tuple[Variable, ...]:
    """The constants from outside that a resolved model reads, in written order."""
    values = [*_expressions(model), *(statement.value for code in _codes(model) for statement in code)]
    found: dict[str, Variable] = {}
    for access in (access for value in values for access in accesses(value)):
        if access.index is Index.SHARED and access.variable not in scope.own:
            found.setdefault(access.variable, _variable_or_unit(access, scope))
    return tuple(found.values())
