"""Smaller images first: their sizes, their pixels, and what cannot be made smaller."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import reswork as rw
from reswork.tasks import task_for
from reswork.training.batches import Batches
from reswork.training.checks import check_before_training
from reswork.training.image_sizes import resized, size_at, work_done
from reswork.training.modes import choose_device, mode_by_rule, with_compilation
from reswork.training.pace import Pace


def test_images_grow_in_fours_to_their_own_size():
    recipe = rw.Recipe(image_scale=0.5, full_size_at=0.8)
    sides = [size_at(recipe, (28, 28), done, 10)[0] for done in range(10)]
    assert sides == [16, 16, 16, 20, 20, 24, 24, 28, 28, 28]
    assert size_at(recipe, (30, 8), 0, 10) == (16, 4)
    assert size_at(recipe, (30, 8), 8, 10) == (30, 8)
    assert size_at(recipe, (3, 2), 0, 10) == (3, 2)
    work = work_done(recipe, (28, 28), 10)
    assert work[0] == 0 and len(work) == 11
    assert work[-1] == pytest.approx(sum(side**2 for side in sides) / 28**2)


def test_smaller_pixels_are_those_that_pillow_gives():
    image = torch.rand(1, 1, 28, 20, generator=torch.Generator().manual_seed(0))
    theirs = Image.fromarray(image[0, 0].numpy()).resize((12, 16), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(resized(image, (16, 12))[0, 0], np.asarray(theirs), atol=1e-5)
    assert resized(image, (28, 20)) is image


def test_batches_are_those_of_whole_images_made_smaller_and_in_the_end_the_same(make_data, make_recipe):
    recipe = make_recipe(augmentation=rw.Augmentation(crop_padding=1, flip=True), mixup=0.0)
    whole = Batches(make_data(), recipe, channels_last=True)
    growing = Batches(make_data(), replace(recipe, image_scale=0.5), channels_last=True)
    for step, side in ((1, 4), (4, 8), (5, 8), (8, 8)):
        one, other = whole.cut(step), growing.cut(step)
        assert torch.equal(other.targets, one.targets) and other.inputs.shape[2:] == (side, side)
        assert torch.equal(other.inputs, resized(one.inputs, (side, side)))
        assert other.inputs.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("data", "net", "told"),
    [
        (lambda: rw.datasets.pulses(train=8, test=4, length=16), None, "has signals with labels"),
        (lambda: rw.datasets.photographs(scale=2, patches=8, patch=8), None, "has images with images"),
        (lambda: rw.datasets.digits().subset(8, 4), "flat", "begins with images of 4x4 pixels, which Sequential"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_smaller_gets_a_sentence(data, net, told):
    given, recipe = data(), rw.Recipe(steps=1, batch_size=2, image_scale=0.5)
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    model = flat if net else rw.resnet(rw.config_for(given, depth=8, width=2))
    with pytest.raises(rw.InvalidSetting, match=told) as caught:
        check_before_training(model, given, recipe, task_for(given))
    assert caught.value.field == "image_scale"


def test_it_is_not_compiled(make_net):
    with pytest.raises(rw.InvalidSetting, match="compiled anew"):
        rw.Recipe(image_scale=0.5, compile="on")
    recipe = rw.Recipe(image_scale=0.5)
    mode = mode_by_rule(recipe, make_net(), choose_device("cpu")[0])
    chosen = with_compilation(mode, recipe, make_net(), 100.0, 1000)
    assert not chosen.compile and "size of the images changes" in chosen.reason


def test_what_is_left_counts_that_later_steps_cost_more(monkeypatch):
    now = iter([0.0, 10.0, 12.0])
    monkeypatch.setattr("reswork.training.pace.time.perf_counter", lambda: next(now))
    pace = Pace()
    pace.step_done(1)
    assert pace.seconds_for(1, 4) is None
    pace.step_done(2)
    assert pace.seconds_for(2, 4) == 4
    assert pace.seconds_for(2, 4, [0, 0.25, 0.5, 1.5, 2.5]) == pytest.approx(2 * 2 / 0.25)
