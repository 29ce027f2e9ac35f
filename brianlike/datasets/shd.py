"""Spoken digits as spikes: the Spiking Heidelberg Digits."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .events import EventLists, EventSplit
from .files import local_file

CHANNELS, CLASSES = 700, 20
FILES = ("shd_train.h5", "shd_test.h5")


def shd(
    folder: str | os.PathLike[str] | None = None,
    validation_speakers: int | Sequence[int] = 1,
    seed: int = 0,
    checksums: Mapping[str, str] | None = None,
) -> EventSplit:
    """Spoken digits, English and German, as spikes of 700 channels of a model cochlea: 8156 samples to train on and 2264 to test, 20 classes.

    Parameters
    ----------
    folder : path, optional
        Where `shd_train.h5` and `shd_test.h5` are, unpacked; the environment variable BRIANLIKE_DATA by default.
    validation_speakers : int or sequence of int
        Speakers of the training file who are held out: so many of them, drawn with `seed`, or these. The test file has speakers whom the training file does
        not have, so accuracy on samples of known voices says too much; accuracy on an unknown speaker is what early stopping should go by.
    seed : int
    checksums : dict, optional
        `{'shd_train.h5': 'md5:...'}` or `'sha256:...'`: raise ValueError if a file has another.

    Returns
    -------
    EventSplit
        `train`, `validation` and `test`; `extra['speaker']` has the speaker of each sample, `extra['age']`, ... what else the file says of speakers.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing, or is not an HDF5 file with `spikes/times`, `spikes/units`, `labels` and `extra/speaker`.

    Notes
    -----
    Data: B. Cramer, Y. Stradmann, J. Schemmel and F. Zenke (2020), The Heidelberg Spiking Data Sets for the systematic evaluation of spiking neural
    networks, IEEE Transactions on Neural Networks and Learning Systems; https://zenkelab.org/datasets; CC BY 4.0.

    Examples
    --------
    >>> from brianlike import ms
    >>> from brianlike.datasets import shd
    >>> data = shd(validation_speakers=2)  # doctest: +SKIP
    >>> x = data.train.dense(range(64), steps=100, dt=14*ms)  # doctest: +SKIP
    >>> x.shape  # doctest: +SKIP
    (100, 64, 700)
    """
    known = dict(checksums or {})
    if unknown := sorted(set(known) - set(FILES)):
        raise ValueError(f"checksums= names {unknown[0]!r}; the files are {', '.join(FILES)}")
    training, test = (read_events(local_file(name, folder, known.get(name))) for name in FILES)
    held_out = np.isin(training.extra["speaker"], _speakers(training.extra["speaker"], validation_speakers, seed))
    return EventSplit(training.only(~held_out), training.only(held_out), test)


def _speakers(speakers: np.ndarray, wanted: int | Sequence[int], seed: int) -> np.ndarray:
    present = np.unique(speakers)
    if isinstance(wanted, int):
        if not 0 <= wanted < len(present):
            raise ValueError(f"validation_speakers={wanted}, but the training file has {len(present)} speakers, one of whom must be left to train on")
        return np.sort(np.random.default_rng(seed).permutation(present)[:wanted])
    if missing := sorted(set(wanted) - set(present.tolist())):
        raise ValueError(f"speaker {missing[0]} is not in the training file; it has {', '.join(map(str, present))}")
    return np.asarray(wanted)


def read_events(path: str | os.PathLike[str]) -> EventLists:
    """The samples of one file of the Spiking Heidelberg Digits (or Spiking Speech Commands)."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError("HDF5 files are read by h5py: pip install 'brianlike[data]'") from error
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        hint = "; unpack it first (gunzip)" if Path(path).suffix == ".gz" else ""
        raise ValueError(f"{path} is not an HDF5 file{hint}") from error
    with file:
        needed = ("spikes/times", "spikes/units", "labels", "extra/speaker")
        if missing := [name for name in needed if name not in file]:
            raise ValueError(f"{path} has no {missing[0]!r}, so it is not one of the Heidelberg files; they have {', '.join(needed)}")
        times, units = (list(file[f"spikes/{name}"][...]) for name in ("times", "units"))
        labels, speaker = file["labels"][...].astype(np.int64), file["extra/speaker"][...].astype(np.int64)
        extra = {"speaker": speaker, **_about_speakers(file, speaker)}
    lengths = np.array([len(t) for t in times], dtype=np.int64)
    if len(times) != len(labels) or not np.array_equal(lengths, [len(u) for u in units]):
        raise ValueError(f"{path} is damaged: it has {len(times)} lists of times for {len(labels)} labels, or lists of times and units of different lengths")
    flat_times = np.concatenate([np.zeros(0, np.float16), *times])
    flat_units = np.concatenate([np.zeros(0, np.uint16), *units])
    return EventLists(flat_times, flat_units, np.concatenate([[0], np.cumsum(lengths)]), labels, CHANNELS, extra)


def _about_speakers(file: Any, speaker: np.ndarray) -> dict[str, np.ndarray]:
    """What the file says of each speaker, for each sample."""
    about = file.get("extra/meta_info", {})
    values = {name: about[name][...] for name in about}
    return {name: value[speaker] for name, value in values.items() if value.ndim == 1 and len(speaker) and len(value) > speaker.max()}
