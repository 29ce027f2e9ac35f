"""From flows to one step of time. A method is one row of `METHODS`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from .errors import IntegrationError
from .expr import ONE, Access, Call, Expr, Name, Number, add, is_zero, multiply, show, substitute, total, walk
from .functions import DT, FUNCTIONS, T_IN_TIMESTEPS, T, call
from .ir import Flow, Let, Line

Update = tuple[list[Line], dict[str, str]]


class Fresh:
    """Names that nothing else in a Step has: `v_1`, `v_2`, ..."""

    def __init__(self, taken: set[str] | frozenset[str] = frozenset()) -> None:
        self._taken, self._count = set(taken), dict[str, int]()

    def __call__(self, stem: str) -> str:
        while True:
            number = self._count[stem] = self._count.get(stem, 0) + 1
            name = f"{stem}_{number}"
            if name not in self._taken:
                self._taken.add(name)
                return name


@dataclass(frozen=True, slots=True)
class Tableau:
    """An explicit Runge-Kutta method: row i of `stages` gives the weights of earlier slopes in stage i, `weights` those in the result.

    The textbook form is `k_i = f(x + dt*sum_j a_ij k_j, t + c_i dt)`, `x_new = x + dt*sum_i b_i k_i` with `c_i = sum_j a_ij`.
    """

    stages: tuple[tuple[Fraction, ...], ...]
    weights: tuple[Fraction, ...]
    order: int

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

    `x_new = x exp(a dt) + b dt exprel(a dt)`, which needs no special case where a is 0.
    """

    order: int = 1

    def __call__(self, flows: Sequence[Flow], fresh: Fresh) -> Update:
        from .linear import linear

        lines: list[Line] = []
        new: dict[str, str] = {}
        for flow in flows:
            found = linear(flow.drift, [Access(flow.variable)])
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


@dataclass(frozen=True, slots=True)
class Exact:
    """The solution of linear equations with coefficients constant over the step (`linear` in Brian's older scripts)."""

    order: int = field(default=99)  # exact: no order of convergence

    def __call__(self, flows: Sequence[Flow], fresh: Fresh) -> Update:
        from .propagate import propagate

        for flow in flows:
            self._refuse_time(flow)
        return propagate(flows, fresh)

    @staticmethod
    def _refuse_time(flow: Flow) -> None:
        for node in walk(flow.drift):
            timed = node in (T, T_IN_TIMESTEPS)
            if timed or (isinstance(node, Call) and FUNCTIONS[node.function].draw):
                what = f"`{show(node)}`, which changes during a step"
                raise IntegrationError(
                    f"`exact` needs coefficients that are constant over a step, and d{flow.variable}/dt reads {what}",
                    getattr(node, "span", None) or flow.span,
                    "Use method='rk4', 'exponential_euler' or 'euler' for these equations.",
                )


F = Fraction
METHODS: dict[str, Tableau | ExponentialEuler | Exact] = {
    "exact": Exact(),
    "euler": Tableau(((),), (F(1),), 1),
    # Brian's `heun` treats the noise with Heun's rule and the drift with Euler's; without noise it is Euler's method.
    "heun": Tableau(((),), (F(1),), 1),
    "exponential_euler": ExponentialEuler(),
    "rk2": Tableau(((), (F(1, 2),)), (F(0), F(1)), 2),
    "rk4": Tableau(((), (F(1, 2),), (F(0), F(1, 2)), (F(0), F(0), F(1))), (F(1, 6), F(1, 3), F(1, 3), F(1, 6)), 4),
}
ALIASES = {"linear": "exact"}
DEFAULT_METHODS = ("exact", "euler", "heun")


def integrate(flows: Sequence[Flow], method: str | Sequence[str], fresh: Fresh) -> tuple[list[Line], dict[str, str], str]:
    """`flows -> lines`: one step, the name of each variable's new value, and the method that was chosen.

    With several methods, the first that can integrate the equations is taken, as in Brian; there `exact` needs equations with an equilibrium, so
    others are left to the next method, and `exact` takes them only where it is asked for alone.
    """
    choices = (method,) if isinstance(method, str) else tuple(method)
    refused: IntegrationError | None = None
    for choice in choices:
        name = ALIASES.get(choice, choice)
        if name not in METHODS:
            raise IntegrationError(f"there is no integration method '{choice}'", None, f"The methods are: {', '.join(METHODS)}.")
        try:
            if name == "exact" and len(choices) > 1:
                _refuse_without_equilibrium(flows)
            lines, new = METHODS[name](flows, fresh)
            return lines, new, name
        except IntegrationError as error:
            refused = refused or error
    raise refused or IntegrationError("no integration method was given", None, f"The methods are: {', '.join(METHODS)}.")


def _refuse_without_equilibrium(flows: Sequence[Flow]) -> None:
    from .propagate import has_equilibrium

    if not has_equilibrium(flows):
        raise IntegrationError("the equations have no equilibrium, and Brian has no `exact` for them", flows[0].span, "Ask for it alone: method='exact'.")
