"""CIFAR-10 and CIFAR-100: the paper's own task, downloaded once or placed by hand."""

import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reswork.datasets.conversion import assembled
from reswork.datasets.dataset import Dataset, Split
from reswork.datasets.downloads import by_hand, fetch
from reswork.datasets.places import data_root

MOST_BYTES = 512 * 1024**2  # of one file
# All that the published files need; anything else in a pickle is refused.
HARMLESS = {
    (module, name)
    for module, name in (
        ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"),
        ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
    )
}  # fmt: skip


def cifar10(root: str | os.PathLike[str] | None = None) -> Dataset:
    """60,000 photographs of 32x32 pixels in ten classes: what the paper's section 4.2 trains on.

    Args:
        root: where ``cifar-10-python.tar.gz`` or the folder ``cifar-10-batches-py`` lies, or is downloaded to
            (163 MiB); by default ``RESWORK_DATA`` or ``./data``.

    Returns:
        50,000 + 10,000 colour images.

    Raises:
        FileNotFoundError: it is not here and could not be downloaded; says where to put it by hand.
        ValueError: the files are damaged.

    Reference:
        Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images.
    """
    from torchvision.datasets import CIFAR10

    return _cifar("cifar10", CIFAR10, "batches.meta", "label_names", b"labels", root)


def cifar100(root: str | os.PathLike[str] | None = None) -> Dataset:
    """60,000 photographs of 32x32 pixels in a hundred classes; all else is as in `cifar10`.

    Args:
        root: where ``cifar-100-python.tar.gz`` or the folder ``cifar-100-python`` lies, or is downloaded to
            (161 MiB).

    Returns:
        50,000 + 10,000 colour images.
    """
    from torchvision.datasets import CIFAR100

    return _cifar("cifar100", CIFAR100, "meta", "fine_label_names", b"fine_labels", root)


def _cifar(
    name: str,
    published: Any,
    meta: str,
    names_key: str,
    labels_key: bytes,
    root: str | os.PathLike[str] | None,
) -> Dataset:
    place = data_root(root)
    read = _reader(place, published)
    train = _split(read, [file for file, _ in published.train_list], labels_key)
    test = _split(read, [file for file, _ in published.test_list], labels_key)
    classes = [
        word.decode() if isinstance(word, bytes) else str(word) for word in read(meta)[names_key.encode()]
    ]
    notes = (
        [] if (len(train), len(test)) == (50_000, 10_000) else ["These are not all of the published images."]
    )
    source = f"{published.__name__} (Krizhevsky 2009), from {place}"
    return assembled(name, train, test, classes, source, notes=notes)


def _split(read: Callable[[str], dict[bytes, Any]], files: list[str], labels_key: bytes) -> Split:
    batches = [read(file) for file in files]
    try:
        images = np.concatenate([np.asarray(batch[b"data"], np.uint8) for batch in batches]).reshape(
            -1, 3, 32, 32
        )
        labels = np.concatenate([np.asarray(batch[labels_key], np.int64) for batch in batches])
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"the files {', '.join(files)} are not CIFAR's ({error}): put the originals there"
        ) from error
    return Split(torch.from_numpy(images), torch.from_numpy(labels))


def _reader(place: Path, published: Any) -> Callable[[str], dict[bytes, Any]]:
    """What reads one of the published files, from the extracted folder or straight from the archive."""
    extracted, archive = place / published.base_folder, place / published.filename
    needed = [file for file, _ in (*published.train_list, *published.test_list)]
    if all((extracted / file).is_file() for file in needed):
        return lambda file: _unpickled((extracted / file).read_bytes(), extracted / file)
    try:
        fetch([published.url], archive, published.tgz_md5)
    except OSError as error:
        files = f"{published.filename} (or the folder {published.base_folder} from it)"
        raise by_hand(published.__name__, error, files, place) from error
    members = _members(archive, published.base_folder)
    return lambda file: _unpickled(members.get(file, b""), archive / file)


def _members(archive: Path, folder: str) -> dict[str, bytes]:
    """The archive's files, in memory: nothing is written, whatever their names."""
    found = {}
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                if member.isfile() and Path(member.name).parent.name == folder and member.size <= MOST_BYTES:
                    content = tar.extractfile(member)
                    found[Path(member.name).name] = content.read() if content else b""
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(f"{archive} is damaged ({error}): remove it, then it is fetched anew") from error
    return found


class _HarmlessUnpickler(pickle.Unpickler):
    """Reads arrays, lists and words; CIFAR is published as pickles, which could otherwise run anything."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in HARMLESS:
            raise pickle.UnpicklingError(f"it wants to use {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _unpickled(data: bytes, where: Path) -> dict[bytes, Any]:
    try:
        found = _HarmlessUnpickler(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError(f"{where} is damaged or not CIFAR's ({error}): put the original there") from error
    if not isinstance(found, dict):
        raise ValueError(f"{where} is not one of CIFAR's files: put the original there")
    return {key if isinstance(key, bytes) else str(key).encode(): value for key, value in found.items()}
