"""Simple methods for masks and pictures: what they must find on images that are made for them."""

import numpy as np
import pytest
import torch
from PIL import Image

import reswork as rw
from reswork.datasets.dataset import Dataset, Split
from reswork.tasks.baselines import baselines, judged


def masked(images: torch.Tensor, masks: torch.Tensor, names: tuple[str, ...]) -> Dataset:
    split = Split(images, masks)
    channels = images.shape[1]
    return Dataset("made", split, split, names, (0.5,) * channels, (0.25,) * channels, "made up")


def test_a_threshold_finds_what_is_brighter_and_colour_finds_more() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.randint(0, 3, (6, 10, 12), generator=generator).to(torch.uint8)
    colours = torch.tensor([[20, 30, 40], [200, 150, 30], [40, 160, 220]])
    images = (colours[masks.long()] + torch.randint(0, 12, (6, 10, 12, 3), generator=generator)).movedim(
        -1, 1
    )
    data = masked(images.to(torch.uint8), masks.masked_fill(masks == 2, 1), ("ground", "thing"))
    found = {each.name: each for each in baselines(data)}
    assert found["threshold"].metrics["mean_iou"] == 1.0 == found["colour of the pixel"].metrics["mean_iou"]
    three = masked(images.to(torch.uint8), masks, ("ground", "red", "blue"))
    found = {each.name: each for each in baselines(three)}
    assert found["colour of the pixel"].metrics["mean_iou"] == 1.0 > found["threshold"].metrics["mean_iou"]
    assert (
        set(np.unique(found["threshold"].output)) <= {0, 1, 2} and found["threshold"].output.dtype == np.uint8
    )


def test_where_the_ground_wins_everywhere_the_bright_side_is_what_comes_next() -> None:
    data = rw.datasets.scenes(train=40, test=10, size=32)
    found = {each.name: each.metrics for each in baselines(data)}
    assert found["threshold"]["pixel_accuracy"] > 0.6 and found["threshold"]["mean_iou"] < 0.3
    volumes = rw.datasets.solids(train=6, test=2, size=12)
    assert 0 < {each.name: each.metrics for each in baselines(volumes)}["threshold"]["mean_iou"] < 0.6


def test_bicubic_interpolation_is_pillows_and_has_no_gain() -> None:
    data = rw.datasets.photographs(scale=2, patches=4, patch=16).subset(test=4)
    found = {each.name: each for each in baselines(data)}
    assert abs(found["bicubic interpolation"].metrics["gain"]) < 1e-6 > found["nearest pixel"].metrics["gain"]
    for image, answer in zip(data.test.images, found["bicubic interpolation"].output, strict=True):
        pillow = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((32, 32), Image.Resampling.BICUBIC)
        assert np.abs(np.asarray(pillow).transpose(2, 0, 1).astype(int) - answer).max() <= 1
    assert judged(data, data.test.targets.numpy())["psnr"] == pytest.approx(
        88.13, abs=0.01
    )  # nothing is wrong


def test_noise_is_blurred_by_the_width_that_helps_most() -> None:
    data = rw.datasets.photographs(scale=1, noise=25, patches=8, patch=24).subset(test=6)
    found = {each.name: each.metrics for each in baselines(data)}
    assert found["as it is"]["gain"] == pytest.approx(0, abs=1e-9) and found["Gaussian blur"]["gain"] > 2
