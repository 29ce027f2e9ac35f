"""Errors that say what is wrong, where in the user's own text, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` (exclusive) of a text that the user wrote."""

    text: str
    start: int
    end: int

    @property
    def excerpt(self) -> str:
        return self.text[self.start : self.end]

    def to(self, other: Span | None) -> Span:
        """The span from the beginning of this one to the end of `other`, where both lie in one text."""
        if other is None or other.text != self.text:
            return self
        return Span(self.text, min(self.start, other.start), max(self.end, other.end))

    def show(self) -> str:
        """The user's line with a caret under the span; a span over several lines is marked to the end of its first."""
        line_start = self.text.rfind("\n", 0, self.start) + 1
        line_end = self.text.find("\n", self.start)
        line_end = len(self.text) if line_end < 0 else line_end
        line = self.text[line_start:line_end]
        indent = len(line) - len(line.lstrip())
        column = self.start - line_start
        width = max(1, min(self.end, line_end) - self.start)
        if len(line) > 120:  # a very long line is shown around the caret only
            left = max(indent, column - 50)
            line, column, indent = " " * indent + line[left : left + 110], column - left + indent, indent
            width = max(1, min(width, len(line) - column))
        return f"  {line[indent:].rstrip()}\n  {' ' * (column - indent)}{'^' * width}"


class DimensionMismatchError(Exception):
    """Two quantities whose dimensions must agree do not, or a function that takes pure numbers got a quantity.

    Parameters
    ----------
    description
        What went wrong, naming the operands.
    *dimensions
        The dimensions involved.
    """

    __module__ = "brianlike.units"
    description = desc = ""
    dimensions: tuple[object, ...] = ()
    dims: tuple[object, ...] = ()

    def __init__(self, description: str, *dimensions: object) -> None:
        super().__init__(description, *dimensions)
        self.description = self.desc = description
        self.dimensions = self.dims = dimensions

    def __str__(self) -> str:
        return self.description


class ModelError(Exception):
    """Something in the user's model cannot be accepted; the message points at it.

    Parameters
    ----------
    message : what is wrong, in one sentence.
    span : where in the user's text.
    hint : what to do about it.
    """

    def __init__(self, message: str, span: Span | None = None, hint: str | None = None):
        Exception.__init__(self, message)
        self.message, self.span, self.hint = message, span, hint

    def __str__(self) -> str:
        rows = [self.message]
        if self.span is not None:
            rows.append(self.span.show())
        if self.hint:
            rows.append(self.hint)
        return "\n".join(rows)

    def __reduce__(self) -> tuple[type[ModelError], tuple[str, Span | None, str | None]]:
        return type(self), (self.message, self.span, self.hint)


# Each is also the exception of Python's that scripts for Brian expect there.
class EquationError(ModelError, SyntaxError, ValueError):
    """The text is not in the language: syntax, a node or a flag that is not allowed, a text that is too large."""

    def __init__(self, message: str, span: Span | None = None, hint: str | None = None):
        ModelError.__init__(self, message, span, hint)
        self.msg = str(self)  # Python prints this of a SyntaxError


class UnknownNameError(ModelError, KeyError):
    """An identifier that neither the model nor the namespace knows."""


class ElementError(ModelError, IndexError):
    """A text asks for an element that does not exist."""


class UnitError(ModelError, DimensionMismatchError):
    """Dimensions that do not fit."""


class DataTypeError(ModelError, TypeError):
    """A boolean where a number is due, or the other way round."""


class IntegrationError(ModelError, ValueError):
    """The chosen integrator cannot integrate these equations."""


class UnsupportedError(ModelError, NotImplementedError):
    """A feature that this use of the model (a backend, training) does not have, refused by name."""
