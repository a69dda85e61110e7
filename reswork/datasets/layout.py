"""Which file belongs to which class and split, from the names alone."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from reswork.datasets.beside import set_apart
from reswork.datasets.dataset import Skipped
from reswork.datasets.decoding import EXTENSIONS
from reswork.datasets.files import readable
from reswork.datasets.folder_words import FILLERS, belong_together, is_image_folder, role_of, words_of
from reswork.errors import InvalidSetting

ACCEPTED = "train/<class>/... and test/<class>/..., or only <class>/..."
Splits = Mapping[str, str | Sequence[str]]


@dataclass
class Layout:
    """Files by split and class.

    Args:
        train: names and their classes.
        test: the same; empty where a part of `train` shall be split off.
        classes: every class that has a folder, sorted.
        skipped: files that belong to no class or are no images.
        notes: sentences about what was understood where it is not obvious, and about what was not used.
    """

    train: list[tuple[str, str]] = field(default_factory=list)
    test: list[tuple[str, str]] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        tested = f"{len(self.test):,} to test" if self.test else "none to test, so that a part is split off"
        counts = Counter(label for _, label in self.train)
        classes = ", ".join(f"{readable(label)} {counts[label]:,}" for label in self.classes[:20])
        more = f" and {len(self.classes) - 20:,} more" if len(self.classes) > 20 else ""
        lines = [
            f"{len(self.train):,} images to train on, {tested}.",
            f"{len(self.classes)} classes, with their images to train on: {classes}{more}.",
            *self.notes,
        ]
        if self.skipped:
            lines.append(f"Not used are {len(self.skipped):,} more files, such as {self.skipped[0]}.")
        return "\n".join(lines)


class _Tree:
    """The folders that images lie in; a folder has a slash behind it, the outermost is empty."""

    def __init__(self, images: Iterable[str]) -> None:
        self._inner: dict[str, set[str]] = {}
        self._direct: set[str] = set()
        for folder in {name.rpartition("/")[0] for name in images}:
            way = folder.split("/") if folder else []
            self._direct.add(f"{folder}/" if folder else "")
            for depth, part in enumerate(way):
                self._inner.setdefault("".join(f"{each}/" for each in way[:depth]), set()).add(part)

    def folders(self, base: str) -> list[str]:
        """Folders directly in `base` with images at any depth."""
        return sorted(self._inner.get(base, ()))

    def has_direct(self, base: str) -> bool:
        """Whether images lie directly in a folder."""
        return base in self._direct


@dataclass(frozen=True)
class _Plan:
    """Where the splits are: folders with a slash behind them, and whether they are inside of the classes instead."""

    train: tuple[str, ...]
    test: tuple[str, ...] = ()
    inside: Mapping[str, str] = field(default_factory=dict)  # folder inside of a class: split


def layout_of(
    names: Sequence[str],
    folders: Iterable[str] = (),
    splits: Splits | None = None,
    classes: Sequence[str] | None = None,
) -> Layout:
    """The layout of a folder or an archive.

    Args:
        names: of all files, relative, with slashes.
        folders: of all folders, so that an empty class is known.
        splits: the folders of ``train`` and, if there is one, ``test``; None finds them.
        classes: names of the folders that are classes, at any depth; None takes the first folder on the way.

    Raises:
        InvalidSetting: no images, no class folders, one class only, or folders that can be understood in two ways.
    """
    images = [name for name in names if is_image(name)]
    if not images:
        raise InvalidSetting(
            "path",
            f"no images are there ({kinds_in_words(names)}); "
            f"read are {' '.join(sorted(EXTENSIONS))}, as {ACCEPTED}",
        )
    layout = Layout()
    images, layout.notes = set_apart(images)
    tables = [name for name in names if name.lower().endswith((".csv", ".tsv"))]
    plan = (
        _told(images, splits)
        if splits is not None
        else _found(images, layout, classes, (tables or ["labels.csv"])[0])
    )
    left = set(images)
    kept = [name for name in names if name in left or not is_image(name)]
    for split, roots in (("train", plan.train), ("test", plan.test)):
        for root in roots:
            _assign(getattr(layout, split), layout, root, kept, folders, classes)
    if plan.inside:
        _share_out(layout, plan)
    layout.classes.sort()
    if not plan.inside and classes is None:
        _note_inner_folders(layout, plan)
    if len({label for _, label in layout.train}) < 2:
        raise InvalidSetting(
            "path", f"there is one class only ({layout.train[0][1] if layout.train else 'empty'!r}); telling "
            f"classes apart needs at least two folders with images: {' '.join([ACCEPTED, *layout.notes])}"
            + "".join(f"; or a table: rw.datasets.folder(path, labels={table!r})" for table in tables[:1]),
        )  # fmt: skip
    return layout


def _told(images: Sequence[str], splits: Splits) -> _Plan:
    """The plan that somebody gave."""
    if "train" not in splits or not set(splits) <= {"train", "test"}:
        raise InvalidSetting(
            "splits", f"splits={dict(splits)!r}: give folders as {{'train': ..., 'test': ...}}"
        )
    roots: dict[str, tuple[str, ...]] = {"train": (), "test": ()}
    for split, given in splits.items():
        for folder in [given] if isinstance(given, str) else given:
            root = folder.replace("\\", "/").strip("/") + "/"
            root = "" if root in ("/", "./") else root.removeprefix("./")
            if not any(name.startswith(root) for name in images):
                tree = _Tree(images)
                known = ", ".join(tree.folders("")[:10])
                raise InvalidSetting(
                    "splits", f"no images are in {folder!r}; folders with images are {known}"
                )
            roots[split] = (*roots[split], root)
    return _Plan(roots["train"], roots["test"])


def _found(images: Sequence[str], layout: Layout, classes: Sequence[str] | None, table: str) -> _Plan:
    """The plan that the names of the folders tell."""
    tree = _Tree(images)
    base = _opened(tree, "", ())
    inner = [name for name in images if name.startswith(base)]
    tops = tree.folders(base)
    if not tops:
        raise InvalidSetting(
            "path", f"{len(inner):,} images lie side by side without class folders; put those of each class "
            f"into a folder of its own: {' '.join([ACCEPTED, *layout.notes])}; or give a table of files and classes: "
            f"rw.datasets.folder(path, labels={readable(table)!r})",
        )  # fmt: skip
    train, test = _split_folders(tree, base, tops)
    if train:
        for top in tops:
            if top not in (train, test):
                count = sum(name.startswith(f"{base}{top}/") for name in inner)
                reason = "" if test else ", which have no class folders,"
                layout.notes.append(f"The {count:,} images in {top}/{reason} were not used.")
        root = _opened(tree, f"{base}{train}/", ())
        known = tree.folders(root)
        return _Plan((root,), (_opened(tree, f"{base}{test}/", known),) if test else ())
    if classes is not None:
        return _Plan((base,))
    inside = _splits_inside(tree, base, tops)
    if not inside:
        _check_one_meaning(tree, base, tops)
    return _Plan((base,), inside=inside)


def _assign(
    chosen: list[tuple[str, str]],
    layout: Layout,
    root: str,
    names: Sequence[str],
    folders: Iterable[str],
    given: Sequence[str] | None,
) -> None:
    """Give each image below `root` the class of the first folder on its way, or the first of those that are given."""
    classes = set(layout.classes)
    wanted = None if given is None else {unicodedata.normalize("NFC", label) for label in given}
    for name in names:
        if not name.startswith(root):
            continue
        way = [unicodedata.normalize("NFC", part) for part in name[len(root) :].split("/")[:-1]]
        if not is_image(name):
            if way:
                layout.skipped.append(Skipped(name, "not an image of a known kind"))
            continue
        label = next((part for part in way if wanted is None or part in wanted), None)
        if label is not None:
            chosen.append((name, label))
            classes.add(label)
        else:
            where = "outside of the class folders" if wanted is None else "in no folder of the given classes"
            layout.skipped.append(Skipped(name, f"lies {where}"))
    if wanted is None:
        classes.update(
            unicodedata.normalize("NFC", folder[len(root) :])
            for folder in folders
            if folder.startswith(root) and "/" not in folder[len(root) :]
        )
    layout.classes = list(classes | (wanted or set()))


def _share_out(layout: Layout, plan: _Plan) -> None:
    """Splits that lie inside of the class folders."""
    (root,) = plan.train
    everything, layout.train = layout.train, []
    unused: Counter[str] = Counter()
    for name, label in everything:
        folder = name[len(root) :].split("/")[1]
        split = plan.inside.get(folder)
        if split:
            (layout.train if split == "train" else layout.test).append((name, label))
        else:
            unused[folder] += 1
    named = {
        split: ", ".join(sorted(f for f, s in plan.inside.items() if s == split))
        for split in ("train", "test")
    }
    layout.notes.append(
        f"The class folders hold the splits: {named['train']}/ to train on, {named['test']}/ to test."
    )
    layout.notes += [
        f"The {count:,} images in <class>/{folder}/ were not used." for folder, count in unused.items()
    ]


def _splits_inside(tree: _Tree, base: str, tops: Sequence[str]) -> dict[str, str]:
    """Of folders inside of every class the split, where there are no others; else nothing."""
    if len(tops) < 2 or any(tree.has_direct(f"{base}{top}/") for top in tops):
        return {}
    indices = [(top, folder) for top in tops for folder in tree.folders(f"{base}{top}/")]
    roles = {folder: role_of(folder) for _, folder in indices}
    if not all(roles.values()) or "train" not in roles.values() or len(set(roles.values())) < 2:
        return {}
    tested = "test" if "test" in roles.values() else "val"
    found = {
        folder: "train" if role == "train" else "test"
        for folder, role in roles.items()
        if role in ("train", tested)
    }
    if any(len(tree.folders(f"{base}{top}/{folder}/")) > 1 for top, folder in indices):
        told = {
            split: [f"{base}{top}/{folder}" for top, folder in indices if found.get(folder) == split]
            for split in ("train", "test")
        }
        raise InvalidSetting(
            "path", f"several folders ({', '.join(map(readable, tops[:4]))}) hold splits with classes in them; say "
            f"which to use: rw.datasets.folder(path, splits={told!r})",
        )  # fmt: skip
    return found


def _check_one_meaning(tree: _Tree, base: str, tops: Sequence[str]) -> None:
    """Refuse folders that hold the same folders again: either may be the classes."""
    inner = {
        top: {each for each in tree.folders(f"{base}{top}/") if not is_image_folder(each)}
        for top in tops
        if not tree.has_direct(f"{base}{top}/")
    }
    often = Counter(folder for folders in inner.values() for folder in folders)
    shared = sorted(folder for folder, count in often.items() if count > 1)
    if len(shared) < 2 or 2 * len(shared) < len(often):
        return
    above = [readable(top) for top, folders in inner.items() if folders & set(shared)]
    above.sort(key=lambda top: role_of(top) != "train")
    inside = ", ".join(repr(readable(each)) for each in shared[:3]) + (", ..." if len(shared) > 3 else "")
    raise InvalidSetting(
        "path", f"the folders {', '.join(above[:4])}{' ...' if len(above) > 4 else ''} hold folders of the same names "
        f"({inside}), so that either may be the classes: say which with rw.datasets.folder(path, classes=[{inside}]), "
        f"or with splits={{'train': {(base + above[0])!r}, 'test': {(base + above[-1])!r}}}, or with classes="
        f"[{', '.join(map(repr, above[:2]))}{', ...' if len(above) > 2 else ''}]",
    )  # fmt: skip


def _note_inner_folders(layout: Layout, plan: _Plan) -> None:
    """Say it where class folders hold nothing but further folders, which are no classes."""
    direct: set[str] = set()
    inner: dict[str, set[str]] = {}
    for name, label in layout.train:
        root = next(root for root in plan.train if name.startswith(root))
        way = name[len(root) :].split("/")
        if len(way) == 2:
            direct.add(label)
        else:
            inner.setdefault(label, set()).add(way[1])
    found = sorted(
        {each for label, names in inner.items() if label not in direct and len(names) > 1 for each in names}
    )
    if found:
        named = ", ".join(map(readable, found[:4])) + (" ..." if len(found) > 4 else "")
        layout.notes.append(
            f"Folders inside of the class folders ({named}) are no classes of their own; classes=[...] says otherwise."
        )


def _opened(tree: _Tree, base: str, known: Sequence[str]) -> str:
    """The folder that holds the splits or classes: single folders around them are opened, but none of a known name."""
    while True:
        tops = tree.folders(base)
        if tree.has_direct(base) or len(tops) != 1 or tops[0] in known:
            return base
        deeper = f"{base}{tops[0]}/"
        if not tree.folders(deeper):
            return base  # one folder with images in it: a class
        base = deeper


def _split_folders(tree: _Tree, base: str, tops: Sequence[str]) -> tuple[str, str]:
    """The folders of the training and the test split; empty where there is none."""
    roles = {top: role_of(top) for top in tops}
    trains = sorted((top for top in tops if roles[top] == "train"), key=len)
    rest = [top for top in tops if roles[top] in ("test", "val")]
    if not trains and rest:
        trains = _unnamed_train(tree, base, [top for top in tops if top not in rest])
    for train in trains:
        others = [top for top in rest if belong_together(train, top) or roles[train] is None]
        if not tree.folders(f"{base}{train}/"):
            _refuse_flat(tree, base, train, others)
            continue
        others.sort(key=lambda top: (roles[top] != "test", len(top)))
        test = next((other for other in others if tree.folders(f"{base}{other}/")), "")
        if test or all(top == train or top in others for top in tops):
            return train, test
    return "", ""


def _unnamed_train(tree: _Tree, base: str, others: Sequence[str]) -> list[str]:
    """The folder of classes beside a test split, called images, data or alike."""
    fitting = [top for top in others if words_of(top) and all(word in FILLERS for word in words_of(top))]
    fitting = [top for top in fitting if len(tree.folders(f"{base}{top}/")) > 1]
    return fitting if len(fitting) == len(others) == 1 else []


def _refuse_flat(tree: _Tree, base: str, train: str, others: Sequence[str]) -> None:
    """Refuse two splits without class folders: they are no classes."""
    flat = [top for top in others if tree.has_direct(f"{base}{top}/")]
    if flat:
        raise InvalidSetting(
            "path", f"{readable(train)} and {readable(flat[0])} are splits whose images lie side by side without class "
            f"folders; put those of each class into a folder of its own: {ACCEPTED}",
        )  # fmt: skip


def is_image(name: str) -> bool:
    """Whether its ending is that of an image."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def kinds_in_words(names: Sequence[str]) -> str:
    """What is there instead of images."""
    kinds = Counter(PurePosixPath(name).suffix.lower() or "no ending" for name in names).most_common(4)
    return ", ".join(f"{count:,} files with {kind}" for kind, count in kinds) or "no files at all"
