"""The noise of a module: every random number depends on the call's seed, the number of the sample, the element and the step, and on nothing else.

So a batch can be split, a run continued and a sample repeated in the simulator, and each has the same noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from codegen.noise import Noise

from ..build import prelude
from ..randomness import block
from .delivery import Values

BLOCK = 1 << 20  # numbers that are drawn at a time: for one step at least, and for as many as have room
DIGITS = {torch.float64: 53, torch.float32: 24, torch.float16: 11, torch.bfloat16: 8}


@dataclass(frozen=True, slots=True)
class Samples:
    """The seed of a call, and the numbers of its samples: int64, of the shape of the batch. Their noise has the type and the device of `like`."""

    seed: int
    numbers: torch.Tensor
    like: torch.Tensor

    @property
    def state(self) -> Values:
        """What the state of a run has to know, to go on with this noise."""
        return {"seed": torch.tensor(self.seed), "samples": self.numbers}


def samples_of(seed: int | torch.Tensor | None, samples: int | torch.Tensor | None, batch: Sequence[int], like: torch.Tensor) -> Samples:
    """What a call is given; without a seed, torch's generator gives one."""
    chosen = int(torch.randint(2**32, ())) if seed is None else int(seed)
    if not 0 <= chosen < 2**32:
        raise ValueError(f"a seed is a whole number from 0 to 2**32 - 1, not {seed!r}")
    if isinstance(samples, torch.Tensor):
        if samples.dtype.is_floating_point or samples.dtype is torch.bool or samples.shape != tuple(batch):
            raise ValueError(f"samples= must hold whole numbers in the shape of the batch, {tuple(batch)}, not {samples.dtype} {tuple(samples.shape)}")
        numbers = samples.detach().to("cpu", torch.int64)
    else:
        numbers = torch.arange(torch.Size(batch).numel()).reshape(tuple(batch)) + (samples or 0)
    if numbers.numel() and not 0 <= int(numbers.min()) <= int(numbers.max()) < 2**32:
        raise ValueError("samples= must be numbers from 0 to 2**32 - 1")
    return Samples(chosen, numbers, like)


@dataclass(frozen=True)
class Rows:
    """The rows of one draw, by the number of the step within the run: tensors of shape (*batch, elements), or functions of the parameters that give them.

    Parameters
    ----------
    noise : the draw
    stream : ordinal of its object
    size : number of elements
    samples : seed and samples
    first : number of the first step of each sample
    steps : how many there are
    values : the arrays with the parameters
    """

    noise: Noise
    stream: int
    size: int
    samples: Samples
    first: torch.Tensor
    steps: int
    values: Values

    def __post_init__(self) -> None:
        self.__dict__["_kept"] = (0, torch.zeros(0))

    def __getitem__(self, n: int) -> torch.Tensor | Callable[..., torch.Tensor]:
        if self.noise.parameters is None:
            return lambda *parameters: self._drawn(n, 1, [p.detach().cpu().double().numpy() for p in parameters])[0]
        begin, kept = self.__dict__["_kept"]
        if not begin <= n < begin + len(kept):
            room = BLOCK // max(1, self.size * self.samples.numbers.numel())
            begin, kept = n, self._drawn(n, max(1, min(room, self.steps - n)), [self._parameter(p.value) for p in self.noise.parameters])
            self.__dict__["_kept"] = begin, kept
        row: torch.Tensor = kept[n - begin]
        return row

    def narrowed(self, chosen: Callable[[torch.Tensor], torch.Tensor]) -> Rows:
        """Those of some samples."""
        return replace(self, samples=replace(self.samples, numbers=chosen(self.samples.numbers)), first=chosen(self.first))

    def thresholds(self) -> torch.Tensor | None:
        """What draws these numbers from uniform ones: nothing more, the table of a law (see `_thresholds`), or None where numbers are accepted or not."""
        if self.noise.law in ("uniform", "normal"):
            return torch.empty(0, dtype=torch.int64)
        found = None if self.noise.parameters is None else self._thresholds([self._parameter(p.value) for p in self.noise.parameters])
        return None if found is None else torch.from_numpy(np.ascontiguousarray(found, np.int64))

    def _parameter(self, value: float | str) -> np.ndarray:
        return self.values[value].detach().cpu().double().numpy() if isinstance(value, str) else np.array([value])

    def _drawn(self, n: int, steps: int, parameters: Sequence[np.ndarray]) -> torch.Tensor:
        batch = self.samples.numbers.shape
        first = (self.first + n).expand(batch).reshape(-1).contiguous().numpy()
        numbers = self.samples.numbers.reshape(-1).contiguous().numpy()
        place = self.samples.seed, numbers, first, steps, self.size, self.stream, self.noise.number
        thresholds = self._thresholds(parameters)
        if thresholds is None:
            spread = [np.broadcast_to(p, (*batch, self.size)).reshape(-1, self.size) if p.ndim > 1 else p for p in parameters]
            found = block(self.noise.law, *place, *spread)
        else:  # the number is how many thresholds do not exceed a uniform one
            found = np.searchsorted(thresholds, (block("uniform", *place) * 2.0**53).astype(np.int64), side="right")
        return self._tensor(torch.from_numpy(found)).reshape(steps, *batch, self.size)

    def _thresholds(self, parameters: Sequence[np.ndarray]) -> np.ndarray | None:
        """A table of the law, where all elements share one and it is inverted."""
        if not parameters or any(p.size != 1 for p in parameters):
            return None
        thresholds: np.ndarray = prelude("python")[f"{self.noise.law}_thresholds"](*parameters)
        return thresholds if thresholds[0] >= 0 else None

    def _tensor(self, found: torch.Tensor) -> torch.Tensor:
        if self.noise.law in ("poisson", "binomial"):
            return found.to(torch.int64).to(self.samples.like.device)
        if self.noise.law == "uniform" and self.samples.like.dtype in DIGITS:  # rounded to the nearest, a number could become 1
            scale = 2.0 ** DIGITS[self.samples.like.dtype]
            found = torch.floor(found * scale) / scale
        return found.to(dtype=self.samples.like.dtype, device=self.samples.like.device)


def rows_of(
    noises: Iterable[Noise],
    streams: Mapping[str, int],
    sizes: Mapping[str, int],
    samples: Samples | None,
    first: torch.Tensor,
    steps: int,
    values: Values,
) -> dict[str, Rows]:
    """The rows of every draw of a Program, by name (see `Rows`); `first` is one number, or of shape (*batch, 1)."""
    if samples is None:
        return {}
    begin = first.detach().cpu()
    begin = begin.squeeze(-1) if begin.dim() else begin
    begin = begin.expand(samples.numbers.shape)
    return {noise.name: Rows(noise, streams.get(noise.owner, 0), sizes[noise.space] if noise.space else 1, samples, begin, steps, values) for noise in noises}
