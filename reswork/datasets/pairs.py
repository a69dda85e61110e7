"""Which mask belongs to which image and which split, from the names alone."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from reswork.datasets.dataset import Skipped
from reswork.datasets.files import readable
from reswork.datasets.folder_words import IMAGE_FOLDERS, MASK_FOLDERS, role_of, without_mask_ending
from reswork.datasets.layout import is_image, kinds_in_words
from reswork.errors import InvalidSetting

Pair = tuple[str, tuple[str, ...]]  # the file of an image and that of its mask, or those of its objects
_NUMBER = re.compile(r"[ _.-]+\d+$")


@dataclass
class Pairs:
    """Files of images with the files of their masks.

    Args:
        train: image and mask, or the masks of its objects.
        test: the same; empty where a part of `train` shall be split off.
        skipped: images without mask and masks without image.
        notes: sentences about what was understood and what was not used.
    """

    train: list[Pair] = field(default_factory=list)
    test: list[Pair] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def separated(names: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Images and masks of one folder, told apart by a folder on their way; each by its name without that folder."""
    images: dict[str, str] = {}
    masks: dict[str, str] = {}
    for name in names:
        way = name.split("/")
        for index, part in enumerate(way[:-1]):
            side = (
                images if part.lower() in IMAGE_FOLDERS else masks if part.lower() in MASK_FOLDERS else None
            )
            if side is not None:
                side["/".join(way[:index] + way[index + 1 :])] = name
                break
    return images, masks


def pairs_of(
    images: Mapping[str, str], masks: Mapping[str, str], suffix: str | None = None, *, several: bool = False
) -> Pairs:
    """Masks matched to images by their names without ending.

    The way through folders counts as far as both have it: ``train/a/1.jpg`` has the mask ``train/a/1.png``, else
    ``a/1.png``, else ``1.png`` where there is one such only.

    Args:
        images: name of each file by its name relative to the images' folder.
        masks: the same of masks.
        suffix: what a mask's name has behind the image's, such as ``_mask``; None finds it.
        several: an image may have a mask for each object: ``1/a.png`` and ``1/b.png``, ``1_0.png`` and ``1_1.png``, or
            all masks beside the only image of a folder.

    Raises:
        InvalidSetting: no images, no masks, or no names in common.
    """
    for kind, found in (("images", images), ("masks", masks)):
        if not any(is_image(name) for name in found):
            raise InvalidSetting(kind, f"no image files are there for {kind} ({kinds_in_words(list(found))})")
    image_names = [name for name in images if is_image(name)]
    mask_names = [name for name in masks if is_image(name)]
    pairs = Pairs()
    groups = _grouped(image_names, mask_names, suffix or "")
    if several and any(len(group) > 1 for group in groups.values()):
        partner = groups
        pairs.notes.append("Each object has a mask of its own.")
    else:
        ending = _found_suffix(image_names, mask_names) if suffix is None else suffix
        if ending:
            pairs.notes.append(f"A mask is called like its image with {ending!r} behind it.")
        partner = {name: (mask,) for name, mask in _matched(image_names, mask_names, ending).items()}
    if not partner:
        other = ", or, where each object has a mask of its own, give instances=True" if groups else ""
        raise InvalidSetting(
            "masks",
            f"no mask is called like an image: images are {_examples(image_names)}, masks {_examples(mask_names)}; "
            f"name them alike, or say what masks have behind the name with suffix={other}",
        )
    pairs.skipped += [
        Skipped(readable(images[name]), "has no mask") for name in image_names if name not in partner
    ]
    used = {name for group in partner.values() for name in group}
    pairs.skipped += [
        Skipped(readable(masks[name]), "has no image") for name in mask_names if name not in used
    ]
    _share_out(pairs, partner, images, masks)
    return pairs


def _share_out(
    pairs: Pairs, partner: Mapping[str, tuple[str, ...]], images: Mapping[str, str], masks: Mapping[str, str]
) -> None:
    """To the splits whose folders are on the way, of the image or of the mask."""
    of_split: dict[str, list[Pair]] = {}
    for image, group in partner.items():
        split = _split_of(image) or _split_of(group[0])
        of_split.setdefault(split, []).append((images[image], tuple(masks[name] for name in group)))
    train = next((name for name in of_split if role_of(name) == "train"), None)
    if train is None:
        pairs.train = [pair for found in of_split.values() for pair in found]
        return
    tests = [name for role in ("test", "val") for name in of_split if role_of(name) == role]
    test = tests[0] if tests else None
    pairs.train, pairs.test = of_split[train], of_split[test] if test else []
    for name, found in of_split.items():
        if name not in (train, test):
            where = f"in {name}/" if name else "outside of the splits' folders"
            pairs.notes.append(f"The {len(found):,} images {where} were not used.")


def _split_of(name: str) -> str:
    """The first folder on the way that is called like a split, in small letters."""
    return next((part.lower() for part in name.split("/")[:-1] if role_of(part)), "")


def _matched(images: Sequence[str], masks: Sequence[str], suffix: str) -> dict[str, str]:
    """The mask of each image that has one."""
    partner: dict[str, str] = {}
    for key in (_stem, _stem_in_split, _base):
        free = set(partner.values())
        of_images = _by_key([name for name in images if name not in partner], key, "")
        of_masks = _by_key([name for name in masks if name not in free], key, suffix)
        partner |= {of_images[each]: of_masks[each] for each in of_images if each in of_masks}
    return {name: partner[name] for name in images if name in partner}


def _grouped(images: Sequence[str], masks: Sequence[str], suffix: str) -> dict[str, tuple[str, ...]]:
    """The masks of each image that has some: of its name, numbered, in a folder of its name, or in its own folder."""
    found: dict[str, list[str]] = {}
    usable = [name for name in masks if _base(name).endswith(suffix)]
    for key in (_stem, _stem_in_split, _base):
        of_images = _by_key(images, key, "")
        alone = _by_key([name for name in images if "/" in name], _folder, "")
        for name in list(usable):
            stem = _stem(name).removesuffix(suffix)
            ways = (
                stem,
                without_mask_ending(_NUMBER.sub("", stem)),
                without_mask_ending(stem),
                _folder(name),
            )
            owner = next(
                (of_images[each] for each in map(key, map(_as_file, ways)) if each in of_images), None
            )
            if owner := owner or alone.get(_folder(name)):
                found.setdefault(owner, []).append(name)
                usable.remove(name)
    return {name: tuple(sorted(found[name])) for name in images if name in found}


def _by_key(names: Sequence[str], key: Callable[[str], str], suffix: str) -> dict[str, str]:
    """Each name by its key, those left out that share one."""
    keyed = [(key(name), name) for name in names]
    keyed = [(each.removesuffix(suffix), name) for each, name in keyed if each.endswith(suffix)]
    often = Counter(each for each, _ in keyed)
    return {each: name for each, name in keyed if often[each] == 1}


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _stem_in_split(name: str) -> str:
    way = _stem(name).split("/")
    return "/".join([part for part in way[:-1] if not role_of(part)] + way[-1:])


def _as_file(stem: str) -> str:
    """A name whose ending can be taken off again."""
    return f"{stem}.png"


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _base(name: str) -> str:
    return PurePosixPath(name).stem


def _found_suffix(images: Sequence[str], masks: Sequence[str]) -> str:
    """What most masks have behind an image's name, from a sign that is no letter or digit on; often nothing."""
    bases = {_base(name) for name in images}
    seen: Counter[str] = Counter()
    for base in map(_base, masks):
        seen[""] += base in bases
        for index, sign in enumerate(base):
            if not sign.isalnum() and base[:index] in bases:
                seen[base[index:]] += 1
    return max(seen, key=lambda ending: (seen[ending], -len(ending)))


def _examples(names: Sequence[str]) -> str:
    words = ", ".join(repr(readable(name)) for name in names[:2])
    return f"{words} ..." if len(names) > 2 else words
