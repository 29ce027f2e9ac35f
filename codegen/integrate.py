"""From flows to one step of time. A method is one row of `METHODS`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from .errors import IntegrationError
from .explicit import EULER, HEUN, MILSTEIN
from .expr import ONE, Access, Call, Cast, Element, Expr, Name, Number, add, children, depends, is_zero, multiply, show, substitute, total, walk
from .fresh import Fresh as Fresh
from .fresh import Update as Update
from .functions import DT, T_IN_TIMESTEPS, T, call, spec_of
from .ir import Flow, Let, Line


class Method(Protocol):
    """What integrates flows over one step. `noise` says which noise it can integrate: None, `additive`, `diagonal` or `any`."""

    @property
    def noise(self) -> str | None: ...
    @property
    def order(self) -> int: ...
    def __call__(self, flows: Sequence[Flow], fresh: Fresh) -> Update: ...


@dataclass(frozen=True, slots=True)
class Tableau:
    """An explicit Runge-Kutta method: row i of `stages` gives the weights of earlier slopes in stage i, `weights` those in the result.

    The textbook form is `k_i = f(x + dt*sum_j a_ij k_j, t + c_i dt)`, `x_new = x + dt*sum_i b_i k_i` with `c_i = sum_j a_ij`.
    """

    stages: tuple[tuple[Fraction, ...], ...]
    weights: tuple[Fraction, ...]
    order: int
    noise: str | None = None

    def __post_init__(self) -> None:
        if sum(self.weights) != 1 or len(self.weights) != len(self.stages):
            raise ValueError("the weights of a tableau must sum to 1, one for each stage")
        if any(len(row) > n for n, row in enumerate(self.stages)):
            raise ValueError("an explicit tableau uses earlier stages only")

    def __call__(self, flows: Sequence[Flow], fresh: Fresh) -> Update:
        lines: list[Line] = []
        slopes: list[dict[str, Expr]] = []
        for row in self.stages:
            at = self._stage(flows, row, slopes, lines, fresh)
            slope = {}
            for flow in flows:
                name = fresh(f"k_{flow.variable}")
                lines.append(Let(name, substitute(flow.drift, at)))
                slope[flow.variable] = Name(name)
            slopes.append(dict(slope))
        new = {}
        for flow in flows:
            step = _weighted(self.weights, [s[flow.variable] for s in slopes])
            new[flow.variable] = fresh(flow.variable)
            lines.append(Let(new[flow.variable], add(Access(flow.variable), multiply(DT, step))))
        return lines, new

    @staticmethod
    def _stage(flows: Sequence[Flow], row: tuple[Fraction, ...], slopes: list[dict[str, Expr]], lines: list[Line], fresh: Fresh) -> dict[Expr, Expr]:
        """What the stage reads in place of the state and of the time."""
        if not any(row):
            return {}
        at: dict[Expr, Expr] = {}
        for flow in flows:
            name = fresh(f"{flow.variable}_stage")
            lines.append(Let(name, add(Access(flow.variable), multiply(DT, _weighted(row, [s[flow.variable] for s in slopes])))))
            at[Access(flow.variable)] = Name(name)
        at[T] = add(T, multiply(DT, Number(float(sum(row)))))
        return at


def _weighted(weights: Sequence[Fraction], slopes: Sequence[Expr]) -> Expr:
    return total([multiply(Number(float(w)), k) for w, k in zip(weights, slopes) if w])


@dataclass(frozen=True, slots=True)
class ExponentialEuler:
    """Each equation on its own is linear in its variable: `dx/dt = a x + b` with a and b frozen over the step (MacGregor 1987).

    As in Brian, a and b may read x inside of functions, as the rates of instantaneous gates do: they are frozen with the rest.

    `x_new = x exp(a dt) + b dt exprel(a dt)`, which needs no special case where a is 0.
    """

    order: int = 1
    noise: str | None = None

    def __call__(self, flows: Sequence[Flow], fresh: Fresh) -> Update:
        lines: list[Line] = []
        new: dict[str, str] = {}
        for flow in flows:
            found = _frozen(flow)
            if found is None:
                raise IntegrationError(
                    f"`exponential_euler` needs each equation to be linear in its own variable, and d{flow.variable}/dt is not linear in {flow.variable}",
                    flow.span,
                    "Use method='rk4' (or 'rk2', 'euler') for these equations.",
                )
            (slope,), rest = found
            rate = fresh(f"a_{flow.variable}")
            lines.append(Let(rate, multiply(slope, DT)))
            grown = Access(flow.variable) if is_zero(slope) else multiply(Access(flow.variable), call("exp", Name(rate)))
            driven = multiply(multiply(rest, DT), ONE if is_zero(slope) else call("exprel", Name(rate)))
            new[flow.variable] = fresh(flow.variable)
            lines.append(Let(new[flow.variable], add(grown, driven)))
        return lines, new


def _frozen(flow: Flow) -> tuple[list[Expr], Expr] | None:
    """Coefficient and remainder, with calls that read the variable as constants; None if it then stands nowhere else, as in Brian."""
    from .linear import linear

    variable = Access(flow.variable)
    calls = dict.fromkeys(node for node in walk(flow.drift) if isinstance(node, Call | Cast) and depends(node, {variable}))
    names: dict[Expr, Expr] = {node: Name(f"_call{n}") for n, node in enumerate(calls)}
    # Calls are hidden before algebra, if it comes to that, looks at the rest: rates of gates written out are large.
    hidden = substitute(flow.drift, names)
    if calls and not depends(hidden, {variable}):
        return None
    found = linear(hidden, [variable])
    back: dict[Expr, Expr] = {name: node for node, name in names.items()}
    return None if found is None else ([substitute(found[0][0], back)], substitute(found[1], back))


@dataclass(frozen=True, slots=True)
class Exact:
    """The solution of linear equations with coefficients constant over the step (`linear` in Brian's older scripts)."""

    order: int = 99  # exact: no order of convergence
    noise: str | None = None

    def __call__(self, flows: Sequence[Flow], fresh: Fresh) -> Update:
        from .propagate import propagate

        for flow in flows:
            self._refuse_time(flow)
        return propagate(flows, fresh)

    @staticmethod
    def _refuse_time(flow: Flow) -> None:
        for node in _within_step(flow.drift):
            timed = node in (T, T_IN_TIMESTEPS)
            if timed or (isinstance(node, Call) and not spec_of(node).stateless):
                what = f"`{show(node)}`, which changes during a step"
                raise IntegrationError(
                    f"`exact` needs coefficients that are constant over a step, and d{flow.variable}/dt reads {what}",
                    getattr(node, "span", None) or flow.span,
                    "Use method='rk4', 'exponential_euler' or 'euler' for these equations.",
                )


def _within_step(expr: Expr) -> Iterator[Expr]:
    """The nodes of an expression that may change within a step."""
    if isinstance(expr, Element) and expr.steady:
        return
    for part in children(expr):
        yield from _within_step(part)
    yield expr


F = Fraction
METHODS: dict[str, Method] = {
    "exact": Exact(),
    "euler": EULER,
    "heun": HEUN,
    "milstein": MILSTEIN,
    "exponential_euler": ExponentialEuler(),
    "rk2": Tableau(((), (F(1, 2),)), (F(0), F(1)), 2),
    "rk4": Tableau(((), (F(1, 2),), (F(0), F(1, 2)), (F(0), F(0), F(1))), (F(1, 6), F(1, 3), F(1, 3), F(1, 6)), 4),
}
ALIASES = {"linear": "exact", "independent": "exact"}
DEFAULT_METHODS = ("exact", "euler", "heun")


def integrate(flows: Sequence[Flow], method: str | Method | Sequence[str | Method], fresh: Fresh) -> tuple[list[Line], dict[str, str], str]:
    """`flows -> lines`: one step, the name of each variable's new value, and the method that was chosen.

    With several methods, the first that can integrate the equations is taken, as in Brian; there `exact` needs equations with an equilibrium, so
    others are left to the next method, and `exact` takes them only where it is asked for alone.
    """
    choices = tuple(method) if isinstance(method, Sequence) and not isinstance(method, str) else (method,)
    refused: IntegrationError | None = None
    for choice in choices:
        name, one = find_method(choice)
        try:
            _refuse_noise(name, one, flows)
            if name == "exact" and len(choices) > 1:
                _refuse_without_equilibrium(flows)
            lines, new = one(flows, fresh)
            return lines, new, name
        except IntegrationError as error:
            refused = refused or error
    raise refused or IntegrationError("no integration method was given", None, f"The methods are: {', '.join(METHODS)}.")


def _refuse_without_equilibrium(flows: Sequence[Flow]) -> None:
    from .propagate import has_equilibrium

    if not has_equilibrium(flows):
        raise IntegrationError("the equations have no equilibrium, and Brian has no `exact` for them", flows[0].span, "Ask for it alone: method='exact'.")


def find_method(choice: str | Method) -> tuple[str, Method]:
    """Name and row of a method; an error that lists the names if there is none."""
    if not isinstance(choice, str):
        return getattr(choice, "name", type(choice).__name__), choice
    name = ALIASES.get(choice.lower(), choice.lower())
    if name.startswith("gsl"):
        raise IntegrationError(f"'{choice}' is a method of the GNU Scientific Library, which is not used here", None, "Use method='rk4', with a smaller dt.")
    if name not in METHODS:
        raise IntegrationError(f"there is no integration method '{choice}'", None, f"The methods are: {', '.join(METHODS)}.")
    return name, METHODS[name]


_FOR_NOISE = "Use method='euler' where the noise is additive, and 'heun' (or 'milstein') where its factor depends on the state or on time."


def _refuse_noise(name: str, method: Method, flows: Sequence[Flow]) -> None:
    """Refuse equations with noise that the method cannot integrate, by the rules of Brian."""
    noisy = [flow for flow in flows if flow.noise]
    if not noisy or method.noise == "any":
        return
    if method.noise is None:
        raise IntegrationError(f"`{name}` cannot integrate noise, and d{noisy[0].variable}/dt has {_noises(noisy[0])}", noisy[0].span, _FOR_NOISE)
    if method.noise == "additive":
        _refuse_multiplicative(name, flows)
    elif method.noise == "diagonal":
        _refuse_shared(name, noisy)


def _noises(flow: Flow) -> str:
    return " and ".join(f"`{noise}`" for noise in flow.noise)


def _refuse_multiplicative(name: str, flows: Sequence[Flow]) -> None:
    """Noise is additive where its factor is constant over a step: it reads no state variable and no time."""
    states = {Access(flow.variable) for flow in flows}
    for flow in flows:
        for noise, factor in flow.noise.items():
            for node in _within_step(factor):
                if node in states or node == T:
                    message = f"`{name}` needs additive noise, and the factor of `{noise}` in d{flow.variable}/dt reads `{show(node)}`"
                    raise IntegrationError(message, getattr(node, "span", None) or flow.span, "Use method='heun' or 'milstein' (Stratonovich).")


def _refuse_shared(name: str, noisy: Sequence[Flow]) -> None:
    seen: dict[str, str] = {}
    for flow in noisy:
        if len(flow.noise) > 1:
            message = f"`{name}` takes one noise in each equation, and d{flow.variable}/dt has {_noises(flow)}"
            raise IntegrationError(message, flow.span, "Use method='heun'.")
        for noise in flow.noise:
            if noise in seen:
                message = f"`{name}` takes a noise of its own for each equation, and `{noise}` is in d{seen[noise]}/dt and d{flow.variable}/dt"
                raise IntegrationError(message, flow.span, "Use method='heun'.")
            seen[noise] = flow.variable
