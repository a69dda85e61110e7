"""The task against scikit-image, and a training of photographs in the loop."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor, nn

import reswork as rw
from reswork.datasets.dataset import Dataset, Split
from reswork.datasets.photographs import enlarged, smaller
from reswork.errors import InvalidSetting
from reswork.tasks import Restoration, task_for
from reswork.tasks.restoration import psnr, ssim
from reswork.training.evaluation import evaluate
from reswork.training.events import StepDone
from reswork.training.loop import fit

TASK = Restoration()
CPU = torch.device("cpu")


def pair(count: int = 5, size: int = 24, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Outputs 0 to 1 and a bit beyond, and targets like them."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(256, (count, 3, size, size), generator=generator).to(torch.uint8)
    return targets / 255 + 0.08 * torch.randn(targets.shape, generator=generator), targets


def data_of(targets: Tensor, scale: int = 2) -> Dataset:
    images = smaller(targets, scale)
    return Dataset("toy", *[Split(images, targets)] * 2, (), (0.0,) * 3, (1.0,) * 3, "made up")


@pytest.mark.parametrize("border", [0, 3])
def test_psnr_and_ssim_are_those_of_scikit_image(border: int) -> None:
    output, targets = pair()
    rounded = (output * 255).round().clamp(0, 255).byte()
    for row, (found, alike) in enumerate(
        zip(psnr(output, targets, border), ssim(output, targets, border), strict=True)
    ):
        inner = slice(border, 24 - border)
        answer, truth = (
            rgb2ycbcr(np.asarray(each[row].permute(1, 2, 0)))[inner, inner, 0] for each in (rounded, targets)
        )
        assert float(found) == pytest.approx(peak_signal_noise_ratio(truth, answer, data_range=255), abs=1e-6)
        expected = structural_similarity(
            truth, answer, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert float(alike) == pytest.approx(expected, abs=1e-6)


def test_grey_images_are_their_own_luma_and_equal_ones_have_a_bound() -> None:
    _, targets = pair()
    grey = targets[:, :1]
    expected = peak_signal_noise_ratio(np.asarray(grey[0]), np.asarray(grey[1]), data_range=255)
    assert float(psnr(grey[1:2], grey[:1])) == pytest.approx(expected, abs=1e-6)
    assert float(psnr(targets, targets).max()) == pytest.approx(88.13, abs=0.01)
    assert ssim(targets, targets).tolist() == pytest.approx([1.0] * 5)


def test_an_evaluation_is_over_all_images_whatever_the_batches_and_bicubic_gains_nothing() -> None:
    _, targets = pair(7)
    data = data_of(targets)
    bicubic = nn.Upsample(scale_factor=2)
    bicubic.forward = lambda x: enlarged(x, 2)  # type: ignore[method-assign]
    whole, parts = (evaluate(bicubic, data, batch_size=size) for size in (7, 3))
    assert whole is not None and parts is not None
    assert whole.metrics == pytest.approx(parts.metrics) and set(whole.metrics) == {
        "loss",
        "psnr",
        "ssim",
        "gain",
    }
    assert whole.metrics["gain"] == pytest.approx(0, abs=1e-9)
    output = bicubic(data.test.images / 255)
    squares = 255.0**2 / 10 ** (psnr(output, targets, 2) / 10)
    assert whole.metrics["psnr"] == pytest.approx(float(10 * (255.0**2 / squares.mean()).log10()))
    assert whole.loss == pytest.approx(float((output - targets / 255).abs().mean()), abs=1e-6)


def test_the_parts_of_a_batch_make_the_whole_and_an_explanation_is_of_the_middle() -> None:
    output, targets = pair()
    recipe = rw.Recipe()
    losses = [
        TASK.loss(output[part], targets[part], recipe) * TASK.weight(targets[part])
        for part in (slice(2), slice(2, 5))
    ]
    torch.testing.assert_close(sum(losses) / 5, TASK.loss(output, targets, recipe))
    assert TASK.right(targets / 255, targets).all() and not TASK.right(1 - targets / 255, targets).any()
    changed = output.clone().requires_grad_()
    explained = TASK.explained(changed)
    explained.sum().backward()
    assert explained.shape == (5, 1) and changed.grad is not None
    assert changed.grad[:, :, 4:20, 4:20].any() and not changed.grad[:, :, :4].any()


def test_it_learns_what_bicubic_interpolation_leaves_out() -> None:
    data = rw.datasets.photographs(scale=2, patches=8, patch=16).subset(test=4)
    torch.manual_seed(0)
    recipe = rw.Recipe(
        steps=100, batch_size=8, optimizer="adam", learning_rate=3e-3, weight_decay=0, schedule="constant",
        device="cpu", compile="off", precision="fp32", channels_last=False,
        augmentation=rw.datasets.Augmentation(flip=True),
    )  # fmt: skip
    events = fit(rw.edsr(scale=2, depth=8, width=16), data, recipe)
    losses = [float(event.loss) for event in events if isinstance(event, StepDone)]
    bicubic = (enlarged(data.train.images / 255, 2) - data.train.targets / 255).abs().mean()
    assert abs(losses[0] / float(bicubic) - 1) < 0.2  # it begins near the bicubic image
    assert sum(losses[-8:]) / 8 < 0.99 * float(bicubic)


def test_what_does_not_fit_is_told_in_a_sentence() -> None:
    data = data_of(pair()[1])
    assert task_for(data) == TASK
    with pytest.raises(InvalidSetting, match="restoration learns from images"):
        TASK.check_data(rw.datasets.digits())
    with pytest.raises(InvalidSetting, match="has images; classification"):
        rw.tasks.Classification().check_data(data)
    with pytest.raises(InvalidSetting, match="give 0 and 1"):
        TASK.check_data(Dataset("toy", data.train, data.test, (), (0.5,) * 3, (1.0,) * 3, "made up"))
    with pytest.raises(InvalidSetting, match="too small"):
        TASK.check_data(data_of(pair(size=12)[1]))
    for settings in ({"mixup": 0.2}, {"augmentation": rw.datasets.Augmentation(cutout=4)}):
        with pytest.raises(InvalidSetting, match="does not fit images that shall come out"):
            TASK.check_recipe(rw.Recipe(**settings))
    with pytest.raises(InvalidSetting, match=r"build it with rw.edsr\(scale=2\)"):
        TASK.check_output(nn.Identity(), torch.zeros(2, 3, 12, 12), data)
    with pytest.raises(InvalidSetting, match="returns a tuple"):
        TASK.check_output(nn.Identity(), (), data)
