"""Tables of values over time (`TimedArray`): a call such as `stimulus(t, i)` becomes the value of an array at a computed position."""

from __future__ import annotations

from dataclasses import dataclass

from .dims import DIMENSIONLESS, UNITS, Dimensions
from .expr import Access, Binary, Cast, Compare, DType, Element, Expr, Index, Logical, Number, Where
from .functions import DT, FunctionSpec, Signature, T, call
from .ir import Role, Variable


@dataclass(frozen=True, slots=True)
class LookUp:
    """What a call of the table means: row `_table_row(t, dt, interval)`, clamped at both ends, and column `i` if there are several.

    The names of the variables that it reads begin with `stem`. `steady`: during a step of the clock the time stays within one row.
    """

    stem: str
    interval: float
    several: bool
    steady: bool

    def __call__(self, arguments: tuple[Expr, ...]) -> Expr:
        time = arguments[0]
        row: Expr = call("_table_row", time, DT, Number(self.interval))
        row = call("clip", row, Number(0), Access(f"{self.stem}_last", Index.SHARED))
        return Element(Access(self.stem, Index.WHOLE), self._position(row, arguments[1]) if self.several else row, self.steady and time == T)

    def _position(self, row: Expr, column: Expr) -> Expr:
        columns = Access(f"{self.stem}_columns", Index.SHARED)
        column = Cast(DType.INT64, column)
        inside = Logical("and", Compare(">=", column, Number(0)), Compare("<", column, columns))
        return Where(inside, Binary("+", Binary("*", row, columns), column), Number(-1))


def table_function(name: str, stem: str, interval: float, shape: tuple[int, ...], dimensions: Dimensions, steady: bool) -> tuple[FunctionSpec, dict[str, int]]:
    """The function of time (and of the column, for two axes) behind a table, and the values of its whole numbers.

    Its array is the variable `stem`, which must be a name that no other object of the network has.
    """
    numbers = {f"{stem}_last": shape[0] - 1} | ({f"{stem}_columns": shape[1]} if len(shape) == 2 else {})
    variables = (
        Variable(stem, Role.TABLE, dimensions, constant=True),
        *(Variable(number, Role.EXTERNAL, DIMENSIONLESS, DType.INT64, shared=True, constant=True) for number in numbers),
    )
    names = ("t", "i")[: len(shape)]
    signature = Signature(names, (UNITS["second"], DIMENSIONLESS)[: len(shape)], dimensions)
    spec = FunctionSpec(
        name, len(shape), {}, dimensions=signature, definition=LookUp(stem, interval, len(shape) == 2, steady), variables=variables
    )
    return spec, numbers
