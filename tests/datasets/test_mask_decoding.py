"""Damaged masks: a mask of the asked size or a reason, nothing else."""

import warnings

import numpy as np
import pytest
from PIL import Image

from reswork.datasets.decoding import Unreadable
from reswork.datasets.mask_decoding import raw_mask
from reswork.datasets.mask_values import NO_CODE
from tests.datasets.image_files import encoded

VALUES = np.arange(120, dtype=np.uint8).reshape(12, 10) // 40


def palette_file() -> bytes:
    image = Image.fromarray(VALUES)
    image.putpalette([0, 0, 0, 200, 0, 0, 0, 0, 7])
    return encoded(image)


FILES = {
    "grey": encoded(VALUES),
    "palette": palette_file(),
    "colour": encoded(np.stack([VALUES * 9, VALUES * 0, VALUES], -1)),
    "16 bits": encoded(VALUES.astype(np.uint16) * 300),
    "one bit": encoded(VALUES > 0),
    "tiff": encoded(VALUES, "TIFF"),
    "gif": encoded(VALUES, "GIF"),
    "bmp": encoded(VALUES, "BMP"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_whole_file_keeps_its_values(kind: str) -> None:
    mask = raw_mask(FILES[kind], "1.png", (12, 10), (12, 10), 64)
    values = mask.colours if kind == "colour" else mask.numbers
    factor = {"colour": 9 << 16 | 1, "16 bits": 300}.get(kind, 1)
    expected = (VALUES > 0).astype(int) if kind == "one bit" else VALUES.astype(int) * factor
    assert np.array_equal(values[mask.places], expected)
    assert mask.has_palette == (kind in ("palette", "gif"))
    if kind == "palette":
        assert mask.colours.tolist() == [0, 200 << 16, 7]
    if kind in ("colour", "16 bits"):
        assert (mask.numbers if kind == "colour" else mask.colours).tolist() == [0, NO_CODE, NO_CODE]


@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_file_gives_a_mask_or_a_reason(kind: str) -> None:
    random = np.random.default_rng(0)
    outcomes = set()
    for _ in range(150):
        content = bytearray(FILES[kind])
        for place in random.integers(0, len(content), random.integers(1, 4)):
            content[place] = random.integers(256)
        if random.random() < 0.3:
            content = content[: random.integers(len(content))]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about what it stumbles over
            try:
                mask = raw_mask(bytes(content), "1.png", (12, 10), (8, 8), 64)
            except Unreadable as error:
                outcomes.add("refused")
                assert 0 < len(str(error)) < 300
                continue
        outcomes.add("read")
        assert mask.places.shape == (8, 8)
        assert mask.places.max() < len(mask.numbers) == len(mask.colours)
    assert "refused" in outcomes
