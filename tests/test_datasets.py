"""Data sets: schemas, checksums, splits, bins; encoders."""

import functools
import gzip
import hashlib
import http.server
import threading

import numpy as np
import pytest

from brianlike import encoders
from brianlike.datasets import EventLists, braille, fashion_mnist, files, generated, images, randman, shd, split, yin_yang
from brianlike.only import *


@pytest.fixture(autouse=True)
def one_millisecond():
    defaultclock.dt = 1 * ms


# ------------------------------------------------------------------------------------------------------------------------------------------- event lists
def events():
    times = np.array([0.0, 0.0101, 0.0109, 0.003, 0.050], np.float16)
    return EventLists(times, np.array([0, 2, 2, 1, 1]), np.array([0, 3, 3, 5]), np.array([7, 8, 9]), 3, {"speaker": np.array([1, 1, 2])})


def test_events_in_bins():
    dense = events().dense([2, 0, 1], steps=12, dt=1 * ms)
    assert dense.shape == (12, 3, 3) and dense.dtype == np.float32
    places = [(int(t), int(n), int(c), float(dense[t, n, c])) for t, n, c in zip(*dense.nonzero())]
    assert places == [(0, 1, 0, 1.0), (3, 0, 1, 1.0), (10, 1, 2, 2.0)]  # two events of one bin are counted; the one at 50 ms is left out
    assert events().dense([0], steps=12, dt=1 * ms, binary=True).max() == 1.0
    assert events().dense([0], steps=2, dt=10 * ms)[:, 0].tolist() == [[1, 0, 0], [0, 0, 2]]
    assert events().dense([1], steps=4).sum() == 0 and events().dense([], steps=4).shape == (4, 0, 3)


def test_samples_and_parts_of_event_lists():
    data = events()
    times, channels, label = data[-1]
    assert len(data) == 3 and label == 9 and channels.tolist() == [1, 1] and times == pytest.approx([0.003, 0.05], rel=1e-3)
    part = data.only([2, 0])
    assert part.labels.tolist() == [9, 7] and part.extra["speaker"].tolist() == [2, 1] and part.offsets.tolist() == [0, 2, 5]
    assert np.array_equal(part.dense([0, 1], 60), data.dense([2, 0], 60))
    assert len(data.only(data.extra["speaker"] == 1)) == 2 and len(data.only(np.zeros(3, bool))) == 0
    with pytest.raises(IndexError, match="^there are 3 samples, so none has the number 3$"):
        data[3]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"offsets": np.array([0, 2, 5])}, "^offsets must rise from 0 to the number of events, 5, in 4 values$"),
        ({"offsets": np.array([0, 3, 2, 5])}, "^offsets must rise"),
        ({"channels": np.zeros(4, int)}, "^there are 5 times, but 4 channels$"),
        ({"size": 2}, "^channels go from 0 to 2, but there are 2 of them, from 0$"),
        ({"extra": {"age": np.zeros(2)}}, "^extra 'age' has 2 values for 3 samples$"),
    ],
)
def test_damaged_event_lists_are_refused(change, message):
    given = {name: getattr(events(), name) for name in ("times", "channels", "offsets", "labels", "size", "extra")} | change
    with pytest.raises(ValueError, match=message):
        EventLists(**given)


# --------------------------------------------------------------------------------------------------------------------------------------------------- shd
SPEAKERS = [0, 3, 3, 7, 7, 7]


def write_shd(path, speakers, leave_out=None):
    """A file with the schema of the published ones: lists of half-precision times and 16-bit units, one for each sample."""
    h5py = pytest.importorskip("h5py")
    random = np.random.default_rng(len(speakers))
    with h5py.File(path, "w") as file:
        lengths = random.integers(1, 60, len(speakers))
        for name, kind, draw in (("times", np.float16, lambda n: np.sort(random.random(n))), ("units", np.uint16, lambda n: random.integers(0, 700, n))):
            rows = file.create_dataset(f"spikes/{name}", (len(speakers),), dtype=h5py.vlen_dtype(kind))
            for n, length in enumerate(lengths):
                rows[n] = draw(length).astype(kind)
        file["labels"] = (np.arange(len(speakers)) % 20).astype(np.uint16)
        file["extra/speaker"] = np.array(speakers, np.uint16)
        file["extra/keys"] = np.array([b"zero", b"null"])
        file["extra/meta_info/age"] = np.arange(20, 32, dtype=np.uint16)
        file["extra/meta_info/gender"] = np.array([b"f", b"m"] * 6)
        if leave_out:
            del file[leave_out]


@pytest.fixture
def shd_folder(tmp_path):
    write_shd(tmp_path / "shd_train.h5", SPEAKERS)
    write_shd(tmp_path / "shd_test.h5", [4, 5])
    return tmp_path


def test_shd_is_split_by_speaker(shd_folder):
    data = shd(shd_folder, validation_speakers=[7])
    assert (len(data.train), len(data.validation), len(data.test)) == (3, 3, 2)
    assert set(data.train.extra["speaker"]) == {0, 3} and set(data.validation.extra["speaker"]) == {7} and set(data.test.extra["speaker"]) == {4, 5}
    assert data.train.extra["age"].tolist() == [20, 23, 23] and data.train.extra["gender"].tolist() == [b"f", b"m", b"m"]
    assert data.validation.labels.tolist() == [3, 4, 5] and data.train.size == 700
    x = data.train.dense(range(3), steps=100, dt=14 * ms)
    assert x.shape == (100, 3, 700) and x.sum() == len(data.train.times)


def test_validation_speakers_are_drawn(shd_folder):
    drawn = [frozenset(shd(shd_folder, 2, seed=n).validation.extra["speaker"].tolist()) for n in range(8)]
    assert all(len(pair) == 2 for pair in drawn) and len(set(drawn)) > 1
    assert drawn[0] == frozenset(shd(shd_folder, 2, seed=0).validation.extra["speaker"].tolist())
    assert len(shd(shd_folder, 0).validation) == 0
    with pytest.raises(ValueError, match="^validation_speakers=3, but the training file has 3 speakers, one of whom must be left to train on$"):
        shd(shd_folder, 3)
    with pytest.raises(ValueError, match="^speaker 4 is not in the training file; it has 0, 3, 7$"):
        shd(shd_folder, [3, 4])


def test_other_files_than_shd_are_refused(shd_folder):
    digest = hashlib.sha256((shd_folder / "shd_train.h5").read_bytes()).hexdigest()
    assert len(shd(shd_folder, checksums={"shd_train.h5": f"sha256:{digest}"}).test) == 2
    with pytest.raises(ValueError, match="shd_test.h5 is not the published file: its md5 is"):
        shd(shd_folder, checksums={"shd_test.h5": "md5:00"})
    with pytest.raises(ValueError, match="names 'ssc_train.h5'; the files are shd_train.h5, shd_test.h5$"):
        shd(shd_folder, checksums={"ssc_train.h5": "md5:00"})
    write_shd(shd_folder / "shd_test.h5", [4], leave_out="extra/speaker")
    with pytest.raises(ValueError, match="has no 'extra/speaker', so it is not one of the Heidelberg files"):
        shd(shd_folder)
    (shd_folder / "shd_test.h5").write_bytes(b"not HDF5")
    with pytest.raises(ValueError, match="shd_test.h5 is not an HDF5 file$"):
        shd(shd_folder)
    (shd_folder / "shd_test.h5").unlink()
    with pytest.raises(FileNotFoundError, match="^there is no shd_test.h5 in "):
        shd(shd_folder)


# ------------------------------------------------------------------------------------------------------------------------------------------- downloads
def idx(array):
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes())


@pytest.fixture
def published(tmp_path, monkeypatch):
    """The four files, small, on a server of this process, with their checksums in the table."""
    pytest.importorskip("pooch")
    here = tmp_path / "server"
    here.mkdir()
    random = np.random.default_rng(1)
    table = {}
    for key, (name, _) in images.FASHION_FILES.items():
        array = random.integers(0, 256, (5, 28, 28) if key[0] == "x" else 5, dtype=np.uint8)
        (here / name).write_bytes(idx(array))
        table[key] = (name, f"md5:{hashlib.md5((here / name).read_bytes()).hexdigest()}")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(here)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(images, "FASHION", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setattr(images, "FASHION_FILES", table)
    yield here
    server.shutdown()
    server.server_close()


def test_fashion_is_downloaded_and_checked(published, tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    data = fashion_mnist(folder)
    assert data.x_train.shape == (5, 784) and data.x_train.dtype == np.float32 and 0 <= data.x_train.min() < data.x_train.max() <= 1
    assert data.y_test.dtype == np.int64 and sorted(p.name for p in folder.iterdir()) == sorted(name for name, _ in images.FASHION_FILES.values())
    for name, _ in images.FASHION_FILES.values():
        (published / name).write_bytes(b"changed")
    assert np.array_equal(fashion_mnist(folder).x_test, data.x_test)  # it is not downloaded again
    with pytest.raises(ValueError, match="hash"):
        fashion_mnist(tmp_path / "other")


def test_the_published_checksums_of_fashion():
    assert [checksum for _, checksum in images.FASHION_FILES.values()] == [
        "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "md5:25c81989df183df01b3e8a0aad5dffbe",
        "md5:bef4ecab320f06d8554ea6380940ec79",
        "md5:bb300cfdad3c16e7a12a480ee83cd310",
    ]


def test_fashion_from_an_archive(tmp_path, monkeypatch):
    random = np.random.default_rng(1)
    arrays = {key: random.integers(0, 10, (4, 28, 28) if key[0] == "x" else 4, dtype=np.uint8) for key in images.FASHION_FILES}
    np.savez(tmp_path / "fashion_mnist.npz", **arrays)
    with pytest.raises(ValueError, match="fashion_mnist.npz is not the published file: its sha256 is"):
        fashion_mnist(tmp_path)
    digest = hashlib.sha256((tmp_path / "fashion_mnist.npz").read_bytes()).hexdigest()
    monkeypatch.setattr(images, "FASHION_ARCHIVE", ("fashion_mnist.npz", f"sha256:{digest}"))
    monkeypatch.setenv("BRIANLIKE_DATA", str(tmp_path))
    data = fashion_mnist()
    assert np.array_equal(data.x_train * 255, arrays["x_train"].reshape(4, -1)) and np.array_equal(data.y_test, arrays["y_test"])


@pytest.mark.parametrize(
    "content, message", [(b"\0\0\x0d\x01\0\0\0\x01x", "is not an idx file of bytes"), (b"\0\0\x08\x01\0\0\0\x03x", r"has 1 values, but says .*\(3,\)")]
)
def test_damaged_idx_files_are_refused(tmp_path, content, message):
    (tmp_path / "x.gz").write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match=message):
        images.read_idx(tmp_path / "x.gz")


def test_files_that_are_not_there(monkeypatch, tmp_path):
    monkeypatch.delenv("BRIANLIKE_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="^braille.npz is needed: give the folder that holds it, or set the environment variable BRIANLIKE_DATA to it$"):
        braille()
    np.savez(tmp_path / "braille.npz", taxels=np.zeros(3))
    with pytest.raises(ValueError, match="braille.npz is not the published file"):
        braille(tmp_path)
    with pytest.raises(ValueError, match="^a checksum is 'sha256:...' or 'md5:...', not 'crc:1'$"):
        files.check(tmp_path / "braille.npz", "crc:1")


# ------------------------------------------------------------------------------------------------------------------------------------------- generated
def test_yin_yang_is_the_published_sign():
    data = yin_yang(train=6000, test=500, seed=3)
    points, labels = data.x_train[:, :2], data.y_train
    assert np.allclose(data.x_train[:, 2:], 1 - points) and np.bincount(labels) == pytest.approx([2000, 2000, 2000], rel=0.1)
    a, b = points.T - 0.5
    assert (a**2 + b**2 <= 0.25).all()
    mirrored = class_at(-a, -b)  # turned by half a circle, yin is yang; the dots are where they were
    assert np.array_equal(mirrored[labels < 2], 1 - labels[labels < 2]) and (mirrored[labels == 2] == 2).all()
    corners = {(0.25, 0.75): 0, (0.75, 0.25): 1, (0.25, 0.5): 2, (0.75, 0.5): 2, (0.25, 0.65): 0, (0.75, 0.65): 1, (0.4, 0.45): 0, (0.6, 0.55): 1}
    assert [int(class_at(x - 0.5, y - 0.5)) for x, y in corners] == list(corners.values())
    again = yin_yang(train=6000, test=500, seed=3)
    assert np.array_equal(again.x_test, data.x_test) and not np.array_equal(yin_yang(seed=4).x_test[:5], data.x_test[:5])


def class_at(a, b):
    return generated.yin_yang_class(np.stack([np.atleast_1d(a), np.atleast_1d(b)], axis=-1) + 0.5).squeeze()


def test_randman_has_its_information_in_times_only():
    data = randman(classes=4, units=30, samples=100, spikes=2, seed=5)
    assert data.x_train.shape == (320, 30, 2) and data.x_test.shape == (80, 30, 2)
    x, y = np.concatenate([data.x_train, data.x_test]), np.concatenate([data.y_train, data.y_test])
    assert x.min() == 0 and x.max() == 1 and np.bincount(y).tolist() == [100] * 4
    for label in range(4):
        assert x[y == label].min(0) == pytest.approx(0) and x[y == label].max(0) == pytest.approx(1)
    flat, test = (part.reshape(len(part), -1) for part in (data.x_train, data.x_test))
    nearest = np.linalg.norm(test[:, None] - flat, axis=-1).argmin(1)
    assert (data.y_train[nearest] == data.y_test).mean() > 0.95  # classes are curves that lie apart


def test_smoother_manifolds_wiggle_less():
    def length(smoothness):
        points = generated._manifold(np.linspace(0, 1, 400)[:, None], 20, smoothness, np.random.default_rng(1))
        return np.abs(np.diff(points, axis=0)).sum(0).mean()

    assert 1 < length(3.0) < 0.7 * length(1.5)


def test_split_holds_out_a_random_part():
    parts = split(np.arange(50), np.arange(50), seed=1, test_fraction=0.3)
    assert len(parts.x_test) == 15 and sorted([*parts.x_train, *parts.x_test]) == list(range(50)) and np.array_equal(parts.x_test, parts.y_test)


# -------------------------------------------------------------------------------------------------------------------------------------------- encoders
def test_latency_is_the_time_to_threshold():
    spikes = encoders.latency(np.array([[1.0, 0.25, 0.2, 0.0]]), 100, 20 * ms)
    assert spikes[:, 0].sum(0).tolist() == [1, 1, 0, 0]
    assert spikes[:, 0, 0].argmax() == int(20 * np.log(1 / 0.8)) and spikes[:, 0, 1].argmax() == int(20 * np.log(0.25 / 0.05))


def test_at_times():
    spikes = encoders.at_times(np.array([[[0.0, 2.5], [np.inf, 9.0]]]) * ms, 5)
    assert np.argwhere(spikes).tolist() == [[0, 0, 0], [2, 0, 0]]
    with pytest.raises(DimensionMismatchError, match="times must be a time"):
        encoders.at_times(np.array([[1.0]]), 5)
    with pytest.raises(ValueError, match="^spike times must not be negative, but one is -0.001 s$"):
        encoders.at_times(np.array([[-1.0]]) * ms, 5)


def test_poisson_rates():
    rates = np.array([[0.0, 20.0, 1000.0]])
    spikes = encoders.poisson(np.repeat(rates, 50, axis=0) * Hz, 400, seed=1)
    assert spikes.shape == (400, 50, 3) and spikes.mean((0, 1)) == pytest.approx([0, 0.02, 1], rel=0.06)
    assert np.array_equal(spikes, encoders.poisson(np.repeat(rates, 50, axis=0) * Hz, 400, seed=1))
    changing = encoders.poisson(np.stack([0 * rates, 0 * rates + 1000]) * Hz, 2, seed=np.random.default_rng(2))
    assert changing.sum((1, 2)).tolist() == [0, 3]
    with pytest.raises(ValueError, match="^rates must be between 0 and 1/dt = 1000 Hz$"):
        encoders.poisson([[2000.0]] * Hz, 3)
    with pytest.raises(DimensionMismatchError, match="rates must be in hertz"):
        encoders.poisson(np.array([[20.0]]), 3)
    with pytest.raises(ValueError, match="^rates are given for 2 steps, not 3$"):
        encoders.poisson(np.zeros((2, 1, 1)) * Hz, 3)


def test_level_crossing_can_be_undone():
    t = np.linspace(0, 1, 400)
    signal = np.stack([np.sin(9 * t), t**2, 0 * t], axis=-1)[:, None]
    events = encoders.level_crossing(signal, 0.05)
    assert events.shape == (400, 1, 6) and set(np.unique(events)) == {0, 1}
    back = signal[0] + 0.05 * np.cumsum(events[..., :3] - events[..., 3:], axis=0)
    assert np.abs(back - signal).max() < 0.05 + 1e-9 and events[..., [2, 5]].sum() == 0
    jump = np.array([[0.0], [1.0], [1.0]])
    assert encoders.level_crossing(jump, 0.3, graded=True)[:, 0].tolist() == [0, 3, 0]
    with pytest.raises(ValueError, match="^a level must have a height above 0, not 0$"):
        encoders.level_crossing(jump, 0)


def test_hold():
    held = encoders.hold(np.arange(12.0).reshape(2, 3, 2), steps=4, copies=3)
    assert held.shape == (12, 2, 6) and held[:, 1, 0].tolist() == [6] * 4 + [8] * 4 + [10] * 4 and held[0, 0].tolist() == [0, 0, 0, 1, 1, 1]
