"""Functions of the user's that a run calls: `network_operation`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, overload

from .clocks import Clock, choose_clock
from .objects import SimulationObject, choose_name

__all__ = ["NetworkOperation", "network_operation"]


class NetworkOperation(SimulationObject):
    """A function that is called in every step of a run.

    Parameters
    ----------
    function : callable
        Takes nothing, or the time (a Quantity) of its clock; also a bound method.
    dt, clock : Quantity, Clock, optional
        How often it is called: at every step of `defaultclock` unless given.
    when, order : str, int
        Place in the schedule: before everything else in a step unless given.
    name : str, optional

    Raises
    ------
    TypeError
        For a function that needs other arguments.

    Notes
    -----
    While it runs, variables, `net.t` and the contents of monitors are those of the moment, and what it assigns to variables holds at once. An exception
    ends the run behind the step under way.

    Examples
    --------
    >>> from brianlike import *
    >>> G = NeuronGroup(1, 'v : 1')
    >>> def push(t):
    ...     G.v += t/ms
    >>> net = Network(G, NetworkOperation(push, dt=1*ms))
    >>> net.run(4*ms)
    >>> G.v[:]
    array([6.])
    """

    def __init__(
        self,
        function: Callable[..., object],
        dt: object = None,
        clock: Clock | None = None,
        when: str = "start",
        order: int = 0,
        name: str | None = None,
    ):
        self.function = function
        self.takes_time = _takes_time(function)
        self._register(choose_name(name, "networkoperation"), when=when, order=order, clock=choose_clock(dt, clock))

    def run(self) -> None:
        """Call the function for the step that its clock is at."""
        if self.takes_time:
            self.function(self.clock.t)
        else:
            self.function()

    def __call__(self, *arguments: object) -> object:
        """Call the function as if it had not been decorated."""
        return self.function(*arguments)

    def __repr__(self) -> str:
        return f"<NetworkOperation {self.name!r}: {getattr(self.function, '__qualname__', self.function)!s} every {self.clock.dt!r}>"


@overload
def network_operation(function: Callable[..., object], /) -> NetworkOperation: ...
@overload
def network_operation(**options: Any) -> Callable[[Callable[..., object]], NetworkOperation]: ...


def network_operation(*functions: Any, **options: Any) -> Any:
    """Make a function one that every step of a run calls; with arguments, those of `NetworkOperation`.

    Parameters
    ----------
    dt, clock, when, order, name
        As for `NetworkOperation`, as keywords.

    Examples
    --------
    >>> from brianlike import *
    >>> seen = []
    >>> @network_operation(dt=1*ms, when='end')
    ... def look(t):
    ...     seen.append(float(t/ms))
    >>> Network(look).run(3*ms)
    >>> seen
    [0.0, 1.0, 2.0]
    """
    if functions and (len(functions) > 1 or options or not callable(functions[0])):
        raise TypeError("network_operation takes its arguments as keywords: @network_operation(dt=..., when=...)")
    if functions:
        return _decorated(functions[0], {})
    return lambda function: _decorated(function, options)


def _decorated(function: Callable[..., object], options: dict[str, Any]) -> NetworkOperation:
    operation = NetworkOperation(function, **options)
    operation.__name__ = getattr(function, "__name__", operation.name)  # type: ignore[attr-defined]
    operation.__doc__ = function.__doc__
    return operation


def _takes_time(function: object) -> bool:
    """Whether the function needs the time; TypeError if it needs something else."""
    if not callable(function):
        raise TypeError(f"a network operation needs a function, not {function!r}")
    code = getattr(function, "__code__", None)
    if code is None:  # a callable object, a functools.partial, a function of C
        return False
    names = code.co_varnames[: code.co_argcount]
    label = getattr(function, "__name__", repr(function))
    bound = inspect.ismethod(function)
    if names[:1] == ("self",) and not bound:
        raise TypeError(
            f"the first argument of {label!r} is 'self': @network_operation cannot decorate a method in its class; "
            f"make NetworkOperation(self.{label}, ...) from the bound method"
        )
    count = len(names) - bound
    if count > 1:
        raise TypeError(f"{label!r} cannot be a network operation: it may take the time t, or nothing, but it takes {count} arguments")
    return count == 1
