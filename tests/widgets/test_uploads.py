"""A picture gives the same pixels whichever way it comes in."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reswork.datasets import folder
from reswork.widgets.inspector import fitted
from tests.datasets.image_files import encoded, picture, write


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


CLEAR = np.dstack([picture(3, 24, 24), np.arange(24 * 24).reshape(24, 24).astype(np.uint8)])
FILES = {
    "exif.jpg": encoded(picture(1, 24, 24), "JPEG", exif=_turned()),
    "exif.png": encoded(picture(1, 24, 24), "PNG", exif=_turned()),
    "transparent.png": encoded(CLEAR),
    "palette.gif": encoded(Image.fromarray(picture(2, 24, 24)).quantize(16), "GIF"),
    "wide.webp": encoded(picture(4, 24, 60), "WEBP"),
    "print.jpg": encoded(Image.fromarray(picture(5, 30, 24)).convert("CMYK"), "JPEG"),
    "twelve.png": encoded(np.linspace(0, 4095, 576).reshape(24, 24).astype(np.uint16)),
    "signed.tif": encoded(Image.fromarray(np.linspace(-500, 900, 576).reshape(24, 24).astype(np.int32)), "TIFF"),
    "float.tif": encoded(Image.fromarray(np.linspace(0, 1, 576).reshape(24, 24).astype(np.float32)), "TIFF"),
    "grey.png": encoded(picture(6, 24, 24)[..., 0]),
}  # fmt: skip


@pytest.mark.parametrize("only_grey", [False, True])
def test_an_upload_is_the_very_picture_of_the_data_set(tmp_path: Path, only_grey: bool) -> None:
    chosen = {
        n: c for n, c in FILES.items() if not only_grey or n in ("twelve.png", "signed.tif", "grey.png")
    }
    for name, content in chosen.items():
        for label in ("a", "b"):
            write(tmp_path, f"train/{label}/{name}", content)
            write(tmp_path, f"test/{label}/{name}", content)
    data = folder(tmp_path, size=16, cache=False)
    assert data.input_shape == (1 if only_grey else 3, 16, 16)
    assert not data.skipped
    for index, name in enumerate(sorted(chosen)):
        uploaded = fitted(chosen[name], data.input_shape, data.value_range)
        assert np.array_equal(uploaded, data.train.images[index].numpy()), name
