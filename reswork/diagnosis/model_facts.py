"""What a network says: its weights, what a batch does within it, and its answers to images of both splits."""

import copy
import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from reswork.datasets.augmentation import Augmentation, augment, normalise
from reswork.datasets.dataset import Dataset, Split
from reswork.diagnosis.data_facts import matched, neighbour_votes, some
from reswork.diagnosis.facts import Answers, Signals, Weights
from reswork.history import History
from reswork.models.anatomy import residual_blocks
from reswork.models.network import ResNet, resnet
from reswork.probes.layer_lookup import unwrapped
from reswork.probes.private_copy import private_copy
from reswork.recorders import activations, shortcut_and_branch
from reswork.recorders.layer_series import layer_weights
from reswork.tasks import Classification
from reswork.training.events import BatchReady, RunPaused
from reswork.training.recipe import Recipe

_BATCH, _ASKED, _AMONG = 128, 400, 2_000
_HALVES = {torch.float16: ("float16", 2.0**-11), torch.bfloat16: ("bfloat16", 2.0**-8)}
_RATE = 0.01  # for the share of lost updates, where no recipe says one


def weight_facts(model: nn.Module) -> Weights:
    """Layers, norms and modes of a network; it is only read."""
    bare = unwrapped(model)
    layers = layer_weights(bare)
    norms = {
        name: part
        for name, part in bare.named_modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is not None
    }
    rested = copy.deepcopy(bare).eval()
    half = _half_of(bare)
    return Weights(
        layers=tuple(layers),
        trainable=np.array([float(weight.requires_grad) for weight in layers.values()]),
        sizes=np.array([float(weight.numel()) for weight in layers.values()]),
        norms=np.array([float(weight.detach().float().norm()) for weight in layers.values()]),
        finite=all(bool(each.isfinite().all()) for each in bare.parameters()),
        half="" if half is None else _HALVES[half][0],
        batch_norms=tuple(norms),
        untouched=np.array([float(_is_untouched(part)) for part in norms.values()]),
        stuck=tuple(name for name, part in rested.named_modules() if part.training and name),
        dropout=max(
            (part.p for part in bare.modules() if isinstance(part, nn.Dropout | nn.Dropout2d)), default=0.0
        ),
        altered=_altered(bare),
    )


def _altered(model: nn.Module) -> tuple[str, ...]:
    """Layers of a network that was built here which are not as its settings say."""
    if not isinstance(model, ResNet):
        return ()
    with torch.device("meta"):  # without weights
        built = resnet(model.config)
    told = {name: (type(part), part.extra_repr()) for name, part in built.named_modules()}
    found = [
        name for name, part in model.named_modules() if told.get(name) != (type(part), part.extra_repr())
    ]
    return tuple(name for name in found if name)


def signal_facts(model: nn.Module, data: Dataset, recipe: Recipe | None = None) -> Signals:
    """What a batch of training images does in a copy of a network in training mode.

    Args:
        model: only read.
        data: with labels, on the processor.
        recipe: whose updates are judged; None: SGD at 0.01.
    """
    split = some(data.train, _BATCH)
    inputs, labels = normalise(split.images, data.mean, data.std), split.labels
    inputs, copied = _as_taken(model, inputs), _in_training(model).requires_grad_(True)
    history, task = History(), Classification()
    for recorder in (activations(history, images=_BATCH), shortcut_and_branch(history)):
        recorder(BatchReady(1, 1, copied, inputs, labels, task))
        recorder(RunPaused(1))
    mismatch: dict[str, float] = {}
    with _watched_norms(copied, mismatch), torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        cross_entropy(task.call(copied, inputs), labels).backward()
    layers = layer_weights(copied)
    grads = {name: torch.zeros_like(w) if w.grad is None else w.grad for name, w in layers.items()}
    half = _half_of(model)
    unit = 2.0**-24 if half is None else _HALVES[half][1]
    lost = [
        float((_update(grads[name], recipe) < unit / 2 * weight.abs()).float().mean())
        for name, weight in layers.items()
    ]
    blocks = residual_blocks(copied)
    rows = {
        group: _row(history, group, len(blocks)) for group in ("dead_share", "branch_size", "shortcut_size")
    }
    return Signals(
        layers=tuple(layers),
        gradients=np.array([float(grad.norm()) for grad in grads.values()]),
        lost=np.array(lost),
        blocks=tuple(block.name for block in blocks),
        dead=rows["dead_share"],
        branch=rows["branch_size"],
        shortcut=rows["shortcut_size"],
        identity=np.array([float(block.has_shortcut and block.shortcut is None) for block in blocks]),
        norms=tuple(mismatch),
        mismatch=np.array(list(mismatch.values())),
    )


def answer_facts(model: nn.Module, data: Dataset, augmentation: Augmentation | None = None) -> Answers:
    """What a network says to up to 400 images of each split.

    Args:
        model: only read.
        data: with labels, on the processor.
        augmentation: of the recipe, where there is one.
    """
    own = copy.deepcopy(unwrapped(model)).eval()  # as its owner would call it, with what its eval() does
    train, test = some(data.train, _ASKED), some(data.test, _ASKED)
    inputs, test_inputs = (
        _as_taken(model, normalise(split.images, data.mean, data.std)) for split in (train, test)
    )
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        logits, scaled = _with_scale(own, inputs)
        test_logits = _logits(own, test_inputs)
        again = torch.cat([_logits(own, part) for part in inputs.flip(0).split(50)]).flip(0)
        busy = _logits(_in_training(model), inputs)
        order, channels = _best_order(own, test, data)
        augmented = np.nan
        if augmentation is not None and augmentation != Augmentation():
            changed = augment(train.images, augmentation, torch.Generator().manual_seed(0))
            seen = _as_taken(model, normalise(changed, data.mean, data.std))
            augmented = _score(_logits(own, seen), train.labels)
    chances = logits.softmax(1)
    top, names = chances.max(1)
    among = some(data.train, _AMONG)
    classes = logits.shape[1]
    return Answers(
        classes=classes,
        train_loss=_loss(logits, train.labels),
        train_score=_score(logits, train.labels),
        test_loss=_loss(test_logits, test.labels),
        test_score=_score(test_logits, test.labels),
        training_mode_score=_score(busy, train.labels),
        training_mode_loss=_loss(busy, train.labels),
        confidence=float(top.mean()),
        named=torch.bincount(names, minlength=classes).double().numpy() / len(names),
        spread=float(logits.std(0).mean()),
        range=float((logits.amax(1) - (logits.sum(1) - logits.amax(1)) / (classes - 1)).mean()),
        low=float(logits.min()),
        high=float(logits.max()),
        sum_error=float((logits.sum(1) - 1).abs().max()),
        drift=float((chances - again.softmax(1)).abs().sum(1).mean() / 2),
        scaled=scaled,
        doubtful=_doubtful(logits, train, neighbour_votes(train, among, len(data.classes))),
        doubtful_test=_doubtful(test_logits, test, neighbour_votes(test, among, len(data.classes))),
        matched_score=matched(test_logits.argmax(1), test.labels, max(classes, len(data.classes))),
        channel_score=channels,
        channel_order=order,
        augmented_score=augmented,
    )


def _update(gradient: Tensor, recipe: Recipe | None) -> Tensor:
    """About how much an update changes each weight, in the middle of the schedule."""
    if recipe is None:
        return _RATE * gradient.abs()
    if recipe.optimizer != "sgd":
        return torch.full_like(gradient, recipe.learning_rate / 2)
    return recipe.learning_rate / 2 / (1 - recipe.momentum) * gradient.abs()


def _half_of(model: nn.Module) -> torch.dtype | None:
    """The type of its weights where that is a half one."""
    return next((each.dtype for each in model.parameters() if each.dtype in _HALVES), None)


def _as_taken(model: nn.Module, inputs: Tensor) -> Tensor:
    """The inputs in the precision of the weights."""
    half = _half_of(model)
    return inputs if half is None else inputs.to(half)


def _in_training(model: nn.Module) -> nn.Module:
    """A copy in training mode, in the network's own precision, as its updates are what is asked about."""
    copied = private_copy(model)[0] if _half_of(model) is None else copy.deepcopy(unwrapped(model))
    for part in copied.modules():
        part.training = True
    return copied


def _logits(model: nn.Module, inputs: Tensor) -> Tensor:
    found: Tensor = Classification().call(model, inputs)
    return found


def _with_scale(model: nn.Module, inputs: Tensor) -> tuple[Tensor, float]:
    """The answers, and how many times as much they differ as what the last layer with weights gives."""
    last = next((part for part in reversed(list(model.modules())) if isinstance(part, nn.Linear)), None)
    given: list[Tensor] = []
    hook = None if last is None else last.register_forward_hook(lambda _part, _x, y: given.append(y.detach()))
    try:
        logits = _logits(model, inputs)
    finally:
        if hook is not None:
            hook.remove()
    if not given or given[-1].shape != logits.shape:
        return logits, np.nan
    return logits, float(logits.std() / given[-1].std().clamp_min(1e-12))


def _doubtful(logits: Tensor, split: Split, votes: Tensor) -> float:
    """Share of labels that get less than guessing would give them, where neighbours say what the network says."""
    chances = logits.softmax(1)
    own = chances.gather(1, split.labels[:, None])[:, 0]
    names = chances.argmax(1)
    return float(((votes == names) & (names != split.labels) & (own < 1 / logits.shape[1])).float().mean())


def _loss(logits: Tensor, labels: Tensor) -> float:
    return float(cross_entropy(logits, labels))


def _score(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(1) == labels).float().mean())


def _best_order(model: nn.Module, split: Split, data: Dataset) -> tuple[tuple[int, ...], float]:
    """The order of three channels with which most is right, other than the given one, and how much that is."""
    if split.images.shape[1] != 3:
        return (), np.nan
    orders = list(itertools.permutations(range(3)))[1:]
    scores = [
        _score(
            _logits(model, _as_taken(model, normalise(split.images[:, order], data.mean, data.std))),
            split.labels,
        )
        for order in orders
    ]
    best = int(np.argmax(scores))
    return orders[best], scores[best]


def _is_untouched(norm: nn.modules.batchnorm._BatchNorm) -> bool:
    assert norm.running_mean is not None and norm.running_var is not None
    return not norm.running_mean.any() and bool((norm.running_var == 1).all())


@contextmanager
def _watched_norms(model: nn.Module, found: dict[str, float]) -> Iterator[None]:
    """Into ``found``: how far each batch norm's kept statistics are from those of the batch."""
    kept = {
        name: (part.running_mean.clone(), part.running_var.clone())
        for name, part in model.named_modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm)
        and part.running_mean is not None
        and part.running_var is not None
    }

    def look(name: str, tensor: Tensor) -> None:
        others = [dimension for dimension in range(tensor.ndim) if dimension != 1]
        variance, mean = torch.var_mean(tensor.detach(), others, correction=0)
        old_mean, old_variance = kept[name]
        floor = variance.mean() * 1e-3 + 1e-8  # of channels that carry next to nothing
        shift = (mean - old_mean).abs() / (variance + floor).sqrt()
        ratio = ((variance + floor) / (old_variance.abs() + floor)).log().abs()
        found[name] = float((shift + ratio).median())

    hooks = [
        model.get_submodule(name).register_forward_pre_hook(
            lambda _, inputs, name=name: look(name, inputs[0])
        )
        for name in kept
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _row(history: History, group: str, blocks: int) -> np.ndarray:
    """The only measurement of a group, (B,); NaN where nothing was measured."""
    values = history.vectors(group).values
    return values[-1] if len(values) else np.full(blocks, np.nan)
