"""Methods of integration as objects: those of Brian by name, descriptions of a user's own, and functions that write the code of a step."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from codegen.desugar import inline, noise
from codegen.errors import IntegrationError
from codegen.explicit import Explicit, describe
from codegen.expr import show
from codegen.fresh import Fresh
from codegen.integrate import DEFAULT_METHODS, Method, integrate
from codegen.ir import Code, Draw, Let, Line, Model, Role, Variable
from codegen.models import parse_group
from codegen.parse import parse_statements
from codegen.resolve import resolve, unresolved

from .equations import Equations
from .logger import get_logger

__all__ = [
    "ExplicitStateUpdater", "StateUpdateMethod", "UnsupportedEquationsException", "euler", "exact", "exponential_euler", "gsl_rk2", "gsl_rk4", "gsl_rk8pd",
    "gsl_rkck", "gsl_rkf45", "heun", "independent", "linear", "milstein", "rk2", "rk4",
]  # fmt: skip

_LOG = get_logger(__name__)
UnsupportedEquationsException = IntegrationError
"""What a method raises for equations that it cannot integrate; a list of methods goes on to the next one then."""

_LEADING = re.compile(r"(?<![\w.])_+(\w+)")  # written code may have names such as `_v`, which users' texts have not
_OPTIONS: dict[str, frozenset[str]] = {"exact": frozenset({"simplify"}), "linear": frozenset({"simplify"})}
"""The options of each method that has any. `simplify` is accepted and has no effect: the exact solution is not found by simplifying."""


class StateUpdateMethod(ABC):
    """What writes the code of one step of time for equations; subclasses have `__call__`.

    A method is given to a group by its name (once registered) or as the object itself.

    Examples
    --------
    >>> from brianlike import *
    >>> from brianlike.stateupdaters import StateUpdateMethod
    >>> class Backwards(StateUpdateMethod):
    ...     def __call__(self, equations, variables=None, method_options=None):
    ...         return 'v = v/(1 + dt/(10*ms))'
    >>> G = NeuronGroup(1, 'dv/dt = -v/(10*ms) : 1', method=Backwards())
    >>> G.v = 1
    >>> run(0.1*ms)
    >>> float(G.v[0]) == 1/(1 + 0.01)
    True
    """

    stateupdaters: dict[str, StateUpdateMethod] = {}

    @abstractmethod
    def __call__(self, equations: Equations, variables: Mapping[str, object] | None = None, method_options: Mapping[str, object] | None = None) -> str:
        """The code of one step.

        Parameters
        ----------
        equations : Equations
        variables : dict, optional
            The variables of the group, by name.
        method_options : dict, optional
        """

    @staticmethod
    def register(name: str, stateupdater: StateUpdateMethod) -> None:
        """Make a method known by a name, in lower case.

        Raises
        ------
        ValueError
            If the name is taken, or the object is no method.
        """
        name = name.lower()
        if name in StateUpdateMethod.stateupdaters:
            raise ValueError(f"there is a method {name!r} already; choose another name")
        if not isinstance(stateupdater, StateUpdateMethod):
            raise ValueError(f"a method is a StateUpdateMethod, not {type(stateupdater).__name__}")
        StateUpdateMethod.stateupdaters[name] = stateupdater

    @staticmethod
    def apply_stateupdater(
        equations: Equations,
        variables: Mapping[str, object] | None,
        method: Any,
        method_options: Mapping[str, object] | None = None,
        group_name: str | None = None,
    ) -> str:
        """The code that a method, or the first of several that can, writes for equations; parameters as for calling a method."""
        several = isinstance(method, Iterable) and not isinstance(method, str)
        refused: IntegrationError | None = None
        for one in method if several else (method,):
            chosen = _found(one)
            try:
                code = abstract_code(equations, chosen) if isinstance(chosen, str) else chosen(equations, variables or {}, method_options)
                log_choice(group_name or "equations", () if several else one, chosen if isinstance(chosen, str) else repr(chosen))
                return str(code)
            except IntegrationError as error:
                refused = refused or error
        raise refused or ValueError("no method was given")


class _Named(StateUpdateMethod):
    """A method of the table of integrators."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.register(name, self)

    def __call__(self, equations: Equations, variables: Mapping[str, object] | None = None, method_options: Mapping[str, object] | None = None) -> str:
        checked_options(method_options, self.name)
        return abstract_code(equations, self.name)

    def __repr__(self) -> str:
        return self.name


class ExplicitStateUpdater(StateUpdateMethod):
    """An explicit method, from its textbook form.

    Parameters
    ----------
    description : str
        Lines `name = expression` over `x` (the state), `t`, `dt`, `f(x, t)` (the right side without noise), `g(x, t)` (the factor of a noise) and `dW`
        (its increment over the step); the last line is `x_new = ...`.
    stochastic : None, 'additive' or 'multiplicative'
        Which noise the method can integrate.
    custom_check : callable, optional
        Called with equations and variables; raises UnsupportedEquationsException for equations that the method cannot integrate.

    Raises
    ------
    EquationError
        With a caret at what is not in the language of descriptions.

    Examples
    --------
    >>> from brianlike import Equations
    >>> midpoint = ExplicitStateUpdater('''k = dt*f(x, t)
    ...                                    x_new = x + dt*f(x + k/2, t + dt/2)''')
    >>> print(midpoint(Equations('dv/dt = -v/tau : 1')))
    f_v_1 = -v/tau
    k_v_1 = dt*f_v_1
    v_stage_1 = v + k_v_1/2
    f_v_2 = -v_stage_1/tau
    _v = v + dt*f_v_2
    v = _v
    """

    def __init__(self, description: str, stochastic: str | None = None, custom_check: Callable[[Equations, Mapping[str, object]], object] | None = None):
        if stochastic not in (None, "additive", "multiplicative"):
            raise ValueError(f"stochastic must be None, 'additive' or 'multiplicative', not {stochastic!r}")
        self.description, self.stochastic, self.custom_check = description, stochastic, custom_check
        self.method: Explicit = describe(description, "any" if stochastic == "multiplicative" else stochastic, name=type(self).__name__)

    def __call__(self, equations: Equations, variables: Mapping[str, object] | None = None, method_options: Mapping[str, object] | None = None) -> str:
        checked_options(method_options, self)
        if self.custom_check is not None:
            self.custom_check(equations, variables or {})
        return abstract_code(equations, self.method)

    def __repr__(self) -> str:
        return f"ExplicitStateUpdater({self.description!r}, stochastic={self.stochastic!r})"


def abstract_code(equations: Equations, method: str | Method) -> str:
    """What a step of the method is for these equations, one assignment on each line."""
    model = parse_group("equations", str(equations))
    found = {name: Variable(name, Role.EXTERNAL, shared=True, constant=True) for name in unresolved(model)}
    core = noise(inline(resolve(model, found), {}, {}))
    lines, new, _ = integrate(core.flows, method, Fresh({variable.name for variable in core.variables}))
    results = {name: f"_{variable}" for variable, name in new.items()}
    return "\n".join([*(_written(line, results) for line in lines), *(f"{variable} = _{variable}" for variable in new)])


def _written(line: Line, results: Mapping[str, str]) -> str:
    match line:
        case Let(name, value):
            return f"{results.get(name, name)} = {show(value)}"
        case Draw(name):
            return f"{name} = randn()"
    raise IntegrationError("the solution of coupled equations is a matrix exponential, which no code can be written for", None, "Ask for method='exact'.")


# -------------------------------------------------------------------------------------------------------------------------------- the method of a group
def checked_method(method: object) -> Any:
    """What a user gave as `method=`: a name, a method, a function, or several of them to try in order. None for Brian's default list."""
    if method is None:
        return None
    if isinstance(method, _Named):
        return method.name
    if isinstance(method, str) or callable(method):
        return method
    if isinstance(method, Iterable) and (several := tuple(method)) and all(isinstance(one, str) or callable(one) for one in several):
        return None if several == DEFAULT_METHODS else tuple(checked_method(one) for one in several)
    raise TypeError(f"method must be the name of an integrator such as 'exact' or 'euler', a method, or a list of them, not {method!r}")


def checked_options(options: Mapping[str, object] | None, method: object) -> dict[str, object]:
    """What a user gave as `method_options=`; each must be an option of the method, or of one of several."""
    several = method if isinstance(method, tuple) else DEFAULT_METHODS if method is None else (method,)
    if options is None or any(callable(one) and not isinstance(one, ExplicitStateUpdater) for one in several):
        return dict(options or {})
    known = sorted({option for one in several if isinstance(one, str) for option in _OPTIONS.get(one.lower(), ())})
    for option in options:
        if option not in known:
            which = f"its options are {', '.join(map(repr, known))}" if known else "it has none"
            raise KeyError(f"{option!r} is not an option of method={method!r}; {which}")
    return dict(options)


def _found(one: Any) -> Any:
    """A method that was registered by a name, and the name of one of the compiler's."""
    chosen = StateUpdateMethod.stateupdaters.get(one.lower(), one) if isinstance(one, str) else one
    return chosen.name if isinstance(chosen, _Named) else chosen


def _several(method: Any) -> list[Any]:
    """The methods to try in order: names of the compiler, and objects."""
    found = []
    for one in DEFAULT_METHODS if method is None else method if isinstance(method, tuple) else (method,):
        found.append(_found(one))
    if len(found) > 1 and not all(isinstance(one, str | ExplicitStateUpdater) for one in found):
        raise TypeError("a function that writes the code of a step cannot be one of several methods; give it alone as method=")
    return found


def compiler_methods(method: Any, equations: Equations, variables: Mapping[str, object]) -> tuple[str | Method, ...]:
    """What the compiler tries in order; what a method's own check refuses is left out of several."""
    found: list[str | Method] = []
    refused: IntegrationError | None = None
    for one in _several(method):
        if isinstance(one, str):
            found.append(one)
        if not isinstance(one, ExplicitStateUpdater):
            continue
        try:
            if one.custom_check is not None:
                one.custom_check(equations, variables)
            found.append(one.method)
        except IntegrationError as error:
            refused = refused or error
    if not found and refused is not None:
        raise refused
    return tuple(found)


def with_written_step(model: Model, method: Any, equations: Equations, options: Mapping[str, object]) -> Model:
    """The model with the code that a user's function writes for a step in place of its flows; the model itself for other methods."""
    function = _several(method)[0]
    if isinstance(function, str | ExplicitStateUpdater):
        return model
    text = function(equations, {variable.name: variable for variable in model.variables}, dict(options))
    if not isinstance(text, str):
        raise TypeError(f"a function given as method= returns the code of a step as text, not {text!r}")
    statements = parse_statements(_LEADING.sub(r"local_\1", text))
    return replace(model, flows=(), codes=(*model.codes, Code("update_code", statements, "groups")))


def log_choice(owner: str, asked: object, chosen: str | None) -> None:
    """Tell which of several methods was taken for an object."""
    if chosen is not None and (asked is None or isinstance(asked, tuple)):
        _LOG.info(f"{owner} is integrated by '{chosen}', the first of the methods that can", "method_choice")
    elif chosen is not None:
        _LOG.debug(f"{owner} is integrated by '{chosen}', as asked", "method_choice")


exact, exponential_euler = _Named("exact"), _Named("exponential_euler")
euler, heun, milstein, rk2, rk4 = _Named("euler"), _Named("heun"), _Named("milstein"), _Named("rk2"), _Named("rk4")
linear, independent = _Named("linear"), _Named("independent")
gsl_rk2, gsl_rk4, gsl_rkf45, gsl_rkck, gsl_rk8pd = (_Named(f"gsl_{name}") for name in ("rk2", "rk4", "rkf45", "rkck", "rk8pd"))
