"""Sets that come with the package or with scikit-learn; and Fashion-MNIST in full."""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from reswork.datasets.conversion import assembled
from reswork.datasets.dataset import Dataset, Split
from reswork.datasets.downloads import by_hand, fetch
from reswork.datasets.idx import idx_array
from reswork.datasets.places import data_root, embedded

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
FASHION_FILES = tuple(
    f"{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1")
)
DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")


def digits(seed: int = 0) -> Dataset:
    """Handwritten digits of 8x8 pixels from scikit-learn: a network learns them in seconds.

    Args:
        seed: of the choice of the 500 test images.

    Returns:
        1,297 + 500 grey images of ten classes.
    """
    table = _digits_table()  # (N, 65), pixels from 0 to 16, then the digit
    pixels = table[:, :-1].reshape(-1, 1, 8, 8)
    images = torch.from_numpy(np.round(pixels * (255 / 16)).astype(np.uint8))  # (N, 1, 8, 8)
    labels = torch.from_numpy(table[:, -1].astype(np.int64))
    order = torch.from_numpy(np.random.RandomState(seed).permutation(len(labels)))
    train, test = (Split(images[part], labels[part]) for part in (order[:-500], order[-500:]))
    source = "Handwritten digits of the UCI repository (Alpaydin and Kaynak 1998), as scikit-learn has them"
    return assembled("digits", train, test, [str(number) for number in range(10)], source)


def _digits_table() -> NDArray[np.float64]:
    """What scikit-learn's `load_digits` reads; from its file, as importing scikit-learn takes a second."""
    spec = find_spec("sklearn")
    file = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz" if spec and spec.origin else None
    if file is not None and file.is_file():
        return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    found = load_digits()
    return np.column_stack([found.data, found.target])


def fashion(full: bool = False, root: str | os.PathLike[str] | None = None) -> Dataset:
    """Pictures of clothes, 28x28 grey: the set that is always there.

    Args:
        full: all 60,000 + 10,000 images, from files under `root`, from Debian's package
            ``dataset-fashion-mnist``, or downloaded to `root`; otherwise the 10,000 + 2,000 of reswork.
        root: folder of downloads; by default ``RESWORK_DATA`` or ``./data``.

    Raises:
        FileNotFoundError: the full set is not here and could not be downloaded; says where to put it by hand.

    Reference:
        arXiv:1708.07747; MIT licence, Zalando SE.
    """
    if not full:
        folder = embedded("fashion")
        return _fashion(folder, "fashion", "10,000 + 2,000 images of Fashion-MNIST (MIT licence, Zalando SE)")
    folder = _full_fashion_folder(data_root(root))
    return _fashion(folder, "fashion-full", f"Fashion-MNIST (MIT licence, Zalando SE), from {folder}")


def _fashion(folder: Path, name: str, source: str) -> Dataset:
    arrays = [torch.from_numpy(idx_array(_plain_or_packed(folder, file)).copy()) for file in FASHION_FILES]
    train, test = (Split(arrays[i].unsqueeze(1), arrays[i + 1].long()) for i in (0, 2))
    return assembled(name, train, test, FASHION_CLASSES, source)


def _plain_or_packed(folder: Path, file: str) -> Path:
    packed = folder / f"{file}.gz"
    return packed if packed.exists() else folder / file


def _full_fashion_folder(root: Path) -> Path:
    """Where all four files are, under `root` as torchvision has them or in Debian's folder; may download."""
    own = root / "FashionMNIST" / "raw"
    for folder in (own, DEBIAN_FASHION):
        if all(_plain_or_packed(folder, file).exists() for file in FASHION_FILES):
            return folder
    from torchvision.datasets import FashionMNIST

    try:
        for file, md5 in FashionMNIST.resources:
            fetch([mirror + file for mirror in FashionMNIST.mirrors], own / file, md5)
    except OSError as error:
        raise by_hand(
            "Fashion-MNIST", error, f"{', '.join(f'{file}.gz' for file in FASHION_FILES)}", own
        ) from error
    return own
