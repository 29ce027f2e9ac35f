"""Devices: where simulations run. Here that is always this process; Brian's `cpp_standalone` is accepted and behaves as scripts for it expect.

Under `cpp_standalone` nothing is written to a folder and nothing waits for `device.build()`: a run happens when `run()` is called. The device remembers the
runs, so that `device.run(run_args=...)` can repeat all of them from the state before the first one, with other values.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from .network import OBSERVERS, Network
from .objects import SimulationObject
from .preferences import prefs
from .seeding import SOURCE, seed
from .state import VariableOwner
from .units import DimensionMismatchError, asarray_si, get_dimensions
from .views import VariableView

__all__ = [
    "Device", "RuntimeDevice", "StandaloneDevice", "all_devices", "device", "device_module", "get_device", "reinit_and_delete", "reinit_devices",
    "reset_device", "seed", "set_device",
]  # fmt: skip

_MARK = "before the first run of the device"
_PAST = "simulations run in this process, so there is no C++ program that it could enter"


@dataclass(slots=True)
class _Run:
    """One call of run: the network with its objects, what was assigned since the run before it, and its arguments."""

    network: Network
    objects: list[SimulationObject]
    mark: str
    changed: dict[VariableOwner, dict[str, np.ndarray]]
    duration: object
    names: dict[str, object]

    def __getstate__(self) -> dict[str, Any]:
        # Another process can use the numbers among the names that were visible, not the modules.
        numbers = {name: value for name, value in self.names.items() if isinstance(value, bool | int | float | np.ndarray | np.generic)}
        return {**{name: getattr(self, name) for name in self.__slots__}, "names": numbers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


@dataclass(slots=True)
class _History:
    """The runs so far, and what the first one began from."""

    runs: list[_Run] = field(default_factory=list)
    random: tuple[int, int] | None = None  # seed and epoch, where the user gave a seed
    after: dict[VariableOwner, dict[str, np.ndarray]] = field(default_factory=dict)


class Device:
    """A place where simulations run.

    Attributes
    ----------
    name : str
    build_on_run : bool
        As given to `set_device`; runs happen at once either way.
    has_been_run : bool
    """

    name = "device"

    def __init__(self) -> None:
        self.build_on_run = True
        self.build_options: dict[str, object] = {}
        self.has_been_run = False
        self.array_cache: dict[object, object] = {}
        self._began = self._last_run_time = 0.0
        self._last_run_completed_fraction = 0.0

    def __repr__(self) -> str:
        return f"<device {self.name!r}>"

    def before_run(self, network: Network, duration: object, names: Mapping[str, object]) -> None:
        """What happens before a run of a network."""
        self._began = time.perf_counter()

    def after_run(self, network: Network) -> None:
        """What happens after it."""
        self.has_been_run = True
        self._last_run_time, self._last_run_completed_fraction = time.perf_counter() - self._began, 1.0

    def activate(self, build_on_run: bool = True, **options: object) -> None:
        """Begin to use this device; the options are those of `set_device`."""
        self.build_on_run, self.build_options = build_on_run, options

    def reinit(self) -> None:
        """Forget all runs."""
        self.has_been_run = False

    def build(self, *arguments: Any, **options: Any) -> None:
        """Nothing has to be built."""

    def delete(self, code: bool = True, data: bool = True, run_args: bool = True, directory: bool = True, force: bool = False) -> None:
        """Nothing lies on disk."""

    def seed(self, seed_value: int | None = None) -> None:
        """See `seed`."""
        seed(seed_value)

    def run(self, *arguments: Any, **keywords: Any) -> None:
        """Only `cpp_standalone` repeats runs."""
        raise NotImplementedError("device.run() repeats runs under set_device('cpp_standalone'); elsewhere call run()")

    def apply_run_args(self) -> None:
        """Values given to `device.run` always hold from the beginning of the first run."""

    def insert_code(self, slot: str, code: str) -> NoReturn:
        """Refused: there is no C++ program."""
        raise NotImplementedError(f"device.insert_code: {_PAST}; assign to variables between runs, or use @network_operation")

    insert_device_code = insert_code

    def run_function(self, name: str, include_in_parent: bool = True) -> NoReturn:
        """Refused: there is no C++ program."""
        raise NotImplementedError(f"device.run_function: {_PAST}; call run() in a loop")

    def code_object(self, *arguments: object, **keywords: object) -> NoReturn:
        """Refused: code objects are internal to Brian."""
        raise NotImplementedError("device.code_object: code objects are internal to Brian; explain() shows the code of a group")


class RuntimeDevice(Device):
    """`runtime`: simulations run when `run` is called."""

    name = "runtime"


class StandaloneDevice(Device):
    """`cpp_standalone`: the same, and all runs can be repeated with other values."""

    name = "cpp_standalone"

    def __init__(self) -> None:
        super().__init__()
        self._history = _History()
        self._repeating = False
        self.project_dir: str | None = None
        self.results_dir: str | None = None

    def reinit(self) -> None:
        self.has_been_run = False
        self._history = _History()

    def before_run(self, network: Network, duration: object, names: Mapping[str, object]) -> None:
        if not self._repeating:
            self._remember(network, duration, names)
        self._began = time.perf_counter()

    def after_run(self, network: Network) -> None:
        self.has_been_run = True
        self._last_run_time, self._last_run_completed_fraction = time.perf_counter() - self._began, 1.0
        if not self._repeating:
            self._history.after |= {owner: owner.state.snapshot() for owner in _owners(network.objects)}

    def _remember(self, network: Network, duration: object, names: Mapping[str, object]) -> None:
        history = self._history
        if not history.runs:
            history.random = (SOURCE.seed, SOURCE.epoch) if SOURCE.given else None
        mark = f"{_MARK} of {id(network._simulation)}"
        if not any(run.network is network and run.mark == mark for run in history.runs):
            Network.store(network, mark)  # the magic network has its objects already
        changed: dict[VariableOwner, dict[str, np.ndarray]] = {}
        for owner in _owners(network.objects):
            before = history.after.get(owner, {})
            different = {name for name, values in before.items() if not np.array_equal(values, owner.state[name], equal_nan=values.dtype.kind == "f")}
            if different:
                changed[owner] = {name: owner.state[name].copy() for name in different}
        history.runs.append(_Run(network, list(network.objects), mark, changed, duration, dict(names)))

    def build(
        self,
        directory: str | None = "output",
        results_directory: str = "results",
        compile: bool = True,
        run: bool = True,
        debug: bool = False,
        clean: bool = False,
        with_output: bool = True,
        additional_source_files: Sequence[str] | None = None,
        run_args: Mapping[Any, object] | Iterable[str] | None = None,
        direct_call: bool = True,
    ) -> None:
        """End the description of a simulation: with `run_args`, its runs are repeated with these values (see `run`), otherwise they have happened.

        Parameters
        ----------
        directory, results_directory, compile, debug, clean, with_output
            Accepted and without effect: nothing is compiled or written.
        run : bool
            False: `run_args` are not used.
        additional_source_files : list
            Refused: there is no C++ program.
        run_args : dict or list
            As for `run`.

        Raises
        ------
        RuntimeError
            If the device was set with `build_on_run=True`, as in Brian.
        """
        if additional_source_files:
            raise NotImplementedError(f"additional_source_files: {_PAST}; write a function in Python")
        if self.build_on_run and direct_call:
            raise RuntimeError("device.build() is for set_device(..., build_on_run=False); with build_on_run=True the call of run() is all there is")
        self.project_dir, self.results_dir = directory, results_directory
        if run and run_args:
            self.run(run_args=run_args)

    def run(
        self,
        directory: str | None = None,
        results_directory: str | None = None,
        with_output: bool = True,
        run_args: Mapping[Any, object] | Iterable[str] | None = None,
    ) -> None:
        """Repeat all runs from the state before the first one.

        Parameters
        ----------
        directory, results_directory, with_output
            Accepted and without effect.
        run_args : dict or list of str
            Values that hold when the first run begins: `{group.v: value, timed_array: values}`, or texts `'group.v=0.5'` in SI units.

        Notes
        -----
        Variables and monitors then hold the results of these runs. What was assigned between two runs is assigned again, as values. Random numbers are
        the same if a seed was given, otherwise new ones.
        """
        if not self._history.runs:
            raise RuntimeError("device.run() repeats the runs of a script, and there has been none; call run() first")
        arguments = self._parsed(run_args)
        self._repeating = True
        try:
            self._repeat(arguments)
        finally:
            self._repeating = False

    def _repeat(self, arguments: list[tuple[Any, Any]]) -> None:
        began = time.perf_counter()
        for run in {run.mark: run for run in self._history.runs}.values():
            with run.network.holding(run.objects):
                Network.restore(run.network, run.mark)
        if self._history.random is not None:
            SOURCE.seed, SOURCE.epoch = self._history.random
        tables = [(target, target.values.copy()) for target, _ in arguments if not isinstance(target, VariableView)]
        try:
            for target, value in arguments:
                if isinstance(target, VariableView):
                    target.set_item(slice(None), value)
                else:
                    target.values[...] = value
            for run in self._history.runs:
                for owner, values in run.changed.items():
                    for name, value in values.items():
                        owner.state[name] = value
                with run.network.holding(run.objects):
                    Network.run(run.network, run.duration, namespace=run.names)
        finally:
            for target, value in tables:
                target.values[...] = value
        self._last_run_time = time.perf_counter() - began

    def _parsed(self, run_args: Mapping[Any, object] | Iterable[str] | None) -> list[tuple[Any, Any]]:
        if run_args is None:
            return []
        if isinstance(run_args, Mapping):
            return [_accepted(target, value) for target, value in run_args.items()]
        return [self._parsed_text(text) for text in run_args]

    def _parsed_text(self, text: str) -> tuple[Any, Any]:
        name, _, value = text.lstrip("-").partition("=")
        owner_name, _, variable = name.partition(".")
        for run in self._history.runs:
            for owner in _owners(run.objects):
                if owner.name == owner_name and owner.variable(variable) is not None:
                    try:
                        number = float({"True": "1", "False": "0"}.get(value.strip(), value))
                    except ValueError:
                        raise ValueError(f"run_args {text!r}: {value!r} is not a number; values from files are given as `{{{name}: array}}`") from None
                    return owner.view(variable + "_"), number
        raise ValueError(f"run_args {text!r}: no network that ran has a variable {name!r}; write object.variable=number")


def _owners(objects: Iterable[SimulationObject]) -> list[VariableOwner]:
    return [item for item in objects if isinstance(item, VariableOwner)]


def _accepted(target: Any, value: Any) -> tuple[Any, Any]:
    """A variable or timed array, and a value that it can take."""
    if isinstance(target, VariableView):
        if get_dimensions(value) != target.dimensions:
            raise DimensionMismatchError(f"run_args: {value!r} does not have the unit of {target.name!r}", get_dimensions(value), target.dimensions)
        if not isinstance(value, str) and np.shape(value) not in ((), (1,), np.shape(target)):
            raise TypeError(f"run_args: {target.name!r} has shape {np.shape(target)}, but the values given have shape {np.shape(value)}")
        return target, value
    if not isinstance(getattr(target, "values", None), np.ndarray):
        raise TypeError(f"the keys of run_args are variables such as group.v, or a TimedArray, not {target!r}")
    values = asarray_si(value)
    if get_dimensions(value) != target.dim or values.shape not in ((), target.values.shape):
        raise TypeError(f"run_args: the values of {target!r} need the unit and the shape of those that they replace, or one value for all")
    return target, values


all_devices: dict[str, Device] = {"runtime": RuntimeDevice(), "cpp_standalone": StandaloneDevice()}
"""The devices by name."""

_ACTIVE: list[Device] = [all_devices["runtime"]]


class CurrentDevice:
    """`device`: the device in use, whichever that is."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(_ACTIVE[-1], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(_ACTIVE[-1], name, value)

    def __repr__(self) -> str:
        return repr(_ACTIVE[-1])


device = CurrentDevice()
OBSERVERS.append(device)


class _DeviceModule:
    """What Brian's module `brian2.devices.device` is to scripts that hand a device to another process."""

    __slots__ = ()

    @property
    def active_device(self) -> Device:
        """The device in use."""
        return _ACTIVE[-1]

    @active_device.setter
    def active_device(self, chosen: Device) -> None:
        _ACTIVE[-1] = chosen


device_module = _DeviceModule()


def get_device() -> Device:
    """The device in use.

    Examples
    --------
    >>> get_device()
    <device 'runtime'>
    """
    return _ACTIVE[-1]


def set_device(device: Device | str, build_on_run: bool = True, **options: object) -> None:
    """Choose where simulations run.

    Parameters
    ----------
    device : str or Device
        `'runtime'` or `'cpp_standalone'`. Both run in this process; the second remembers its runs, see `StandaloneDevice.run`.
    build_on_run : bool
        Runs happen when `run()` is called, whatever is given here; with False, `device.build()` may follow.
    **options
        `directory` and other options of Brian's `device.build`; accepted and without effect.

    Raises
    ------
    KeyError
        For a device that does not exist.
    """
    _ACTIVE.append(_device(device))
    _ACTIVE[-1].activate(build_on_run=build_on_run, **options)


def _device(chosen: Device | str) -> Device:
    if isinstance(chosen, Device):
        return chosen
    if chosen not in all_devices:
        raise KeyError(f"there is no device {chosen!r}; there are {' and '.join(map(repr, all_devices))}")
    return all_devices[chosen]


def reset_device(device: Device | str | None = None) -> None:
    """Go back to the device used before, or to the one given."""
    if len(_ACTIVE) > 1:
        _ACTIVE.pop()
    if device is not None:
        _ACTIVE[-1] = _device(device)


def reinit_devices() -> None:
    """Let all devices forget their runs, and give preferences their first values."""
    for item in all_devices.values():
        item.reinit()
    prefs.reset_to_defaults()


def reinit_and_delete() -> None:
    """The same as `reinit_devices`: nothing lies on disk."""
    reinit_devices()
