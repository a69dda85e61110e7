"""Methods that are means over many pictures: along a path, over noise, or both."""

from collections.abc import Callable

import torch
from torch import Tensor

from reswork.probes.baselines import drawn
from reswork.probes.captum_methods import integrated_gradients
from reswork.probes.options import Options
from reswork.probes.scalar_model import ScalarModel

_FIRST, _MOST = 32, 512  # steps
_GAP = 0.01
Values = Callable[[Tensor, Tensor, Tensor], Tensor]


def completed_gradients(
    scalar_model: ScalarModel,
    images: Tensor,
    weights: Tensor,
    references: Tensor,
    *,
    steps: int | None,
    at_once: int,
) -> Tensor:
    """Captum's integrated gradients, (M, C, H, W); without a number of steps, as many as completeness to 1 % takes.

    Reference:
        Sundararajan 2017, arXiv:1703.01365, equation 1.
    """
    if steps is not None:
        return integrated_gradients(scalar_model, images, weights, references, steps=steps, at_once=at_once)
    with torch.no_grad():
        ends = zip(
            torch.cat([images, references]).split(at_once), weights.repeat(2, 1).split(at_once), strict=True
        )
        after, before = torch.cat([scalar_model(*end) for end in ends]).chunk(2)
    change = after - before
    values = torch.empty_like(images)
    open_ = torch.arange(len(images), device=images.device)
    steps = _FIRST
    while len(open_):
        chosen = (images[open_], weights[open_], references[open_])
        values[open_] = integrated_gradients(scalar_model, *chosen, steps=steps, at_once=at_once)
        missed = (values[open_].sum(dim=(1, 2, 3)) - change[open_]).abs()
        open_ = open_[missed > _GAP * change[open_].abs()]
        steps *= 2
        if steps > _MOST:
            break
    return values


def expected_gradients(
    scalar_model: ScalarModel,
    images: Tensor,
    weights: Tensor,
    references: Tensor,
    *,
    options: Options,
    at_once: int,
) -> Tensor:
    """Gradient SHAP, (M, C, H, W): mean of (x - b) times gradient at a random place between b and x.

    The places are spread evenly over the path, one in each of as many pieces as there are samples: the same
    mean with far less chance in it. The baselines b are the references with noise.

    Reference:
        Lundberg 2017, arXiv:1705.07874; arXiv:1906.10670, equation 3.
    """
    count = options.samples
    within = torch.rand(count, generator=torch.Generator().manual_seed(options.seed))
    places = ((torch.arange(count) + within) / count).to(images).view(-1, 1, 1, 1)
    maps = []
    for image, weight, reference in zip(images, weights, references, strict=True):
        starts = noisy_baselines(image, reference, options)  # (S, C, H, W)
        change = image - starts
        points = starts + places * change
        slopes = [
            _gradients(scalar_model, part, weight.expand(len(part), -1)) for part in points.split(at_once)
        ]
        maps.append((change * torch.cat(slopes)).mean(dim=0))
    return torch.stack(maps)


def noisy_baselines(image: Tensor, reference: Tensor, options: Options) -> Tensor:
    """The baselines of one picture, (S, C, H, W): its reference with noise, the same for the same seed."""
    noise = drawn((options.samples, *image.shape), image, options.seed)
    return reference + _spread(image[None], options) * noise


def smoothed(
    values: Values, images: Tensor, weights: Tensor, references: Tensor, *, samples: int, options: Options
) -> Tensor:
    """SmoothGrad over any method: the mean of its values for noisy copies of each picture.

    Reference:
        Smilkov 2017, arXiv:1706.03825.
    """
    total: Tensor | None = None
    spread = _spread(images, options)
    for sample in range(samples):
        noise = drawn(images.shape, images, options.seed * 1_000_003 + sample)
        found = values(images + spread * noise, weights, references)
        total = found if total is None else total + found
    assert total is not None
    return total / samples


def _spread(images: Tensor, options: Options) -> Tensor:
    """Standard deviation of the noise for each picture, (M, 1, 1, 1)."""
    flat = images.flatten(1)
    return options.noise * (flat.amax(1) - flat.amin(1)).view(-1, 1, 1, 1)


def _gradients(scalar_model: ScalarModel, images: Tensor, weights: Tensor) -> Tensor:
    """Of each picture's score, like the pictures."""
    points = images.detach().requires_grad_()
    with torch.enable_grad():
        score = scalar_model(points, weights).sum()
    return torch.autograd.grad(score, points)[0]
