"""The initialisation microscope: what a fresh network does to signals and gradients, before its first step."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reswork.datasets.augmentation import normalise
from reswork.datasets.builtin import digits
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.models.anatomy import residual_blocks
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet, resnet
from reswork.results.initialisation import Initialisation, autocorrelation

IMAGES, LINE, POINTS, LAGS = 48, 32, 2, 8  # of the batch, on the line, with a Jacobian; places apart


def initialisation(
    config: ResNetConfig,
    data: Dataset | None = None,
    *,
    gain: float = 1.0,
    learning_rate: float = 0.1,
    seed: int = 0,
) -> Initialisation:
    """What a network is like before its first step, from two batches there and back; a fraction of a second.

    Read from it whether signals and gradients keep their size on their way, whether different images stay different,
    whether neighbouring inputs ask for the same change, and how far a first step would go; `forecast` reads it.

    Args:
        config: of a classifier.
        data: what it would learn; None: digits.
        gain: what the convolutions' weights are multiplied by after He's initialisation.
        learning_rate: for the first step.
        seed: of weights and choice of images.

    Returns:
        Arrays by block and by layer, the gradients along a line, singular values.

    Raises:
        InvalidSetting: for a network that does not fit the data, or no classes.

    Reference:
        Brock et al. 2021, arXiv:2101.08692, section 3; Balduzzi et al. 2017, arXiv:1702.08591.
    """
    begun = time.perf_counter()
    data = data or _digits()
    if config.head != "classifier" or not data.classes:
        raise InvalidSetting("config", "the microscope looks at classifiers; choose head='classifier'")
    if not (0 < gain <= 100 and 0 < learning_rate <= 1000):
        raise InvalidSetting("gain", f"gain={gain!r} and learning_rate={learning_rate!r} must be above 0")
    model = fresh(config, data, gain=gain, seed=seed)
    chosen = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(seed))[:IMAGES]
    images = normalise(data.train.images[chosen], data.mean, data.std, torch.float32, torch.contiguous_format)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = None  # its statistics become exactly those of this one batch
    with torch.enable_grad():
        with signals(model) as found:
            loss = F.cross_entropy(model.train()(images), data.train.labels[chosen])
        loss.backward()
        names, gradients, updates = _first_step(model, learning_rate)
        along, jacobian = _by_the_input(model.eval(), images, len(data.classes), seed)
        curvature = learning_rate * _curvature(model.train(), images, data.train.labels[chosen])
    return Initialisation(
        tuple(block.name for block in residual_blocks(model)),
        found["stream"],
        found["branch"],
        found["likeness"],
        names,
        gradients,
        updates,
        along,
        jacobian,
        curvature,
        float(loss.detach()),
        learning_rate,
        config.norm != "none",
        len(data.classes),
        time.perf_counter() - begun,
    )


@cache
def _digits() -> Dataset:
    return digits()


def fresh(config: ResNetConfig, data: Dataset, *, gain: float = 1.0, seed: int = 0) -> ResNet:
    """A network with He's initialisation times a number; torch's random state stays as it was.

    Args:
        config: its settings.
        data: which it has to fit.
        gain: what the convolutions' weights are multiplied by.
        seed: of the weights.
    """
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        model = resnet(config, input_shape=data.input_shape)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                module.weight *= gain
    return model


@contextmanager
def signals(model: nn.Module) -> Iterator[dict[str, np.ndarray]]:
    """Sizes of what passes through each block while a network is called; there when the context is left.

    Args:
        model: any network with residual blocks, or a plain one that was built here.

    Yields:
        ``stream``: (B,) average channel variance of the block's output; ``branch``: the same of F(x) before the
        addition, NaN where there is none; ``mean``: average squared channel mean of the output; ``likeness``: mean
        cosine between the outputs of two different images.

    Reference:
        Brock et al. 2021, arXiv:2101.08692, section 3.
    """
    blocks = residual_blocks(model)
    found = {what: np.full(len(blocks), np.nan) for what in ("stream", "branch", "mean", "likeness")}

    def look(index: int, what: str, output: Tensor) -> None:
        channels = output.detach().double().transpose(0, 1).flatten(1)  # (C, N H W)
        found[what][index] = float(channels.var(dim=1, correction=0).mean())
        if what == "stream":
            found["mean"][index] = float(channels.mean(dim=1).square().mean())
            found["likeness"][index] = _likeness(output.detach().flatten(1))

    hooks = []
    for index, block in enumerate(blocks):
        for what, module in (("stream", block.module), ("branch", block.branch_module)):
            if module is not None:
                hooks.append(
                    module.register_forward_hook(
                        lambda _m, _i, out, index=index, what=what: look(index, what, out)
                    )
                )
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def signal_sizes(model: nn.Module, images: Tensor) -> dict[str, np.ndarray]:
    """`signals` of a network in training mode, over a batch; its norms' statistics move.

    Args:
        model: likewise.
        images: (N, C, H, W).
    """
    with torch.no_grad(), signals(model) as found:
        model.train()(images)
    return found


def _likeness(rows: Tensor) -> float:
    """Mean cosine between two different rows, (N, D)."""
    units, count = F.normalize(rows.double(), dim=1), len(rows)
    return float((units.sum(0).square().sum() - units.square().sum()) / max(count * (count - 1), 1))


def _first_step(model: nn.Module, learning_rate: float) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names, gradients' norms and updates of all layers with a matrix of weights."""
    layers = [(name, m.weight) for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    gradients = torch.stack([weight.grad.norm() for _, weight in layers if weight.grad is not None]).double()
    sizes = torch.stack([weight.detach().norm() for _, weight in layers]).double()
    usual = torch.tensor([(2 * len(weight)) ** 0.5 for _, weight in layers])  # sqrt(numel * 2 / fan in)
    updates = learning_rate * gradients / torch.where(sizes > 0, sizes, usual)
    return tuple(name for name, _ in layers), gradients.numpy(), updates.numpy()


def _curvature(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Of the loss along its gradient, from the gradient a small step further down; NaN where there is none."""
    own: list[Tensor] = [parameter for parameter in model.parameters() if parameter.grad is not None]
    first = [parameter.grad.clone() for parameter in own if parameter.grad is not None]
    size = torch.stack([each.double().norm() for each in first]).norm()
    if not bool(size.isfinite()) or size == 0:
        return float("nan")
    weights = torch.stack([parameter.detach().double().norm() for parameter in own]).norm()
    step = float(1e-3 * weights / size)
    with torch.no_grad():
        torch._foreach_add_(own, first, alpha=-step)
    second = torch.autograd.grad(F.cross_entropy(model(images), labels), own)
    with torch.no_grad():
        torch._foreach_add_(own, first, alpha=step)
    change = sum(((old - new).double() * old.double()).sum() for old, new in zip(first, second, strict=True))
    return float(change / step / size**2)


def _by_the_input(model: nn.Module, images: Tensor, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(LAGS + 1,) autocorrelation between two images, and (POINTS, K) singular values; one pass there and back.

    In evaluation mode the images of a batch are apart, so one batch holds each image once for each output.
    """
    share = torch.linspace(0, 1, LINE)[:, None, None, None]
    line = images[:1] * (1 - share) + images[1:2] * share
    points = images[:POINTS].repeat_interleave(classes, 0)
    generator = torch.Generator().manual_seed(seed)
    weights = torch.cat(
        [
            torch.randn(1, classes, generator=generator).expand(
                LINE, -1
            ),  # the same sum of outputs everywhere
            torch.eye(classes).repeat(len(points) // classes, 1),
        ]
    )
    inputs = torch.cat([line, points]).requires_grad_()
    (gradients,) = torch.autograd.grad((model(inputs) * weights).sum(), inputs)
    rows = gradients[:LINE].flatten(1).T.numpy()  # (D, LINE)
    matrices = gradients[LINE:].unflatten(0, (-1, classes)).flatten(2)  # (n, K, D)
    with np.errstate(all="ignore"):
        found = autocorrelation(rows, LAGS)
    known = np.isfinite(found).all(axis=1)
    mean = found[known].mean(axis=0) if known.any() else np.full(LAGS + 1, np.nan)
    return mean, _singular(matrices)


def _singular(matrices: Tensor) -> np.ndarray:
    if not bool(matrices.isfinite().all()):
        return np.full(matrices.shape[:2], np.nan)
    return torch.linalg.svdvals(matrices.double())[:, : matrices.shape[1]].numpy()
