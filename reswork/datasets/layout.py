"""Which file belongs to which class and split, from the names alone."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from reswork.datasets.dataset import Skipped
from reswork.datasets.decoding import EXTENSIONS
from reswork.errors import InvalidSetting

TRAIN = ("train", "training")
TEST = ("test", "testing", "val", "valid", "validation")
ACCEPTED = "train/<class>/... and test/<class>/..., or only <class>/..."


@dataclass
class Layout:
    """Files by split and class.

    Args:
        train: names and their classes.
        test: the same; empty where a part of `train` shall be split off.
        classes: every class that has a folder, sorted.
        skipped: files that belong to no class or are no images.
        notes: sentences about what was not used.
    """

    train: list[tuple[str, str]] = field(default_factory=list)
    test: list[tuple[str, str]] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def layout_of(names: Sequence[str], folders: Iterable[str] = ()) -> Layout:
    """The layout of a folder or an archive.

    Args:
        names: of all files, relative, with slashes.
        folders: of all folders, so that an empty class is known.

    Raises:
        InvalidSetting: no images, no class folders, or one class only.
    """
    images = [name for name in names if is_image(name)]
    if not images:
        raise InvalidSetting("path", f"no images are there ({kinds_in_words(names)}); {_advice()}")
    base = _base(images)
    inner = [name for name in images if name.startswith(base)]
    tops = _folders_with_images(inner, base)
    if not tops:
        raise InvalidSetting(
            "path", f"{len(inner):,} images lie side by side without class folders; put those of each class "
            f"into a folder of its own: {ACCEPTED}",
        )  # fmt: skip
    layout = Layout()
    train, test = _split_folders(inner, base, tops)
    if train:
        _note_unused(layout, inner, base, [each for each in tops if each not in (train, test)], bool(test))
        roots = {"train": f"{base}{train}/", "test": f"{base}{test}/" if test else None}
    else:
        roots = {"train": base, "test": None}
    for split, root in roots.items():
        if root is not None:
            _assign(getattr(layout, split), layout, root, names, folders)
    layout.classes.sort()
    if len({label for _, label in layout.train}) < 2:
        raise InvalidSetting(
            "path", f"there is one class only ({layout.train[0][1] if layout.train else 'empty'!r}); telling "
            f"classes apart needs at least two folders with images: {ACCEPTED}",
        )  # fmt: skip
    return layout


def _assign(
    chosen: list[tuple[str, str]], layout: Layout, root: str, names: Sequence[str], folders: Iterable[str]
) -> None:
    """Give each image below `root` the class of the first folder on its way."""
    classes = set(layout.classes)
    for name in names:
        if not name.startswith(root):
            continue
        way = name[len(root) :].split("/")
        if len(way) == 1:
            if is_image(name):
                layout.skipped.append(Skipped(name, "lies outside of the class folders"))
        elif is_image(name):
            chosen.append((name, way[0]))
            classes.add(way[0])
        else:
            layout.skipped.append(Skipped(name, "not an image of a known kind"))
    classes.update(
        folder[len(root) :]
        for folder in folders
        if folder.startswith(root) and "/" not in folder[len(root) :]
    )
    layout.classes = list(classes)


def _base(images: Sequence[str]) -> str:
    """The folder that holds the splits or the classes: single folders around them are opened."""
    base = ""
    while True:
        tops = _folders_with_images(images, base)
        direct = any("/" not in name[len(base) :] for name in images if name.startswith(base))
        if direct or len(tops) != 1:
            return base
        deeper = f"{base}{tops[0]}/"
        if not _folders_with_images(images, deeper):
            return base  # one folder with images in it: a class
        base = deeper


def _folders_with_images(images: Iterable[str], base: str) -> list[str]:
    """Folders directly in `base` with images at any depth."""
    found = {
        name[len(base) :].split("/", 1)[0]
        for name in images
        if name.startswith(base) and "/" in name[len(base) :]
    }
    return sorted(found)


def _split_folders(images: Sequence[str], base: str, tops: Sequence[str]) -> tuple[str, str]:
    """The folders of the training and the test split; empty where there is none."""
    by_name = {top.lower(): top for top in tops}
    train = next((by_name[name] for name in TRAIN if name in by_name), "")
    if not train or not _folders_with_images(images, f"{base}{train}/"):
        return "", ""
    others = [by_name[name] for name in TEST if name in by_name]
    test = next((other for other in others if _folders_with_images(images, f"{base}{other}/")), "")
    only_splits = all(top == train or top in others for top in tops)
    return (train, test) if test or only_splits else ("", "")


def _note_unused(
    layout: Layout, images: Sequence[str], base: str, unused: Sequence[str], has_test: bool
) -> None:
    for top in unused:
        count = sum(name.startswith(f"{base}{top}/") for name in images)
        reason = "" if has_test else ", which have no class folders,"
        layout.notes.append(f"The {count:,} images in {top}/{reason} were not used.")


def is_image(name: str) -> bool:
    """Whether its ending is that of an image."""
    return PurePosixPath(name).suffix.lower() in EXTENSIONS


def kinds_in_words(names: Sequence[str]) -> str:
    """What is there instead of images."""
    kinds = Counter(PurePosixPath(name).suffix.lower() or "no ending" for name in names).most_common(4)
    return ", ".join(f"{count:,} files with {kind}" for kind, count in kinds) or "no files at all"


def _advice() -> str:
    return f"read are {' '.join(sorted(EXTENSIONS))}, as {ACCEPTED}"
