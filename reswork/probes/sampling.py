"""Methods that are means over many pictures: along a path, over noise, or both."""

from collections.abc import Callable

import torch
from torch import Tensor

from reswork.probes.captum_methods import integrated_gradients
from reswork.probes.detail import Detail
from reswork.probes.references import drawn
from reswork.probes.scored import Scored

_FIRST, _MOST = 32, 512  # steps
_GAP = 0.01
Values = Callable[[Tensor, Tensor, Tensor], Tensor]


def completed_gradients(
    scored: Scored, images: Tensor, weights: Tensor, references: Tensor, *, steps: int | None, at_once: int
) -> Tensor:
    """Integrated gradients, (M, C, H, W); without a number of steps, as many as completeness to 1 % takes."""
    if steps is not None:
        return integrated_gradients(scored, images, weights, references, steps=steps, at_once=at_once)
    with torch.no_grad():
        change = torch.cat(
            [
                scored(image, weight) - scored(reference, weight)
                for image, weight, reference in zip(
                    *(tensor.split(at_once) for tensor in (images, weights, references)), strict=True
                )
            ]
        )
    values = torch.empty_like(images)
    open_ = torch.arange(len(images), device=images.device)
    steps = _FIRST
    while len(open_):
        chosen = (images[open_], weights[open_], references[open_])
        values[open_] = integrated_gradients(scored, *chosen, steps=steps, at_once=at_once)
        missed = (values[open_].sum(dim=(1, 2, 3)) - change[open_]).abs()
        open_ = open_[missed > _GAP * change[open_].abs()]
        steps *= 2
        if steps > _MOST:
            break
    return values


def expected_gradients(
    scored: Scored, images: Tensor, weights: Tensor, references: Tensor, *, detail: Detail, at_once: int
) -> Tensor:
    """Gradient SHAP, (M, C, H, W): mean of (x - b) times gradient at a random place between b and x.

    The places are spread evenly over the path, one in each of as many pieces as there are samples: the same
    mean with far less chance in it. The baselines b are the references with noise.

    Reference:
        Lundberg 2017, arXiv:1705.07874; arXiv:1906.10670, equation 3.
    """
    count = detail.samples
    within = torch.rand(count, generator=torch.Generator().manual_seed(detail.seed))
    places = ((torch.arange(count) + within) / count).to(images).view(-1, 1, 1, 1)
    maps = []
    for image, weight, reference in zip(images, weights, references, strict=True):
        starts = noisy_baselines(image, reference, detail)  # (S, C, H, W)
        change = image - starts
        points = starts + places * change
        slopes = [_gradients(scored, part, weight) for part in points.split(at_once)]
        maps.append((change * torch.cat(slopes)).mean(dim=0))
    return torch.stack(maps)


def noisy_baselines(image: Tensor, reference: Tensor, detail: Detail) -> Tensor:
    """The baselines of one picture, (S, C, H, W): its reference with noise, the same for the same seed."""
    noise = drawn((detail.samples, *image.shape), image, detail.seed)
    return reference + _spread(image[None], detail) * noise


def smoothed(
    values: Values, images: Tensor, weights: Tensor, references: Tensor, *, samples: int, detail: Detail
) -> Tensor:
    """SmoothGrad over any method: the mean of its values for noisy copies of each picture.

    Reference:
        Smilkov 2017, arXiv:1706.03825.
    """
    total: Tensor | None = None
    spread = _spread(images, detail)
    for sample in range(samples):
        noise = drawn(images.shape, images, detail.seed * 1_000_003 + sample)
        found = values(images + spread * noise, weights, references)
        total = found if total is None else total + found
    assert total is not None
    return total / samples


def _spread(images: Tensor, detail: Detail) -> Tensor:
    """Standard deviation of the noise for each picture, (M, 1, 1, 1)."""
    flat = images.flatten(1)
    return detail.noise * (flat.amax(1) - flat.amin(1)).view(-1, 1, 1, 1)


def _gradients(scored: Scored, images: Tensor, weight: Tensor) -> Tensor:
    """Of one score for many pictures, like the pictures."""
    points = images.detach().requires_grad_()
    with torch.enable_grad():
        score = scored(points, weight.expand(len(points), -1)).sum()
    return torch.autograd.grad(score, points)[0]
