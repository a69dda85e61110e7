import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from reswork.reporting.duplicates import duplicates


def pillow(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image.transpose(1, 2, 0))


def array(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def compressed(image: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    pillow(image).save(stream, "JPEG", quality=95)
    return array(Image.open(stream))


def resized(image: np.ndarray) -> np.ndarray:
    side = image.shape[1]
    return array(pillow(image).resize((side // 2,) * 2, Image.BILINEAR).resize((side,) * 2, Image.BILINEAR))


KINDS = {
    "exact": lambda image: image.copy(),
    "compressed": compressed,
    "resized": resized,
    "mirrored": lambda image: image[:, :, ::-1].copy(),
    "brightness": lambda image: array(ImageEnhance.Brightness(pillow(image)).enhance(0.7)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_found_and_named(images, kind):
    copies = np.stack([KINDS[kind](images[row]) for row in (3, 50, 120)])
    found = duplicates(np.concatenate([images, copies]))
    assert sorted(zip(found.first, found.second, strict=True)) == [(3, 200), (50, 201), (120, 202)]
    assert set(found.kind) == {kind} and not found.other_split.any()


def test_leaks_are_told_apart_and_pairs_within_the_other_split_are_not_looked_for(images):
    test, train = (
        images[:80],
        np.concatenate([images[80:], images[80:83], images[10:12], compressed(images[20])[None]]),
    )
    found = duplicates(np.concatenate([test, test[5:6]]), train)
    assert len(found.leaks) == 3 and len(found) == 4
    assert set(zip(found.leaks.first, found.leaks.second, strict=True)) == {(10, 123), (11, 124), (20, 125)}
    assert (found.first[~found.other_split], found.second[~found.other_split]) == (5, 80)


def test_healthy_flat_and_single_images_are_no_pairs(images, make_images):
    assert len(duplicates(images, make_images(seed=1))) == 0
    assert len(duplicates(images[:1])) == 0
    flat = np.stack([np.full((1, 16, 16), shade, np.uint8) for shade in (0, 80, 200)])
    assert len(duplicates(flat)) == 0
    assert len(duplicates(np.concatenate([flat, flat[1:2]]))) == 1


def test_the_threshold_moves_and_it_can_be_stopped(images):
    found = duplicates(np.concatenate([images, compressed(images[3])[None], images[4:5]]))
    assert len(found.above(0.99999)) == 1 < len(found)
    assert len(duplicates(np.concatenate([images, compressed(images[3])[None]]), stopped=lambda: True)) == 0


def test_grey_images_of_another_shape():
    grey = np.random.default_rng(0).integers(0, 256, (40, 1, 10, 14)).astype(np.uint8)
    found = duplicates(np.concatenate([grey, grey[6:7, :, :, ::-1]]))
    assert (found.first.tolist(), found.second.tolist(), found.kind.tolist()) == ([6], [40], ["mirrored"])
