"""Units and types of what the user wrote, checked on the tree so that every caret is exact."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .codes import once
from .dims import DIMENSIONLESS, UNITS, Dimensions, unit_name
from .errors import DataTypeError, EquationError, ModelError, UnitError, UnsupportedError
from .expr import (
    Access,
    Binary,
    Call,
    Cast,
    Compare,
    DType,
    Element,
    Expr,
    Index,
    Logical,
    Name,
    Negate,
    Not,
    Number,
    Truth,
    Where,
    accesses,
    children,
    is_zero,
    show,
    walk,
)
from .functions import Signature, is_noise, spec_of
from .grammar import MAX_DEPTH, literal
from .ir import (
    Model,
    Refractory,
    Role,
    Statement,
    Subexpression,
    Summed,
    Variable,
    show_statement,
)
from .parse import MAX_EXPONENT
from .resolve import noise_misplaced, target_span, unit_external
from .resolve import resolve as resolve
from .resolve import resolve_expression as resolve_expression
from .resolve import unresolved as unresolved

Type = tuple[Dimensions, DType]
Locals = Mapping[str, Type]

MAX_WRITTEN_OUT = 20_000  # nodes of one expression, with its subexpressions in place

_BOOL: Type = (DIMENSIONLESS, DType.BOOL)
_SECOND = UNITS["second"]
_RANK = {DType.INT32: 0, DType.INT64: 1, DType.FLOAT: 2}
_VERBS = {"+": "adds {1} to {0}", "-": "subtracts {1} from {0}", "%": "takes {0} modulo {1}", "//": "divides {0} into whole parts of {1}"}


# ------------------------------------------------------------------------------------------------------------------------------ types of expressions
def expression_type(expr: Expr, model: Model, local: Locals | None = None) -> Type:
    """The dimensions and the data type of a resolved expression; an error points at the part where they do not fit."""
    match expr:
        case Number(value):
            return DIMENSIONLESS, DType.FLOAT if isinstance(value, float) else DType.INT32 if -(2**31) <= value < 2**31 else DType.INT64
        case Truth():
            return _BOOL
        case Name(name):
            if local is None or name not in local:
                raise ModelError(f"`{name}` is not resolved", expr.span)
            return local[name]
        case Access():
            variable = _declaration(expr, model)
            return variable.dimensions, variable.dtype
        case Negate(operand):
            return _number(operand, model, local)
        case Not(operand):
            return _boolean(operand, model, local)
        case Cast(dtype, operand):
            return _cast(expr, dtype, expression_type(operand, model, local))
        case Binary(operator, left, right):
            return _arithmetic(expr, operator, _number(left, model, local), _number(right, model, local))
        case Compare(_, left, right):
            return _comparison(expr, expression_type(left, model, local), expression_type(right, model, local))
        case Logical(_, left, right):
            _boolean(left, model, local)
            return _boolean(right, model, local)
        case Where(condition, then, otherwise):
            _boolean(condition, model, local)
            return _joined(expr, (then, otherwise), (expression_type(then, model, local), expression_type(otherwise, model, local)))
        case Element(table, index):
            _number(index, model, local)
            return expression_type(table, model, local)
        case Call(_, arguments):
            signature = spec_of(expr).dimensions
            if isinstance(signature, Signature):
                return outside_function(expr, signature, tuple(expression_type(argument, model, local) for argument in arguments))
            return _function(expr, tuple(_number(argument, model, local) for argument in arguments))
    raise TypeError(f"not an expression: {expr!r}")


def check_expression(
    expr: Expr,
    variables: tuple[Variable, ...],
    pre: tuple[Variable, ...] = (),
    post: tuple[Variable, ...] = (),
    externals: Mapping[str, Variable] | None = None,
) -> Type:
    """The dimensions and the data type of an expression that stands alone and that `resolve_expression` has resolved with the same tables."""
    own = {variable.name for variable in variables}
    outside = tuple(variable for name, variable in (externals or {}).items() if name not in own)
    return expression_type(expr, Model("expression", variables + outside, pre=pre, post=post))


def _declaration(access: Access, model: Model) -> Variable:
    try:
        return model.variable(access)
    except KeyError:
        unit = unit_external(access.variable)
        if unit is None:
            raise
        return unit


def _number(expr: Expr, model: Model, local: Locals | None) -> Type:
    found = expression_type(expr, model, local)
    if found[1] is DType.BOOL and isinstance(expr, Access) and _declaration(expr, model).role is Role.EXTERNAL:
        return found[0], DType.INT32  # True and False of the namespace count as 1 and 0, as in Brian
    if found[1] is DType.BOOL:
        raise DataTypeError(f"`{text_of(expr)}` is a boolean where a number is needed", expr.span, f"Write `int({text_of(expr)})` for 0 or 1.")
    return found


def _boolean(expr: Expr, model: Model, local: Locals | None) -> Type:
    found = expression_type(expr, model, local)
    if found[1] is not DType.BOOL:
        raise DataTypeError(
            f"`{text_of(expr)}` is {_named(found[0])} where a condition is needed", expr.span, f"Write a comparison, such as `{text_of(expr)} > ...`."
        )
    return found


def _cast(expr: Expr, dtype: DType, operand: Type) -> Type:
    if not operand[0].is_dimensionless:
        raise UnitError(f"`{text_of(expr)}` converts {_named(operand[0])} to an integer", expr.span, f"Divide by the unit: `int(x/{unit_name(operand[0])})`.")
    return DIMENSIONLESS, dtype


def _join(types: Iterable[Type]) -> DType:
    return max((dtype for _, dtype in types), key=lambda dtype: _RANK[dtype])


def _arithmetic(expr: Binary, operator: str, left: Type, right: Type) -> Type:
    if operator in ("/", "//", "%") and is_zero(expr.right):
        raise EquationError(f"`{text_of(expr)}` divides by zero", expr.right.span, "Divide by something else.")
    match operator:
        case "*":
            return left[0] * right[0], _join((left, right))
        case "/":
            return left[0] / right[0], DType.FLOAT
        case "**":
            return _power(expr, left, right)
    if left[0] != right[0]:
        message = _VERBS[operator].format(_named(left[0]), _named(right[0]))
        raise UnitError(f"`{text_of(expr)}` {message}", expr.span, _same_units(f"Both sides of {_both(operator)} need the same unit.", expr, left, right))
    return DIMENSIONLESS if operator == "//" else left[0], _join((left, right))


def _both(operator: str) -> str:
    return "+ and -" if operator in "+-" else operator


def _same_units(rule: str, expr: Binary | Compare, left: Type, right: Type) -> str:
    """The rule, or exactly what to write where one side is a plain literal."""
    for part, other in ((expr.left, right), (expr.right, left)):
        if literal(part) is not None and not other[0].is_dimensionless:
            return f"Give the number a unit: `{text_of(part)}*{_factor(other[0])}`."
    return rule


def _factor(dimensions: Dimensions) -> str:
    name = unit_name(dimensions)
    return f"({name})" if "/" in name else name


def _power(expr: Binary, base: Type, exponent: Type) -> Type:
    if not exponent[0].is_dimensionless:
        hint = "An exponent is a plain number: divide it by its unit."
        raise UnitError(f"the exponent `{text_of(expr.right)}` is {_named(exponent[0])}", expr.right.span, hint)
    if base[0].is_dimensionless:
        return DIMENSIONLESS, DType.FLOAT
    value = literal(expr.right)
    if value is None:
        hint = f"Write the exponent as a number, or divide the base by its unit: `({text_of(expr.left)}/{_factor(base[0])})**...`."
        raise UnitError(f"`{text_of(expr)}` has no fixed unit: the base is {_named(base[0])} and the exponent is not a literal number", expr.span, hint)
    try:
        if abs(value) <= MAX_EXPONENT:
            return base[0] ** value, DType.FLOAT
    except (ValueError, OverflowError):
        pass
    raise UnitError(f"`{text_of(expr)}` has a unit with too large an exponent", expr.span, f"Exponents of units go up to {MAX_EXPONENT}.")


def _comparison(expr: Compare, left: Type, right: Type) -> Type:
    booleans = (left[1] is DType.BOOL) + (right[1] is DType.BOOL)
    if booleans == 1 or (booleans == 2 and expr.operator not in ("==", "!=")):
        raise DataTypeError(f"`{text_of(expr)}` compares a boolean", expr.span, "Use the boolean itself as a condition, with `and`, `or` and `not`.")
    if left[0] != right[0]:
        message = f"`{text_of(expr)}` compares {_named(left[0])} with {_named(right[0])}"
        raise UnitError(message, expr.span, _same_units("Both sides of a comparison need the same unit.", expr, left, right))
    return _BOOL


def _joined(expr: Expr, parts: tuple[Expr, ...], types: tuple[Type, ...]) -> Type:
    """The type that all parts share."""
    for part, (dimensions, dtype) in zip(parts[1:], types[1:]):
        if (dtype is DType.BOOL) != (types[0][1] is DType.BOOL):
            raise DataTypeError(f"`{text_of(expr)}` mixes a boolean with a number", part.span, "Write `int(...)` around the boolean.")
        if dimensions != types[0][0]:
            message = f"`{text_of(part)}` is {_named(dimensions)}, but `{text_of(parts[0])}` is {_named(types[0][0])}"
            hint = "All arguments need the same unit."
            if literal(part) is not None and not types[0][0].is_dimensionless:
                hint = f"Give the number a unit: `{text_of(part)}*{_factor(types[0][0])}`."
            raise UnitError(message, part.span, hint)
    return types[0][0], DType.BOOL if types[0][1] is DType.BOOL else _join(types)


def _function(expr: Call, types: tuple[Type, ...]) -> Type:
    spec = spec_of(expr)
    needed = {"none": DIMENSIONLESS, "steps": _SECOND}.get(str(spec.dimensions))
    for part, (dimensions, _) in zip(expr.arguments, types):
        if needed is not None and dimensions != needed:
            hint = f"Divide it by a quantity in {unit_name(dimensions)}." if needed.is_dimensionless else "Give two times, such as `timestep(t, dt)`."
            raise UnitError(f"`{expr.function}` takes {_named(needed)}, but `{text_of(part)}` is {_named(dimensions)}", part.span, hint)
    dtype = spec.dtype or _join(types)
    match spec.dimensions:
        case "same":
            return _joined(expr, expr.arguments, types)[0], dtype
        case "sqrt":
            return types[0][0] ** 0.5, dtype
    return DIMENSIONLESS, dtype


def outside_function(expr: Call, signature: Signature, types: tuple[Type, ...]) -> Type:
    """The type of what a function of the user's gives for arguments of these types."""
    dimensions = {name: found for name, (found, _) in zip(signature.names, types)}
    for part, (found, dtype), wanted, condition in zip(expr.arguments, types, signature.arguments, signature.conditions or (None,) * len(types)):
        if condition is not None and condition != (dtype is DType.BOOL):
            wanted_kind, kind = ("a condition", "a number") if condition else ("a number", "a boolean")
            message = f"`{expr.function}` takes {wanted_kind}, but `{text_of(part)}` is {kind}"
            raise DataTypeError(message, part.span, "Write a comparison." if condition else f"Write `int({text_of(part)})` for 0 or 1.")
        needed = dimensions[wanted] if isinstance(wanted, str) else wanted
        if needed is not None and found != needed:
            hint = f"Divide it by a quantity in {unit_name(found)}." if needed.is_dimensionless else f"Give it in {unit_name(needed)}."
            if literal(part) is not None and not needed.is_dimensionless:
                hint = f"Give the number a unit: `{text_of(part)}*{_factor(needed)}`."
            raise UnitError(f"`{expr.function}` takes {_named(needed)}, but `{text_of(part)}` is {_named(found)}", part.span, hint)
    result = signature.result
    return result if isinstance(result, Dimensions) else result(tuple(found for found, _ in types)), spec_of(expr).dtype or _join(types)


def text_of(expr: Expr) -> str:
    """The expression as it stands in the user's text, on one line and not too long."""
    return _one_line(show(expr) if expr.span is None else expr.span.excerpt)


def _one_line(text: str) -> str:
    line = " ".join(re.sub(r"#[^\n\r]*", " ", text).split())
    return line if len(line) <= 60 else line[:57] + "..."


def _named(dimensions: Dimensions) -> str:
    return "a plain number" if dimensions.is_dimensionless else unit_name(dimensions)


# ------------------------------------------------------------------------------------------------------------------------------------ rules of a model
def check_model(model: Model) -> None:
    """Refuse a resolved model whose units or types do not fit, pointing at the place in the user's text."""
    _check_size(model)
    _check_subexpressions(model)
    _check_flows(model)
    _check_noise(model)
    for summed in model.summed:
        _check_summed(summed, model)
    for event in model.events:
        _boolean(event.condition, model, None)
        _check_code(event.reset, model)
    for pathway in model.pathways:
        _check_code(pathway.code, model)
    for code in model.codes:
        _check_code(code.statements, model)
        _check_shared_writes(code.statements)
    if model.refractory:
        _check_refractory(model.refractory, model)


def _check_noise(model: Model) -> None:
    """Refuse noise outside of differential equations, also where it comes by way of a subexpression."""
    noisy: set[str] = {v.name for v in model.variables if v.role is Role.NOISE}
    for s in model.subexpressions:
        if any(access.variable in noisy for access in _own(s.value)):
            noisy.add(s.variable)
    values = [event.condition for event in model.events] + ([model.refractory.value] if model.refractory else [])
    codes = [event.reset for event in model.events] + [pathway.code for pathway in model.pathways] + [code.statements for code in model.codes]
    for value in (*values, *(statement.value for code in codes for statement in code)):
        for access in _own(value):
            if access.variable in noisy:
                raise noise_error(access)


def _own(expr: Expr) -> list[Access]:
    return [node for node in walk(expr) if isinstance(node, Access) and node.index in (Index.SELF, Index.SHARED)]


def noise_error(access: Access) -> EquationError:
    """The error for noise, or a subexpression with noise, outside of differential equations."""
    if is_noise(access.variable):
        return EquationError(*noise_misplaced(access.variable, access.span))
    message = f"`{access.variable}` contains noise, which only differential equations have"
    return EquationError(message, access.span, "Make a parameter of it that is drawn with `randn()`, or use it in differential equations only.")


def _check_size(model: Model) -> None:
    """Refuse what would become too large once subexpressions are written out: thirty lines that each use the last one twice make a billion nodes."""
    sizes: dict[str, tuple[int, int]] = {}
    for s in model.subexpressions:
        sizes[s.variable] = _written_out(s.value, sizes)
        _check_written_out(s.value, sizes[s.variable])
    values = [flow.drift for flow in (*model.flows, *model.event_driven)] + [event.condition for event in model.events]
    values += [summed.value for summed in model.summed]
    values += [model.refractory.value] if model.refractory else []
    codes = [event.reset for event in model.events] + [pathway.code for pathway in model.pathways] + [code.statements for code in model.codes]
    for value in (*values, *(statement.value for code in codes for statement in code)):
        _check_written_out(value, _written_out(value, sizes))


def _written_out(expr: Expr, sizes: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """Number of nodes and depth of the expression, with subexpressions in place of their names."""
    if isinstance(expr, Access):
        return sizes.get(expr.variable, (1, 0)) if expr.index in (Index.SELF, Index.SHARED) else (1, 0)
    parts = [_written_out(part, sizes) for part in children(expr)]
    return 1 + sum(size for size, _ in parts), max((1 + depth for _, depth in parts), default=0)


def _check_written_out(expr: Expr, size: tuple[int, int]) -> None:
    if size[0] > MAX_WRITTEN_OUT or size[1] > MAX_DEPTH:
        message = f"written out, this has {size[0]} numbers, names and operators, {size[1]} of which need each other"
        limits = f"The limits are {MAX_WRITTEN_OUT} and {MAX_DEPTH}: replace a subexpression by a parameter or a differential equation."
        raise EquationError(message, expr.span, limits)


def _check_subexpressions(model: Model) -> None:
    for s in model.subexpressions:
        variable = model.variable(s.variable)
        found = expression_type(s.value, model)
        _check_assignable(variable.name, (variable.dimensions, variable.dtype), s.value, found)
        for node in walk(s.value):
            if isinstance(node, Call) and not spec_of(node).stateless:
                message = f"`{text_of(node)}` cannot be used in a subexpression, which would draw anew wherever it is used"
                raise EquationError(message, node.span, "Add the flag `(constant over dt)`: one number for each step.")
        if variable.shared:
            _check_shared(s, model)


def _check_shared(s: Subexpression, model: Model) -> None:
    for access in accesses(s.value):
        # What a linked variable is linked to is known only when the network is: `link` checks it then.
        if access.index is not Index.SHARED and model.variable(access).role is not Role.LINKED:
            node = next(node for node in walk(s.value) if node == access)
            message = f"`{s.variable}` is shared, but `{text_of(node)}` differs from element to element"
            raise EquationError(message, node.span, "Remove the flag `shared`, or use shared variables only.")


def _check_flows(model: Model) -> None:
    for flow in (*model.flows, *model.event_driven):
        name, unit = flow.variable, model.variable(flow.variable).dimensions
        found, _ = _number(flow.drift, model, None)
        if found != unit / _SECOND:
            message = f"d{name}/dt is {_named(found)}, but `{name}` is {_named(unit)} and changes by {_named(unit / _SECOND)}"
            hint = f"Make the right side {_named(unit / _SECOND)}, or correct the unit of `{name}`."
            hint = "Divide by a time constant, such as `(...)/tau`." if found == unit else hint
            raise UnitError(message, flow.drift.span, hint)
    for flow in model.event_driven:
        _refuse_random(flow.drift, "in an event-driven equation, which has no steps", "Use a parameter that is set in the code of a pathway.")


def _check_summed(summed: Summed, model: Model) -> None:
    assert isinstance(summed.target, Access)
    variable, found = model.variable(summed.target), expression_type(summed.value, model)
    _check_assignable(show(summed.target), (variable.dimensions, variable.dtype), summed.value, found)
    _number(summed.value, model, None)


def _refuse_random(expr: Expr, where: str, hint: str) -> None:
    for node in walk(expr):
        if isinstance(node, Call) and not spec_of(node).stateless:
            raise UnsupportedError(f"`{text_of(node)}` cannot be used {where}", node.span, hint)


def _check_refractory(refractory: Refractory, model: Model) -> None:
    value = refractory.value
    if refractory.conditional:
        _boolean(value, model, None)
        return
    if isinstance(value, Number) and value.span is None:
        return  # seconds, given as a number by the caller
    found, dtype = expression_type(value, model)
    if dtype is DType.BOOL:
        raise AssertionError(f"resolve() has not seen that {show(value)} is a condition")
    if found != _SECOND:
        hint = f"Write `{text_of(value)}*ms`." if found.is_dimensionless and literal(value) is not None else "Give a time, such as `5*ms`, or a condition."
        raise DataTypeError(f"the refractory period `{text_of(value)}` is {_named(found)}", value.span, hint)


def _check_code(code: tuple[Statement, ...], model: Model) -> None:
    """Statement after statement; a local name has the type of the last value it was given."""
    local: dict[str, Type] = {}
    for statement in code:
        found = expression_type(statement.value, model, local)
        match statement.target:
            case Access() as access:
                variable = _declaration(access, model)
                target: Type = (variable.dimensions, variable.dtype)
                stored = _updated(statement, target, found)
                _check_update(statement, show(access), target, stored)
                _check_assignable(show(access), target, statement.value, stored)
            case str(name):
                local[name] = _updated(statement, local.get(name, found), found)


def _check_update(statement: Statement, name: str, target: Type, stored: Type) -> None:
    """An operator such as `*=` keeps the unit of its target. (Integers drop fractions, as in Brian.)"""
    operator = statement.operator
    if operator == "=":
        return
    if stored[0] != target[0]:
        hint = "Assign to another variable with `=`." if operator in ("**=", "//=") else f"The right side of `{operator}` has to be a plain number."
        raise UnitError(f"`{_clause(statement)}` would turn `{name}` from {_named(target[0])} into {_named(stored[0])}", statement.span, hint)


def _check_shared_writes(code: tuple[Statement, ...]) -> None:
    """Shared variables get one value for all elements, before anything is computed for single ones."""
    local: set[str] = set()
    single = False
    for statement, same in zip(code, once(code)):
        if not same:
            single = True
        elif isinstance(statement.target, str):
            local.add(statement.target)
        else:
            name = show(statement.target)
            for node in walk(statement.value):
                if (isinstance(node, Access) and node.index is not Index.SHARED) or (isinstance(node, Name) and node.name not in local):
                    message = f"`{name}` is shared, but gets a value that differs from element to element"
                    raise EquationError(message, node.span, "Use shared variables and constants only.")
            if single:
                hint = "Write it first: the shared part of code runs before that for single elements."
                raise EquationError(f"`{name}` is shared, but written after code for single elements", statement.span, hint)


def _clause(statement: Statement) -> str:
    return show_statement(statement) if statement.span is None else _one_line(statement.span.excerpt)


def _updated(statement: Statement, target: Type, value: Type) -> Type:
    """The type of what the statement stores: `x op= y` stores `x op y`."""
    operator = statement.operator[:-1]
    if not operator:
        return value
    left = statement.target if isinstance(statement.target, Access) else Name(statement.target, target_span(statement))
    for part, found in ((left, target), (statement.value, value)):
        if found[1] is DType.BOOL:
            raise DataTypeError(f"`{text_of(part)}` is a boolean, which `{statement.operator}` cannot change or use", part.span, "Assign with `=`.")
    return _arithmetic(Binary(operator, left, statement.value, statement.span), operator, target, value)


def _check_assignable(name: str, target: Type, value: Expr, found: Type) -> None:
    if (target[1] is DType.BOOL) != (found[1] is DType.BOOL):
        kind = "a boolean" if target[1] is DType.BOOL else "a number"
        other = "a condition" if found[1] is DType.BOOL else _named(found[0])
        hint = "Write a condition such as `x > y`." if target[1] is DType.BOOL else f"Write `int({text_of(value)})` for 0 or 1."
        raise DataTypeError(f"`{name}` is {kind}, but gets {other}", value.span, hint)
    if target[0] != found[0]:
        hint = f"Make the right side {_named(target[0])}, or correct the unit of `{name}`."
        if literal(value) is not None and not target[0].is_dimensionless:
            hint = f"Give the number a unit: `{text_of(value)}*{_factor(target[0])}`."
        raise UnitError(f"`{name}` is {_named(target[0])}, but gets {_named(found[0])}", value.span, hint)
