"""Pictures that lie beside the ones that are meant: masks and thumbnails, told by their places and names alone."""

from collections.abc import Sequence

from reswork.datasets.files import readable
from reswork.datasets.folder_words import (
    THUMBNAIL_FOLDERS,
    is_image_folder,
    is_mask_folder,
    stem_of,
    without_mask_ending,
)


def set_apart(images: Sequence[str]) -> tuple[list[str], list[str]]:
    """Images without masks and thumbnails beside them.

    Masks are those in a folder called so beside a folder of images, or beside the images that they are called like;
    and files called like another one in the same folder with ``_mask`` or alike behind it.

    Args:
        images: names, relative, with slashes.

    Returns:
        The names that are left, in their order, and a sentence about each kind that was left out.
    """
    left, notes = list(images), []
    thumbnails = {
        name for name in left if any(part.lower() in THUMBNAIL_FOLDERS for part in name.split("/")[:-1])
    }
    if thumbnails and len(thumbnails) < len(left):
        left = [name for name in left if name not in thumbnails]
        notes.append(f"{_files(thumbnails)} of thumbnails were left out.")
    masks = _in_mask_folders(left) | _called_like_masks(left)
    if masks and len(masks) < len(left):
        left = [name for name in left if name not in masks]
        notes.append(
            f"{_files(masks)} of masks beside the pictures were left out; "
            "rw.datasets.masks(images, masks) trains on them."
        )
    return left, notes


def _files(names: set[str]) -> str:
    return f"{len(names):,} files (such as {readable(min(names))})"


def _in_mask_folders(names: Sequence[str]) -> set[str]:
    """Files below a folder of masks that lies beside a folder of images, or beside images that they are called like."""
    folders = {name.rpartition("/")[0] for name in names}
    inner: dict[str, set[str]] = {}  # of each folder the folders with images in it
    for folder in folders:
        while folder:
            parent, _, last = folder.rpartition("/")
            inner.setdefault(parent, set()).add(last)
            folder = parent
    masks: set[str] = set()
    for parent, found in inner.items():
        for folder in filter(is_mask_folder, found):
            root = f"{parent}/{folder}/" if parent else f"{folder}/"
            files = [name for name in names if name.startswith(root)]
            beside = any(is_image_folder(other) and not is_mask_folder(other) for other in found)
            partners = {stem_of(name) for name in names if name.rpartition("/")[0] == parent}
            alike = sum(without_mask_ending(stem_of(name)) in partners for name in files)
            if beside or 2 * alike >= len(files):
                masks.update(files)
    return masks


def _called_like_masks(names: Sequence[str]) -> set[str]:
    """Files called like another one in the same folder, with the ending of a mask."""
    stems = {(name.rpartition("/")[0], stem_of(name)) for name in names}
    masks = set()
    for name in names:
        stem = stem_of(name)
        plain = without_mask_ending(stem)
        if plain != stem and (name.rpartition("/")[0], plain) in stems:
            masks.add(name)
    return masks
