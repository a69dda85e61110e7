"""The trust meter: five questions put to every map, and what the answers mean."""

import math
import time
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reswork.errors import InvalidSetting
from reswork.probes.attribution import scored_answers, separated
from reswork.probes.attribution_methods import Method
from reswork.probes.attribution_request import Settings, request_for
from reswork.probes.baselines import Baseline
from reswork.probes.captum_methods import largest_change, unexplained_share
from reswork.probes.explainer import Explainer, check_method
from reswork.probes.inpainting import inpainted
from reswork.probes.isolation import OwnRandomness
from reswork.probes.options import Options
from reswork.probes.private_copy import private_copy
from reswork.probes.randomisation import rank_correlation, shuffled_cascade
from reswork.probes.sampling import noisy_baselines
from reswork.probes.scalar_model import Output, ScalarModel, checked_images
from reswork.probes.targets import Target
from reswork.results.attributions import Check, Finding, Trust

_FRACTIONS = 11
_INVISIBLE = 0.01  # of the picture's range


def trust(
    model: nn.Module,
    images: Tensor,
    *,
    method: Method = "grad_cam",
    target: Target = "predicted",
    layer: str | None = None,
    baseline: Baseline = "black",
    smooth: int = 0,
    output: Output = None,
    options: Options | None = None,
    samples: int = 48,
    points: int = 6,
) -> tuple[Trust, ...]:
    """How far each map of a method can be trusted, in numbers and in words.

    Takes the same arguments as `attribution` and asks of each of its maps: does the sum come out
    (completeness); does the answer go when the map's pixels go, and come with them (deletion, insertion), more
    than with the map laid elsewhere; does it explain what covering patches does (infidelity); does it hold
    still under noise that nobody sees (sensitivity); does it depend on the weights at all (randomisation).

    Args:
        model: any module; it stays as it is.
        images: (N, C, H, W).
        method: as in `attribution`, like all else.
        target: what to explain.
        layer: for methods that look at one.
        baseline: what stands for nothing.
        smooth: noisy copies.
        output: which of several outputs.
        options: settings.
        samples: pictures with a covered patch, for infidelity; a sixth as many for sensitivity.
        points: at how many depths to look while the weights are shuffled.

    Returns:
        One for each map.

    Raises:
        InvalidSetting: as `attribution`.
    """
    check_method(method, layer, smooth)
    for name, value in (("samples", samples), ("points", points)):
        if value < 1:
            raise InvalidSetting(name, f"{name}={value}: choose at least 1")
    settings = Settings(method, target, layer, baseline, smooth, options or Options())
    copied, _ = private_copy(model)
    scalar_model = ScalarModel(copied, output)
    taken = checked_images(scalar_model, images)
    separated(scalar_model, taken, one_pass=False)
    with OwnRandomness() as randomness:
        logits = scored_answers(scalar_model, taken)
    with randomness.if_drawn():
        request = request_for(settings, scalar_model, taken, logits)
        rows, names = request.asked.rows.tolist(), request.asked.names
        parts = zip(
            *(each.split(1) for each in (request.images, request.asked.weights, request.references)),
            strict=True,
        )
        cases = (_Case(request.explain, model, *part) for part in parts)
        return tuple(
            replace(case.meter(samples, points), image=row, target=name)
            for case, row, name in zip(cases, rows, names, strict=True)
        )


class _Case:
    """One map and all that is needed to put questions to it."""

    def __init__(
        self, explain: Explainer, model: nn.Module, image: Tensor, weights: Tensor, reference: Tensor
    ) -> None:
        self.explain, self.model = explain, model
        self.image, self.weights, self.reference = image, weights, reference
        self.span = float(image.amax() - image.amin())
        self.values = explain.values(image, weights, reference)  # (1, C, h, w)
        self.map = self._pixels(self.values)  # (H, W)

    def meter(self, samples: int, points: int) -> Trust:
        begin = time.perf_counter()
        fractions, curves = self._curves()
        layers, correlations = self._randomised(points)
        checks: tuple[Check, ...] = (
            self._completeness(),
            self._faithfulness(curves),
            self._infidelity(samples),
            self._sensitivity(max(2, samples // 6)),
            _randomisation_check(correlations),
        )
        if float(self.map.amax() - self.map.amin()) == 0:
            checks = (
                Check("empty", 0.0, "failed", "The map is the same everywhere: it says nothing."),
                *checks,
            )
        own, moved = curves[0], curves[1:]
        return Trust(
            self.explain.method.name, 0, "", checks, fractions.astype(np.float32), own[0], own[1], moved[:, 0],
            moved[:, 1], layers, correlations, time.perf_counter() - begin, self.explain.method.label,
        )  # fmt: skip

    def _pixels(self, values: Tensor) -> Tensor:
        """(1, C, h, w) to (H, W)."""
        summed = values.sum(dim=1, keepdim=True)
        return F.interpolate(summed, self.image.shape[2:], mode="bilinear", align_corners=False)[0, 0]

    def _completeness(self) -> Check:
        if not self.explain.method.complete or self.explain.smooth:
            return Check("completeness", math.nan, "not asked", "The method promises no sum.")
        with torch.no_grad():
            before = self.explain.scalar_model(self.image, self.weights)
            starts = self.reference
            if self.explain.method.noisy_baseline:
                starts = noisy_baselines(self.image[0], self.reference[0], self.explain.options)
            after = self.explain.scalar_model(starts, self.weights.expand(len(starts), -1)).mean()
        change = float(before - after)
        gap = abs(float(self.values.sum()) - change) / abs(change) if change else math.nan
        return Check(
            "completeness",
            gap,
            _graded(gap, 0.05, 0.2),
            f"The map's sum misses the change of the score by {100 * gap:.1f} % (5 % would do).",
        )

    def _curves(self) -> tuple[np.ndarray, np.ndarray]:
        """Fractions (P,), and deletion and insertion for the map and the map moved elsewhere, (1 + 3, 2, P)."""
        fractions = np.linspace(0, 1, _FRACTIONS)
        height, width = self.map.shape
        moves = ((0, 0), (height // 2, width // 2), (height // 2, 0), (0, width // 2))
        masks = [_masks(torch.roll(self.map, move, (0, 1)), fractions) for move in moves]
        found = [self._chances(mask) for mask in torch.cat(masks).split(22)]
        return fractions, torch.cat(found).view(len(moves), 2, -1).cpu().numpy()

    @torch.no_grad()
    def _chances(self, removed: Tensor) -> Tensor:
        """Probability of the target, with pixels taken out, (P,)."""
        images = inpainted(self.image[0], removed, self.explain.options.seed)
        logits = torch.cat(
            [self.explain.scalar_model.logits(part) for part in images.split(self.explain.at_once)]
        )
        return (logits.softmax(dim=1) * self.weights).sum(dim=1).float()

    def _faithfulness(self, curves: np.ndarray) -> Check:
        areas = curves.mean(axis=2)  # (1 + 3, 2)
        gains = areas[:, 1] - areas[:, 0]  # insertion should be large, deletion small
        ahead = float(gains[0] - gains[1:].mean())
        finding: Finding = "failed" if ahead <= 0 else "passed"
        if finding == "passed" and (gains[0] <= gains[1:].max() or ahead < 0.02):
            finding = "doubtful"
        better = "better" if ahead > 0 else "worse"
        return Check(
            "deletion and insertion",
            ahead,
            finding,
            f"Taking its pixels away, and putting them back, moves the answer by {abs(ahead):.2f} {better} than "
            "the same map laid elsewhere.",
        )

    def _infidelity(self, samples: int) -> Check:
        full = self.values
        if full.shape != self.image.shape:
            full = (self.map / self.image.shape[1]).expand_as(self.image)
        generator = np.random.default_rng(self.explain.options.seed)
        local = self.explain.method.slope
        # amounts belong to a patch whatever its contrast; slopes are multiplied by what was taken away
        contrast = self.image - self.reference
        amounts = full if local else full / torch.where(contrast == 0, math.inf, contrast)

        def patches(images: Tensor) -> Tensor:
            covers = _patches(len(images), images.shape[2:], generator).to(images)
            return covers[:, None] * (images - self.reference)

        share = unexplained_share(
            self.explain.scalar_model, self.image, self.weights, amounts, patches, samples
        )
        return Check(
            "infidelity",
            share,
            _graded(share, 0.8, 0.98),
            f"It leaves {100 * share:.0f} % of what covering patches does to the score unexplained.",
        )

    def _sensitivity(self, samples: int) -> Check:
        generator = torch.Generator().manual_seed(self.explain.options.seed)

        def noise(images: Tensor) -> Tensor:
            drawn = torch.rand(images.shape, generator=generator).to(images)
            return _INVISIBLE * self.span * (2 * drawn - 1)

        def explained(images: Tensor) -> Tensor:
            count = len(images)
            weights, reference = self.weights.expand(count, -1), self.reference.expand(count, -1, -1, -1)
            return self.explain.values(images, weights, reference)

        change = largest_change(explained, self.image, noise, samples)
        return Check(
            "sensitivity",
            change,
            _graded(change, 0.5, 1.0),
            f"Noise of 1 % changes the map by up to {100 * change:.0f} % of its length.",
        )

    def _randomised(self, points: int) -> tuple[tuple[str, ...], np.ndarray]:
        net, _ = private_copy(self.model)
        names, found = [], []
        for name in shuffled_cascade(net, points, self.explain.options.seed):
            explain = self.explain.on(net, self.image)
            values = explain.values(self.image, self.weights, self.reference)
            names.append(name)
            found.append(rank_correlation(self.map.cpu(), self._pixels(values).cpu()))
        return tuple(names), np.array(found, np.float32)


def _randomisation_check(correlations: np.ndarray) -> Check:
    if not len(correlations):
        return Check("randomisation", math.nan, "not asked", "The net has no weights to shuffle.")
    upper = correlations[: max(1, len(correlations) // 2)]  # what is class-specific lies there
    likeness = max(float(upper.mean()), float(correlations[-1]))
    return Check(
        "randomisation",
        likeness,
        _graded(likeness, 0.7, 0.8),
        f"With the upper layers' weights shuffled it stays alike by {likeness:.2f} (1: the same map; at most 0.7 "
        "would do): so far it depends on the picture rather than on what the net learned.",
    )


def _graded(value: float, good: float, bad: float) -> Finding:
    """Small is good; what is no number was not asked."""
    if math.isnan(value):
        return "not asked"
    return "passed" if value <= good else "doubtful" if value <= bad else "failed"


def _masks(map_: Tensor, fractions: np.ndarray) -> Tensor:
    """What to remove: the most important pixels first, then all but the most important, bool (2 P, H, W)."""
    mixed = torch.randperm(map_.numel(), generator=torch.Generator().manual_seed(0)).to(map_.device)
    order = mixed[map_.flatten()[mixed].argsort(descending=True)]  # ties in no order
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    counts = torch.from_numpy((fractions * len(order)).round().astype(np.int64)).to(order.device)
    first = rank[None] < counts[:, None]
    return torch.cat([first, ~first]).view(-1, *map_.shape)


def _patches(count: int, size: torch.Size, generator: np.random.Generator) -> Tensor:
    """Random squares with sides of an eighth to a half of the picture, bool (n, H, W)."""
    height, width = size
    side = generator.integers(max(1, min(size) // 8), max(2, min(size) // 2 + 1), count)
    top = (generator.random(count) * (height - side + 1)).astype(int)
    left = (generator.random(count) * (width - side + 1)).astype(int)
    y, x = np.arange(height), np.arange(width)
    rows = (y >= top[:, None]) & (y < (top + side)[:, None])
    columns = (x >= left[:, None]) & (x < (left + side)[:, None])
    return torch.from_numpy(rows[:, :, None] & columns[:, None, :])
