"""Which engine carries out a run, and a line in the log that says so once."""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.autograd import forward_ad

from ..build import CompilerUnavailable
from ..logger import get_logger
from .engine import TorchEngine, engines
from .events import Events, Fed, dense
from .unroll import Moment, Unrolling, unroll, unroll_ragged

_LOG = get_logger("brianlike.nn.engine")
ENGINES = ("auto", "torch", "cython")
WORTHWHILE = 200_000  # neurons times steps times members, from which on `auto` compiles: about what torch does in the time that a compiler takes
PLAIN = (Events, torch.Tensor, torch.nn.Parameter)


_choices: weakref.WeakValueDictionary[str, Choice] = weakref.WeakValueDictionary()


class Choice:
    """Chooses the engine of each run of a module.

    Parameters
    ----------
    engine : 'torch', 'cython' or 'auto'.
    compile : makes the compiled engine of a torch engine; raises `Refused` if it cannot.
    name : what the log calls the module.
    """

    def __init__(self, engine: str, compile: Callable[[TorchEngine], Any], name: str) -> None:
        if engine not in ENGINES:
            raise ValueError(f"engine= takes {', '.join(map(repr, ENGINES))}, not {engine!r}")
        self.engine, self._compile, self._name = engine, compile, name
        self._compiled: weakref.WeakKeyDictionary[TorchEngine, Any] = weakref.WeakKeyDictionary()
        self._said: set[str] = set()
        self.key = secrets.token_hex(8)
        self.ready: dict[str, Any] = {}
        _choices[self.key] = self

    def unroll(
        self, engine: TorchEngine, moment: Moment, tables: Mapping[str, Fed], steps: int, lengths: torch.Tensor | None, how: Unrolling
    ) -> tuple[Moment, dict[str, torch.Tensor]]:
        """Carry out a run; `lengths` are the numbers of steps of the samples, where they differ."""
        if torch.compiler.is_compiling():
            return self._unroll_in_graph(engine, moment, tables, steps, lengths, how)
        compiled = None if self.engine == "torch" else self._of(engine, moment, tables, steps, how)
        if compiled is not None:
            from .compiled import Refused, unroll_compiled

            try:
                with _own_type():
                    found = unroll_compiled(compiled, moment, tables, steps, how, lengths)
                self.say()
                return found
            except (Refused, CompilerUnavailable) as error:  # known only when it is clear which gradients are wanted
                self.refuse(error)
        return _on_torch(engine, moment, tables, steps, lengths, how)

    def _unroll_in_graph(
        self, engine: TorchEngine, moment: Moment, tables: Mapping[str, Fed], steps: int, lengths: torch.Tensor | None, how: Unrolling
    ) -> tuple[Moment, dict[str, torch.Tensor]]:
        """The same where `torch.compile` follows: compiled kernels are two operators of its graph, or, where Python has to look at numbers, outside of it."""
        if self.engine == "torch" or not _is_large(self.engine, engine, steps, how) or _reason_against_how(steps, how) is not None:
            return _on_torch(engine, moment, tables, steps, lengths, how)
        if lengths is not None or how.samples is not None or engine.learned or any(isinstance(table, Events) for table in tables.values()):
            return _outside_of_graphs(self, engine, moment, tables, steps, lengths, how)
        if not _is_ready(self.key, engine.key):
            return _on_torch(engine, moment, tables, steps, lengths, how)
        from .compiled import Refused, unroll_compiled

        try:
            with _own_type():
                found = unroll_compiled(self.ready[engine.key], moment, tables, steps, how)
            _noted(self.key, "")
            return found
        except Refused as error:
            _noted(self.key, str(error))
            return _on_torch(engine, moment, tables, steps, lengths, how)

    def _of(self, engine: TorchEngine, moment: Moment, tables: Mapping[str, Fed], steps: int, how: Unrolling) -> Any:
        """The compiled engine, if this run is for it."""
        reason = _reason_against(moment, tables, steps, how)
        if reason is None and not _is_large(self.engine, engine, steps, how) and engine not in self._compiled:
            reason = f"a run of fewer than {WORTHWHILE:,} neurons times steps times samples is not worth compiling (engine='cython' compiles it)"
        if reason is None:
            reason, found = self.made(engine)
            if found is not None:
                return found
        self.refuse(reason)
        return None

    def made(self, engine: TorchEngine) -> tuple[str | None, Any]:
        if engine not in self._compiled:
            self._compiled[engine] = self._make(engine)
        found: tuple[str | None, Any] = self._compiled[engine]
        return found

    def _make(self, engine: TorchEngine) -> tuple[str | None, Any]:
        try:
            from .compiled import Refused
        except ImportError as error:
            return f"brianlike was installed without its compiled parts ({error})", None
        try:
            with torch.inference_mode(False):  # what it keeps serves runs with gradients, too
                return None, self._compile(engine)
        except (Refused, CompilerUnavailable) as error:
            return str(error), None

    def say(self) -> None:
        """That it runs on compiled kernels."""
        self._say(f"{self._name} runs on compiled kernels{self._because()}; torch.set_num_threads() says on how many threads.", reason=False)

    def refuse(self, reason: object) -> None:
        """Why it runs on torch."""
        self._say(f"{self._name} runs on torch, because {reason}.", reason=self.engine == "cython")

    def _because(self) -> str:
        return "" if self.engine == "cython" else f", because a run of {WORTHWHILE:,} neurons times steps times samples or more is worth compiling"

    def _say(self, text: str, reason: bool) -> None:
        if text in self._said:
            return
        self._said.add(text)
        (_LOG.warn if reason else _LOG.info)(text)


def _reason_against(
    moment: Moment, tables: Mapping[str, Fed], steps: int, how: Unrolling
) -> str | None:
    """Why a run is not for the compiled engine; None if it is."""
    reason = _reason_against_how(steps, how)
    if reason is not None:
        return reason
    if torch._C._are_functorch_transforms_active():
        return "a transform of torch.func is at work"
    if forward_ad._current_level >= 0:
        return "derivatives are taken forwards"
    if any(type(value) not in PLAIN for value in (*moment.values.values(), *tables.values())):
        return "it is given tensors of a type of their own"
    return None


def _reason_against_how(steps: int, how: Unrolling) -> str | None:
    """The same, as far as it does not depend on what is given."""
    like = next(iter(how.empty.values()), None)
    if like is not None and (like.device.type != "cpu" or like.dtype not in (torch.float32, torch.float64)):
        return f"the module is on {like.device} in {like.dtype}"
    if how.feedback:
        return "a layer of torch runs in every step"
    if how.watch is not None:
        return "something watches every step"
    if steps < 1 or not how.batch.numel():
        return "there is nothing to run"
    return None


def _is_large(wish: str, engine: TorchEngine, steps: int, how: Unrolling) -> bool:
    """Whether a run is worth compiling."""
    return wish != "auto" or sum(engine.sizes.values()) * steps * how.batch.numel() >= WORTHWHILE


def _own_type() -> AbstractContextManager[Any]:
    """Kernels compute in the type of their module, whatever autocast says: what is fed has it already."""
    return torch.autocast("cpu", enabled=False) if torch.is_autocast_enabled("cpu") else nullcontext()


def _on_torch(
    engine: TorchEngine, moment: Moment, tables: Mapping[str, Fed], steps: int, lengths: torch.Tensor | None, how: Unrolling
) -> tuple[Moment, dict[str, torch.Tensor]]:
    like = next((value for value in (*how.empty.values(), *moment.values.values()) if value.is_floating_point()), torch.zeros(()))
    rows = {name: dense(table, like) for name, table in tables.items()}
    if lengths is None:
        return unroll(engine, moment, rows, steps, how)
    return unroll_ragged(engine, moment, rows, steps, lengths, how)


# ---------------------------------------------------------------------------------------------------------------------------- beside graphs of torch.compile
@torch.compiler.disable
def _outside_of_graphs(choice: Choice, *run: Any) -> tuple[Moment, dict[str, torch.Tensor]]:
    """A run as if nobody compiled."""
    return choice.unroll(*run)


@torch.compiler.assume_constant_result
def _is_ready(choice: str, engine: str) -> bool:
    """Whether the compiled engine is there, asked once for each graph."""
    reason, found = _choices[choice].made(engines[engine])
    if found is None:
        _choices[choice].refuse(reason)
        return False
    _choices[choice].ready[engine] = found
    return True


@torch.compiler.assume_constant_result
def _noted(choice: str, reason: str) -> bool:
    """Say what carries out the runs of a graph."""
    if reason:
        _choices[choice].refuse(reason)
    else:
        _choices[choice].say()
    return True
