"""Pictures: handwritten digits and pieces of clothing."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np

from .files import Split, check, downloaded_file, given_folder, split

FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FASHION_FILES = {  # the checksums that its authors publish
    "x_train": ("train-images-idx3-ubyte.gz", "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
    "y_train": ("train-labels-idx1-ubyte.gz", "md5:25c81989df183df01b3e8a0aad5dffbe"),
    "x_test": ("t10k-images-idx3-ubyte.gz", "md5:bef4ecab320f06d8554ea6380940ec79"),
    "y_test": ("t10k-labels-idx1-ubyte.gz", "md5:bb300cfdad3c16e7a12a480ee83cd310"),
}
FASHION_ARCHIVE = ("fashion_mnist.npz", "sha256:8af3abb9d39e36f9db73e2ec57f95f11cbf49ac9995b070d8714647498573fa7")


def digits(seed: int = 0) -> Split:
    """The 1797 handwritten digits that scikit-learn ships (8 x 8 pixels from 0 to 1), a random fifth of them for testing.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository (1998).

    Examples
    --------
    >>> from brianlike.datasets import digits
    >>> digits().x_train.shape
    (1438, 64)
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("the digits come with scikit-learn: pip install 'brianlike[demo]'") from error
    images, labels = load_digits(return_X_y=True)
    return split(images / 16.0, labels.astype(np.int64), seed)


def fashion_mnist(folder: str | os.PathLike[str] | None = None) -> Split:
    """70,000 pictures of clothing in 10 classes: 60,000 to train on and 10,000 to test, `x` of shape (samples, 784), float32 from 0 to 1.

    Parameters
    ----------
    folder : path, optional
        Where `fashion_mnist.npz` or the four published files are; the environment variable BRIANLIKE_DATA by default. Without the archive the published
        files are downloaded there (or into the user's cache) by pooch, 31 MB in all.

    Raises
    ------
    ValueError
        If a file is not the published one (by its checksum).

    Notes
    -----
    Data: H. Xiao, K. Rasul and R. Vollgraf (2017), Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms, arXiv:1708.07747;
    MIT licence. The archive holds the same pictures in another order.

    Examples
    --------
    >>> from brianlike.datasets import fashion_mnist
    >>> data = fashion_mnist()  # doctest: +SKIP
    >>> data.x_train.shape, data.x_test.shape  # doctest: +SKIP
    ((60000, 784), (10000, 784))
    """
    name, checksum = FASHION_ARCHIVE
    archive = (given_folder(folder) or Path()) / name
    if archive.is_file():
        check(archive, checksum)
        with np.load(archive, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in FASHION_FILES}
    else:
        arrays = {key: read_idx(downloaded_file(name, FASHION, checksum, folder)) for key, (name, checksum) in FASHION_FILES.items()}
    x_train, x_test = ((arrays[key].reshape(len(arrays[key]), -1) / np.float32(255)).astype(np.float32) for key in ("x_train", "x_test"))
    return Split(x_train, arrays["y_train"].astype(np.int64), x_test, arrays["y_test"].astype(np.int64))


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The array of bytes in a gzipped idx file, the format in which MNIST was published."""
    with gzip.open(path, "rb") as file:
        content = file.read()
    zeros, kind, dimensions = int.from_bytes(content[:2], "big"), content[2], content[3]
    if zeros != 0 or kind != 8:
        raise ValueError(f"{path} is not an idx file of bytes: it begins with {content[:4].hex()}")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", dimensions, 4))
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions)
    if len(values) != np.prod(shape):
        raise ValueError(f"{path} has {len(values)} values, but says that its shape is {shape}")
    return values.reshape(shape)
