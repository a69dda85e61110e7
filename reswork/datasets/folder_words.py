"""What people call the folders around their pictures: splits, images, masks, thumbnails."""

import re
from typing import Literal

Role = Literal["train", "test", "val"]
ROLES: dict[str, Role] = {
    **dict.fromkeys(("train", "training", "trn", "trainset", "trainingset", "traindata", "trainval"), "train"),
    **dict.fromkeys(("test", "testing", "tst", "testset", "testingset", "testdata", "eval", "evaluation"), "test"),
    **dict.fromkeys(("holdout", "heldout"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "valset", "validset", "validationset", "dev", "devset"), "val"),
}  # fmt: skip
FILLERS = frozenset(
    (
        "set", "sets", "seg", "image", "images", "img", "imgs", "data", "dataset", "datasets", "picture", "pictures",
        "pics", "photo", "photos", "split", "sample", "samples", "example", "examples", "files", "folder", "dir", "jpg",
        "jpeg", "jpegs", "png", "classification", "cls", "small", "full", "crops", "cropped", "original", "final",
        "labelled", "labeled", "new", "all", "subset", "part", "the",
    )
)  # fmt: skip
IMAGE_FOLDERS = frozenset(("images", "image", "imgs", "img", "jpegimages", "photos", "leftimg8bit"))
MASK_FOLDERS = frozenset(
    (
        "masks", "mask", "annotations", "annotation", "labels", "label", "segmentations", "segmentation",
        "segmentationclass", "trimaps", "gt", "gtfine", "ground_truth", "groundtruth",
    )
)  # fmt: skip
THUMBNAIL_FOLDERS = frozenset(("thumbs", "thumb", "thumbnails", "thumbnail", "_thumbs", "_thumbnails"))
_MASK_WORDS = frozenset(
    ("mask", "masks", "segmentation", "segmentations", "annotation", "annotations", "trimaps")
)
_DENIALS = frozenset(("with", "without", "no", "not", "non", "un", "correct", "incorrect", "wearing"))
_MASK_ENDING = re.compile(
    r"[ _.-]+(mask|masks|seg|segmentation|gt|label|annotation|trimap)([ _.-]?\d+)?$", re.IGNORECASE
)


def words_of(name: str) -> tuple[str, ...]:
    """The words in a folder's name in small letters: ``TrainSet-2`` has train and set."""
    return tuple(word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name))


def role_of(name: str) -> Role | None:
    """The split that a folder of this name would hold, where exactly one of its words names one."""
    roles = [ROLES[word] for word in words_of(name) if word in ROLES]
    return roles[0] if len(roles) == 1 and not is_mask_folder(name) else None


def belong_together(first: str, second: str) -> bool:
    """Whether names differ in their split only: ``pets_train`` and ``pets_test``, ``training_set`` and ``dev``."""
    rests = [[word for word in words_of(name) if word not in ROLES] for name in (first, second)]
    return rests[0] == rests[1] or all(word in FILLERS for rest in rests for word in rest)


def is_image_folder(name: str) -> bool:
    """Whether a folder of this name holds images as opposed to masks."""
    words = words_of(name)
    return name.lower() in IMAGE_FOLDERS or (bool(words) and words[-1] in IMAGE_FOLDERS)


def is_mask_folder(name: str) -> bool:
    """Whether a folder of this name holds masks; ``with_mask`` and the like are classes."""
    words = words_of(name)
    return name.lower() in MASK_FOLDERS or (
        bool(words)
        and (words[0] in _MASK_WORDS or words[-1] in _MASK_WORDS)
        and not any(word in _DENIALS for word in words)
    )


def stem_of(name: str) -> str:
    """The name without folders and ending: ``a/1.png`` gives ``1``."""
    file = name.rpartition("/")[2]
    return file.rpartition(".")[0] or file


def without_mask_ending(stem: str) -> str:
    """A stem without what marks a mask: ``1_mask`` gives ``1``."""
    return _MASK_ENDING.sub("", stem)
