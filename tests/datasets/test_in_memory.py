from pathlib import Path

import numpy as np
import pytest
import torch

from reswork.datasets import arrays, in_memory, npz
from reswork.errors import InvalidSetting

RANDOM = np.random.default_rng(0)
LABELS = np.arange(20) % 4


def images(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((20, 9, 8), (1, 9, 8)),
        ((20, 3, 9, 8), (3, 9, 8)),
        ((20, 9, 8, 3), (3, 9, 8)),
        ((20, 9, 8, 1), (1, 9, 8)),
    ],
)
def test_all_usual_layouts(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    given = images(*shape)
    data = arrays(given, LABELS, given, LABELS)
    assert data.input_shape == expected
    flat = given.transpose(0, 3, 1, 2) if shape[-1] in (1, 3) else given
    assert np.array_equal(data.train.images.numpy().ravel(), flat.ravel())


def test_an_unclear_layout_must_be_told() -> None:
    with pytest.raises(InvalidSetting, match="which axis holds the channels") as caught:
        arrays(images(20, 9, 8, 4), LABELS)
    assert caught.value.field == "layout"
    assert arrays(images(20, 9, 8, 4), LABELS, layout="NHWC").input_shape == (4, 9, 8)


@pytest.mark.parametrize(
    "kind", [np.float32, np.float64, np.int64, np.uint16, bool, torch.float32, torch.int32]
)
def test_all_usual_types_become_bytes(kind: object) -> None:
    bytes_ = images(20, 3, 4, 4)
    if isinstance(kind, torch.dtype):
        given = torch.from_numpy(bytes_)
        given = given / 255 if kind.is_floating_point else given.to(kind)
    elif kind is bool:
        bytes_ = (bytes_ > 99).astype(np.uint8) * np.uint8(255)
        given = bytes_ > 0
    else:
        given = bytes_.astype(kind) / (255 if np.issubdtype(kind, np.floating) else 1)
        given = given.astype(kind)
    data = arrays(given, LABELS, given, torch.from_numpy(LABELS))
    assert np.array_equal(data.train.images.numpy(), bytes_)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ((np.full((4, 2, 2), np.nan), [0, 1, 0, 1]), "train_images"),
        ((np.full((4, 2, 2), np.inf), [0, 1, 0, 1]), "train_images"),
        ((np.full((4, 2, 2), -0.1), [0, 1, 0, 1]), "train_images"),
        ((np.full((4, 2, 2), 300), [0, 1, 0, 1]), "train_images"),
        ((np.full((4, 2, 2), 2.5), [0, 1, 0, 1]), "train_images"),
        ((np.zeros((4, 4), np.uint8), [0, 1, 0, 1]), "train_images"),
        ((np.zeros((4, 0, 4), np.uint8), [0, 1, 0, 1]), "train_images"),
        ((np.array([["a"]]), [0]), "train_images"),
        ((np.array([object()]), [0]), "train_images"),
        ((images(4, 2, 2), [0, 1, 0]), "train_targets"),
        ((images(4, 2, 2), [0, 1, 0, -1]), "train_targets"),
        ((images(4, 2, 2), [0, 1, 0, 0.5]), "train_targets"),
        ((images(4, 2, 2), [0, 1, 0, np.nan]), "train_targets"),
        ((images(4, 2, 2), [0, 1, 0, 10**9]), "train_targets"),
        ((images(4, 2, 2), np.eye(4)), "train_targets"),
        ((images(4, 2, 2), [0, 1, 0, 1], images(2, 2, 2)), "test_targets"),
        ((images(4, 2, 2), [0, 1, 0, 1], images(2, 3, 3), [0, 1]), "test"),
        ((images(4, 2, 2), [0, 0, 0, 0]), "classes"),
        ((images(4, 2, 2), ["a", "b", "a", "b"], images(2, 2, 2), [0, 1]), "test_targets"),
        ((images(0, 2, 2), []), "train"),
    ],
)
def test_refuses_and_names_the_argument(given: tuple[object, ...], field: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        arrays(*given)
    assert caught.value.field == field


def test_labels_may_be_words() -> None:
    data = arrays(images(4, 2, 2), ["dog", "cat", "dog", "cat"], images(2, 2, 2), ["cat", "<emu>"])
    assert data.classes == ("<emu>", "cat", "dog")
    assert data.train.labels.tolist() == [2, 1, 2, 1]
    assert data.test.labels.tolist() == [1, 0]


def test_too_few_class_names_are_refused() -> None:
    with pytest.raises(InvalidSetting, match="labels from 0 to 3"):
        arrays(images(20, 4, 4), LABELS, classes=["a", "b"])


def test_a_part_of_each_class_is_split_off() -> None:
    given = images(20, 4, 4)
    data = arrays(given, LABELS, test_fraction=0.4, seed=3)
    assert data.class_counts("train").tolist() == [3] * 4
    assert data.class_counts("test").tolist() == [2] * 4
    both = np.concatenate([data.train.images.numpy(), data.test.images.numpy()])[:, 0]
    assert sorted(image.tobytes() for image in both) == sorted(image.tobytes() for image in given)
    assert "set aside for the test" in data.summary()
    assert data.fingerprint == arrays(given, LABELS, test_fraction=0.4, seed=3).fingerprint
    for fraction in (0, 1, -1, float("nan")):
        with pytest.raises(InvalidSetting, match="between 0 and 1"):
            arrays(given, LABELS, test_fraction=fraction)


@pytest.mark.parametrize(
    "keys",
    [
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("x_train", "y_train", "x_test", "y_test"),
    ],
)
def test_npz_with_both_splits(tmp_path: Path, keys: tuple[str, ...]) -> None:
    values = (images(20, 4, 4), LABELS, images(8, 4, 4), np.arange(8).reshape(8, 1) % 4)
    np.savez_compressed(tmp_path / "some.npz", **dict(zip(keys, values, strict=True)), other=np.zeros(3))
    data = npz(tmp_path / "some.npz")
    assert (data.name, len(data.train), len(data.test), len(data.classes)) == ("some", 20, 8, 4)


def test_npz_with_images_labels_and_classes(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "some.npz",
        images=images(20, 4, 4),
        labels=LABELS,
        classes=np.array(["a", "b", "$c$", "d"]),
    )
    data = npz(str(tmp_path / "some.npz"), test_fraction=0.5)
    assert data.classes == ("a", "b", "$c$", "d")
    assert len(data.test) == 8


def test_npz_never_unpickles(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    np.savez(tmp_path / "some.npz", images=np.array([Trap()], dtype=object), labels=LABELS)
    with pytest.raises(InvalidSetting, match="Python objects"):
        npz(tmp_path / "some.npz")
    assert not (tmp_path / "sprung").exists()


def test_npz_that_is_absent_damaged_or_of_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = tmp_path / "good.npz"
    np.savez(good, images=images(20, 30, 30), labels=LABELS)
    (tmp_path / "cut.npz").write_bytes(good.read_bytes()[:-200])
    (tmp_path / "noise.npz").write_bytes(b"no archive at all")
    flipped = bytearray(good.read_bytes())
    flipped[5_000] ^= 255
    (tmp_path / "flipped.npz").write_bytes(flipped)
    np.savez(tmp_path / "other.npz", data=images(3, 3))
    for name in ("absent", "cut", "noise", "flipped", "other"):
        with pytest.raises(InvalidSetting) as caught:
            npz(tmp_path / f"{name}.npz")
        assert caught.value.field == "path"
    monkeypatch.setattr(in_memory, "MOST_BYTES", 1000)
    with pytest.raises(InvalidSetting, match="unpacks to"):
        npz(good)


def test_masks_as_arrays_of_any_whole_numbers() -> None:
    masks = RANDOM.integers(0, 3, (20, 9, 8))
    for given in (
        masks,
        masks.astype(np.float32),
        torch.from_numpy(masks)[:, None],
        masks[..., None].astype("i1"),
    ):
        data = arrays(images(20, 9, 8, 3), given, images(20, 9, 8, 3), given)
        assert (data.target_kind, data.classes) == ("masks", ("0", "1", "2"))
        assert np.array_equal(data.train.masks.numpy(), masks)
    binary = arrays(images(4, 9, 8), masks[:4] > 0, classes=["ground", "thing"])
    of_bytes = arrays(images(4, 9, 8), (masks[:4] > 0) * np.uint8(255), classes=["ground", "thing"])
    assert torch.equal(binary.train.masks, of_bytes.train.masks)
    assert binary.class_counts("train").min() > 0


def test_ignored_pixels_of_arrays() -> None:
    masks = RANDOM.integers(0, 3, (20, 9, 8))
    by_default = arrays(images(20, 9, 8), np.where(masks == 2, 255, masks), images(20, 9, 8), masks)
    told = arrays(images(20, 9, 8), np.where(masks == 2, -1, masks), images(20, 9, 8), masks, ignored=-1)
    assert torch.equal(by_default.train.masks, told.train.masks)
    assert by_default.class_counts("train").tolist() == [(masks == 0).sum(), (masks == 1).sum(), 0]


def test_a_part_of_the_masks_is_split_off_with_their_images() -> None:
    masks = RANDOM.integers(0, 3, (20, 9, 8)).astype(np.uint8)
    data = arrays(masks, masks, test_fraction=0.25)
    assert (len(data.train), len(data.test)) == (15, 5)
    assert torch.equal(data.test.images[:, 0], data.test.masks)


@pytest.mark.parametrize(
    ("masks", "sentence"),
    [
        (np.full((4, 2, 2), -1), "numbers from -1 to -1"),
        (np.full((4, 2, 2), 300), "numbers from 300 to 300"),
        (np.full((4, 2, 2), 0.5), "give whole numbers of classes"),
        (np.full((4, 2, 2), np.nan), "give whole numbers of classes"),
        (np.zeros((4, 2, 2, 2), int), "has the shape (4, 2, 2, 2)"),
        (np.array([[["a"]]]), "has the shape (1, 1, 1)"),
        (np.zeros((3, 2, 2), int), "3 targets for 4 images"),
        (np.zeros((4, 2, 3), int), "masks of 2x3 pixels for images of 2x2"),
        (np.zeros((4, 2, 2), int), "1 class(es)"),
    ],
)
def test_masks_that_are_refused(masks: np.ndarray, sentence: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        arrays(images(4, 2, 2), masks)
    assert sentence in caught.value.message


def test_npz_with_masks(tmp_path: Path) -> None:
    masks = np.arange(20 * 16).reshape(20, 4, 4) % 3
    np.savez(tmp_path / "whole.npz", images=images(20, 4, 4), masks=masks)
    keys = ("train_images", "train_masks", "test_images", "test_masks")
    values = (images(20, 4, 4), masks, images(20, 4, 4), masks)
    np.savez(tmp_path / "both.npz", **dict(zip(keys, values, strict=True)))
    assert npz(tmp_path / "whole.npz").target_kind == "masks"
    assert np.array_equal(npz(tmp_path / "both.npz").test.masks.numpy(), masks)


def test_the_lossless_images_beside_the_checkout() -> None:
    place = Path(__file__).resolve().parents[3] / "shared/data/cifar10/first4000_lossless.npz"
    if not place.exists():
        pytest.skip("../shared/data is absent")
    data = npz(place)
    assert (len(data.train) + len(data.test), data.input_shape, len(data.classes)) == (4_000, (3, 32, 32), 10)
    assert "airplane" in data.classes


@pytest.mark.parametrize(
    "images",
    [
        np.arange(20 * 64).reshape(20, 8, 8).astype(np.uint16) * 3,
        np.arange(20 * 64).reshape(20, 8, 8).astype(np.int16) - 1000,
        np.random.default_rng(0).normal(size=(20, 8, 8)).astype(np.float32),
    ],
)
def test_other_numbers_are_scaled_over_their_own_range_in_both_splits(images: np.ndarray) -> None:
    low, high = float(images.min()), float(images.max())
    data = arrays(images[:10], [0, 1] * 5, images[10:], [0, 1] * 5)
    expected = np.round((images.astype(float) - low) / (high - low) * 255)
    both = torch.cat([data.train.images, data.test.images])[:, 0].numpy()
    assert np.abs(both - expected).max() <= 1
    assert data.value_range == (low, high)
    assert any("range of the whole set" in note for note in data.notes)


class Column:
    """As pandas gives a column: an array of objects."""

    def __init__(self, values: list[object]) -> None:
        self.values = values

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return np.array(self.values, dtype=object)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array(["dog", "cat"] * 5, dtype=object), ("cat", "dog")),
        (Column(["dog", "cat"] * 5), ("cat", "dog")),
        (Column([b"dog", b"cat"] * 5), ("cat", "dog")),
        (Column([3, 1] * 5), ("1", "3")),
    ],
)
def test_labels_as_objects(labels: object, classes: tuple[str, ...]) -> None:
    data = arrays(np.zeros((10, 8, 8), np.uint8), labels)
    assert data.classes == classes
    assert data.class_counts("train").tolist() == [4, 4]


def test_missing_labels_and_strange_objects_are_refused() -> None:
    images = np.zeros((2, 8, 8), np.uint8)
    with pytest.raises(InvalidSetting, match="1 missing values"):
        arrays(images, Column(["cat", None]))
    with pytest.raises(InvalidSetting, match="give numbers or words"):
        arrays(images, Column([object(), object()]))


def test_labels_that_do_not_begin_at_0_or_have_gaps_are_taken_and_told() -> None:
    images = np.zeros((12, 8, 8), np.uint8)
    data = arrays(images, np.arange(12) % 3 + 1)
    assert data.classes == ("1", "2", "3")
    assert sorted(data.train.labels.unique().tolist()) == [0, 1, 2]
    assert (
        data.notes[0]
        == "Labels are the numbers 1, 2, 3: they are the 3 classes in this order, and no others."
    )
    named = arrays(images, np.arange(12) % 3 + 1, classes=["a", "b", "c"])
    assert named.classes == ("a", "b", "c")
    gaps = arrays(images, np.array([0, 7, 2] * 4), images, np.array([0, 7, 9] * 4))
    assert gaps.classes == ("0", "2", "7", "9")
    assert gaps.test.labels[:3].tolist() == [0, 2, 3]
    assert arrays(images, np.array([0, 2] * 6), classes=["a", "b", "c"]).classes == ("a", "b", "c")


def test_pictures_of_several_sizes_get_a_sentence() -> None:
    ragged = [np.zeros((8, 8, 3), np.uint8), np.zeros((9, 8, 3), np.uint8)]
    objects = np.empty(2, object)
    objects[:] = ragged
    for images in (ragged, objects):
        with pytest.raises(InvalidSetting, match=r"several sizes \(8x8x3, 9x8x3\)") as caught:
            arrays(images, [0, 1])
        assert caught.value.field == "train_images"


def test_what_an_npz_holds_besides_is_told(tmp_path: Path) -> None:
    images, labels = np.zeros((4, 8, 8), np.uint8), np.arange(4)[:, None] % 2
    of_three = {f"{split}_{kind}": each for split in ("train", "val", "test")
                for kind, each in (("images", images), ("labels", labels))}  # fmt: skip
    np.savez(tmp_path / "a.npz", **of_three, ids=labels)
    assert npz(tmp_path / "a.npz").notes == ("Not used of the file: ids, val_images, val_labels.",)
    del of_three["test_images"], of_three["test_labels"]
    np.savez(tmp_path / "b.npz", **of_three)
    data = npz(tmp_path / "b.npz")
    assert (len(data.train), len(data.test), data.notes) == (4, 4, ())
