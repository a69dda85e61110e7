"""A recipe as plain PyTorch source: only what this one recipe does, in one readable loop."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from reswork.errors import InvalidSetting
from reswork.models.channel_rows import split_channels
from reswork.models.config import ResNetConfig
from reswork.models.layout import MASK_HEADS, PICTURE_HEADS
from reswork.training.recipe import Recipe


class _Work(NamedTuple):
    """What goes in, what shall come out, and what tells how good that is."""

    inputs: str  # in words, with their shape
    targets: str
    loss: str  # of ``logits`` and ``labels``
    score: str
    function: str
    source: str
    mean: str  # line that gives mean and deviation of what goes in; none where it stays as it is
    words: tuple[str, str] = ("images", "labels")  # what the script calls both

    def named(self, code: str) -> str:
        """Code in which both are called by their words."""
        for usual, word in zip(("images", "labels"), self.words, strict=True):
            code = code.replace(usual, word)
        return code


def training_imports(recipe: Recipe) -> list[str]:
    """Import lines that `training_code` relies on, beside ``torch`` and ``nn``."""
    lines = ["import copy"] * (recipe.ema is not None)
    lines += ["import math"] * (recipe.schedule in ("cosine", "one_cycle"))
    lines += ["import sys", "import numpy as np", "import torch", "import torch.nn.functional as F"]
    lines += ["from torch import Tensor, nn"]
    lines += ["from torch.utils.checkpoint import checkpoint"] * recipe.checkpoint_activations
    return lines


def work_of(config: ResNetConfig, *, values: bool = False) -> "_Work":
    """What a network does.

    Args:
        config: of the network.
        values: whether it tells values, where it could tell classes too.
    """
    if config.head in PICTURE_HEADS:
        return _PICTURES
    if config.head in MASK_HEADS:
        return _MASKS
    if config.vocabulary is not None:
        inputs, mean = "tokens, int64, (N, L)", ""
    elif config.dims == 2:
        inputs, mean = _CLASSES.inputs, _CLASSES.mean
    else:
        shape = {0: f"rows (N, {config.in_channels})", 1: f"signals (N, {config.in_channels}, L)"}
        inputs = f"float32 {shape.get(config.dims, f'volumes (N, {config.in_channels}, D, H, W)')}"
        axes = ", ".join(map(str, (0, *range(2, config.dims + 2))))
        axes += "," * (not config.dims)
        mean = f"std, mean = torch.std_mean(train_images, ({axes}), correction=0, keepdim=True)"
    usual = _VALUES._replace(inputs=_CLASSES.inputs, mean=_CLASSES.mean) if values else _CLASSES
    if config.dims == 2:
        return usual
    seen = "part" if not mean else "(part - mean) / std"
    source = usual.source.replace("(part.float() - mean) / std", seen)
    if not mean:
        source = source.replace(", mean: Tensor, std: Tensor", "")
    return usual._replace(inputs=inputs, mean=mean, source=source, words=("inputs", "targets"))


def training_code(
    recipe: Recipe,
    file: str,
    config: ResNetConfig,
    transfer: Mapping[str, Any] | None = None,
    *,
    values: bool = False,
) -> str:
    """Functions that train a model as the recipe says: ``train(model, inputs and targets)`` and what it uses.

    Args:
        recipe: of the training.
        file: name of the file into which the script puts the weights.
        config: of the network.
        transfer: how trained weights were taken over, as `check_transfer` allows; None: the weights begin anew.
        values: whether it tells values, where it could tell classes too.

    Raises:
        InvalidSetting: where the recipe asks for what the script does to images and single labels only.
    """
    work = work_of(config, values=values)
    _check_work(recipe, work)
    sections = [_learning_rate(recipe)]
    if recipe.augmentation.crop_padding or recipe.augmentation.translate:
        sections.append(_SHIFTED)
    if recipe.augmentation != type(recipe.augmentation)():
        sections.append(_augment(recipe))
    if recipe.image_scale < 1:
        sections.append(_smaller(recipe))
    if recipe.ema is not None:
        sections.append(_follow(recipe.ema))
    if recipe.optimizer == "muon":
        sections.append(_MUON)
    if recipe.frozen or recipe.layer_rates:
        sections.append(_INNERMOST)
    if _keeps_something(recipe):
        sections.append(_freeze(recipe))
    if channels := _frozen_channels(recipe):
        sections.append(_keep_channels(channels))
    reestimates = transfer is not None and transfer.get("norms") == "reestimated"
    if reestimates:
        sections.append(_REESTIMATE)
    if transfer is not None:
        sections.append(_begin(transfer))
    sections += [_train(recipe, work, reestimates), work.source, _load(work)]
    sections.append(_main(file, begins=transfer is not None))
    return work.named("\n\n\n".join(section.strip("\n") for section in sections) + "\n")


def check_transfer(transfer: Mapping[str, Any]) -> None:
    """Refuse ways to take weights over that the script does not write out.

    Raises:
        InvalidSetting: for a head that was extended by classes, or a stem that was averaged.
    """
    for name, usual in (("head", "new"), ("stem", "kept")):
        if (name, transfer.get(name, usual)) in (("head", "extended"), ("stem", "averaged")):
            raise InvalidSetting(
                name,
                f"{name}={transfer[name]!r} is not written out; take the script without transfer=, and hand it the "
                "weights that rw.transfer.adopt gives",
            )


def _check_work(recipe: Recipe, work: _Work) -> None:
    """What the script does to images and single labels, but not to others."""
    if work == _CLASSES:
        return
    classes = work.function == "accuracy"
    asked = {
        "augmentation": recipe.augmentation != type(recipe.augmentation)(),
        "image_scale": recipe.image_scale < 1,
        "mixup": bool(recipe.mixup),
        "accumulate": recipe.accumulate > 1 and not classes,
        "class_weights": recipe.class_weights is not None and not classes,
        "label_smoothing": bool(recipe.label_smoothing) and work.function not in ("accuracy", "mean_iou"),
    }
    told = work.inputs if classes else work.targets
    for name, wanted in asked.items():
        if wanted:
            raise InvalidSetting(
                name,
                f"{name}={getattr(recipe, name)!r} is not written out for {told}; take the script without it "
                f"(Recipe({name}={getattr(Recipe(), name)!r})) and add it by hand",
            )


def _learning_rate(recipe: Recipe) -> str:
    """The same numbers as `reswork.training.schedules.learning_rates`."""
    peak = repr(recipe.learning_rate)
    head = [
        "def learning_rate(done: int, total: int, per_epoch: int) -> float:",
        f'    """Of the update after `done` of `total` others: {recipe.schedule.replace("_", " ")}."""',
    ]
    if recipe.schedule == "one_cycle":
        last = f"    return {peak} * (end + (start - end) * (1 + math.cos(math.pi * share)) / 2)"
        return "\n".join([*head, *_ONE_CYCLE, last])
    warmup = []
    if recipe.warmup_epochs:
        warmup = [
            f"    warmup = min(total, round({recipe.warmup_epochs!r} * per_epoch))",
            "    if done < warmup:",
            f"        return {peak} * (done + 1) / (warmup + 1)",
        ]
    if recipe.schedule == "constant":
        body = [f"    return {peak}"]
    elif recipe.schedule == "step":
        body = [
            f"    passed = sum(done / total + 1e-12 > milestone for milestone in {recipe.milestones!r})",
            f"    return {peak} * {recipe.decay_factor!r} ** passed",
        ]
    else:
        first = "warmup" if recipe.warmup_epochs else "0"
        share = "done / total" if first == "0" else "(done - warmup) / max(1, total - warmup)"
        body = [f"    return {peak} * (1 + math.cos(math.pi * {share})) / 2"]
    return "\n".join(head + warmup + body)


_ONE_CYCLE = [
    "    progress = done / max(1, total - 1)",
    "    if progress < 0.3:",
    "        start, end, share = 1 / 25, 1.0, progress / 0.3",
    "    else:",
    "        start, end, share = 1.0, 1e-4 / 25, (progress - 0.3) / 0.7",
]

_SHIFTED = '''
def shifted(images: Tensor, pixels: int, edge: str) -> Tensor:
    """Each image moved by up to so many pixels; what moves in is black (constant) or mirrored (reflect)."""
    count, _, height, width = images.shape
    padded = F.pad(images, (pixels,) * 4, mode=edge)  # (N, C, H + 2p, W + 2p)
    top, left = torch.randint(0, 2 * pixels + 1, (2, count, 1), device=images.device)
    rows = (top + torch.arange(height, device=images.device)).unsqueeze(2)  # (N, H, 1)
    columns = (left + torch.arange(width, device=images.device)).unsqueeze(1)  # (N, 1, W)
    which = torch.arange(count, device=images.device).view(-1, 1, 1)
    return padded[which, :, rows, columns].permute(0, 3, 1, 2)  # (N, H, W, C) -> (N, C, H, W)
'''


def _augment(recipe: Recipe) -> str:
    chosen = recipe.augmentation
    lines = [
        "def augmented(images: Tensor) -> Tensor:",
        '    """Random changes to a batch (N, C, H, W) of values from 0 to 255, each image its own."""',
    ]
    if chosen.crop_padding:
        lines.append(f'    images = shifted(images, {chosen.crop_padding}, "constant")')
    if chosen.translate:
        lines.append(f'    images = shifted(images, {chosen.translate}, "reflect")')
    if chosen.flip:
        lines += [
            "    mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5",
            "    images = torch.where(mirrored, images.flip(3), images)",
        ]
    if chosen.cutout:
        lines += [
            "    count, _, height, width = images.shape",
            "    inside = []",
            "    for size in (height, width):",
            "        at = torch.arange(size, device=images.device)",
            f"        first = torch.randint(0, size, (count, 1), device=images.device) - {chosen.cutout // 2}",
            f"        inside.append((at >= first) & (at < first + {chosen.cutout}))  # (N, size)",
            "    square = inside[0].unsqueeze(2) & inside[1].unsqueeze(1)  # (N, H, W)",
            "    images = images.masked_fill(square.unsqueeze(1), 128)  # cutout: a grey square",
        ]
    return "\n".join([*lines, "    return images"])


def _smaller(recipe: Recipe) -> str:
    """The same sizes as `reswork.training.image_sizes.size_at`."""
    begin, rise = repr(recipe.image_scale), repr(1 - recipe.image_scale)
    return f'''
def smaller(images: Tensor, done: int, total: int) -> Tensor:
    """A batch at the size that images have after `done` of `total` updates: they grow to their own."""
    progress = done / total / {recipe.full_size_at!r}
    if progress >= 1:
        return images
    scale = {begin} + {rise} * progress
    size = tuple(min(side, max(4, 4 * round(scale * side / 4))) for side in images.shape[2:])
    return images if size == images.shape[2:] else F.interpolate(images, size, mode="bilinear", antialias=True)
'''


def _follow(decay: float) -> str:
    return f'''
@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, updates: int) -> None:
    """Move the averaged weights and statistics towards the model's; quicker in the first updates."""
    decay = min({decay!r}, (1 + updates) / (10 + updates))
    for mean, live in zip(average.state_dict().values(), model.state_dict().values()):
        if mean.is_floating_point():
            mean.lerp_(live, 1 - decay)
        else:
            mean.copy_(live)
'''


_MUON = '''
class Muon(torch.optim.AdamW):
    """AdamW; where `orthogonal` is set, steps along a momentum that is made so (Jordan et al. 2024)."""

    @torch.no_grad()
    def step(self) -> None:
        apart = [
            (group, p, p.grad)
            for group in self.param_groups
            if group["orthogonal"]
            for p in group["params"]
            if p.grad is not None
        ]
        for _, p, _ in apart:
            p.grad = None  # not AdamW's
        super().step()
        for group, p, gradient in apart:
            momentum, rate = group["betas"][0], group["lr"]
            kept = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
            kept.lerp_(gradient, 1 - momentum)
            step = orthogonalised(gradient.lerp(kept, momentum).flatten(1))
            size = 10 * max(1.0, step.shape[0] / step.shape[1]) ** 0.5  # so that AdamW's rate fits
            p.mul_(1 - rate * group["weight_decay"]).add_(step.view(p.shape), alpha=-rate * size)


def orthogonalised(matrix: Tensor) -> Tensor:
    """UV' of the singular value decomposition UDV', nearly: five rounds of a Newton-Schulz iteration."""
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalised(matrix.T).T
    matrix = matrix / matrix.norm().clamp(min=1e-7)
    for _ in range(5):
        square = matrix @ matrix.T
        matrix = 3.4445 * matrix + (2.0315 * square @ square - 4.7750 * square) @ matrix
    return matrix
'''


_INNERMOST = '''
def innermost(name: str, layers) -> str | None:
    """The longest of some layer names that a layer or weight has or lies within; None: there is none."""
    return max((layer for layer in layers if f"{name}.".startswith(f"{layer}.")), key=len, default=None)
'''


def _keeps_something(recipe: Recipe) -> bool:
    """Whether layers or statistics stand still."""
    return bool(recipe.frozen) or recipe.norm_statistics == "kept"


def _freeze(recipe: Recipe) -> str:
    if not recipe.frozen:
        return _KEEP
    whole = tuple(name for name in recipe.frozen if not split_channels(name)[1])
    stays = "False" if recipe.norm_statistics == "kept" else "not stands_still(name)"
    return f'''
FROZEN = {whole!r}
JOIN_AFTER = {dict(recipe.unfreeze_epochs)!r}  # epochs


def freeze(model: nn.Module, done: int, per_epoch: int) -> None:
    """Let frozen layers stand still after `done` updates: no gradient, and norms that keep their statistics."""
    def stands_still(name: str) -> bool:
        later = innermost(name, JOIN_AFTER)
        joins = later is not None and done >= max(1, round(JOIN_AFTER[later] * per_epoch))
        return innermost(name, FROZEN) is not None and not joins

    for name, weight in model.named_parameters():
        weight.requires_grad_(not stands_still(name))
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train({stays})
'''


def _frozen_channels(recipe: Recipe) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for layer, channels in map(split_channels, recipe.frozen):
        found[layer] = sorted({*found.get(layer, ()), *channels})
    return {layer: channels for layer, channels in found.items() if channels}


def _keep_channels(channels: dict[str, list[int]]) -> str:
    return f'''
FROZEN_CHANNELS = {channels!r}


def kept_channels(model: nn.Module) -> list[tuple[Tensor, list[int], Tensor]]:
    """Weights and statistics, their rows that stand still, and the values of these."""
    found = []
    for name, rows in FROZEN_CHANNELS.items():
        tensors = model.get_submodule(name).state_dict(keep_vars=True).values()
        found += [(tensor, rows, tensor.detach()[rows].clone()) for tensor in tensors if tensor.ndim]
    return found
'''


_KEEP = '''
def freeze(model: nn.Module, done: int, per_epoch: int) -> None:
    """Let all norms keep the statistics that they came with."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
'''


def _train(recipe: Recipe, work: _Work, reestimates: bool = False) -> str:
    normed = ", mean, std" if work.mean else ""
    evaluated = "model" if recipe.ema is None else "average"
    lines = [
        f'"""Train on {work.inputs} with {work.targets};',
        f'print the test {work.score} each epoch."""',
        *_setup(recipe, work),
        *["reestimate(model, train_images, mean, std)"] * reestimates,
        "",
        "step = 0",
        "while step < total:",
        "    model.train()",
        "    order = torch.randperm(len(train_images), device=device)  # the last, smaller batch is left out",
        f"    for chosen in order.split({recipe.batch_size})[:per_epoch]:",
        "        if step == total:",
        "            break",
        *(f"        {line}" for line in _batch(recipe, work)),
        *(f"        {line}" for line in _update(recipe, work)),
        "        step += 1",
        f"    right = {work.function}({evaluated}, test_images, test_labels{normed})",
        '    print(f"step {step} of {total}: loss {loss.item():.4f}, '
        f'test {work.score} {{right:.4f}}", flush=True)',
    ]
    if recipe.ema is not None:
        lines.append("model.load_state_dict(average.state_dict())")
    return "\n".join([
        "def train(",
        "    model: nn.Module, train_images: Tensor, train_labels: Tensor, test_images: Tensor, test_labels: Tensor",
        ") -> None:",
        *(f"    {line}" if line else "" for line in lines),
    ])  # fmt: skip


def _setup(recipe: Recipe, work: _Work) -> list[str]:
    of_images = "H, W" in work.inputs and "D, H" not in work.inputs
    lines = [f"torch.manual_seed({recipe.seed})"]
    lines += [f"random = np.random.default_rng({recipe.seed})"] * bool(recipe.mixup)
    lines += ["torch.use_deterministic_algorithms(True)"] * recipe.deterministic
    if recipe.device == "auto":
        lines.append(
            'device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")'
        )
    else:
        lines.append(f"device = torch.device({recipe.device!r})")
    if recipe.precision == "auto":
        able = "torch.cuda.is_bf16_supported(including_emulation=False)"
        lines.append(f'bf16 = device.type == "cuda" and {able}')
    if of_images and recipe.channels_last == "auto":
        lines.append('layout = torch.contiguous_format if device.type == "mps" else torch.channels_last')
    elif of_images:
        lines.append(f"layout = torch.{'channels_last' if recipe.channels_last else 'contiguous_format'}")
    lines += [
        f"model.to(device{', memory_format=layout' * of_images})",
        "train_images, train_labels, test_images, test_labels = (",
        "    tensor.to(device) for tensor in (train_images, train_labels, test_images, test_labels)",
        ")",
        *work.mean.splitlines(),
        *["std = torch.where(std > 0, std, 1.0)"] * ("std_mean" in work.mean and not of_images),
        *_optimizer(recipe),
    ]
    lines += ["scaler = torch.amp.GradScaler(device.type)"] * (recipe.precision == "fp16")
    lines += ["average = copy.deepcopy(model).eval()"] * (recipe.ema is not None)
    lines += ["kept = kept_channels(model)"] * bool(_frozen_channels(recipe))
    compiled = recipe.compile == "on"
    lines.append(f"forward = {'torch.compile(model)' if compiled else 'model  # or torch.compile(model)'}")
    lines.append(f"per_epoch = max(1, len(train_images) // {recipe.batch_size})")
    lines.append(
        f"total = {recipe.steps}" if recipe.steps is not None else f"total = {recipe.epochs} * per_epoch"
    )
    return lines


def _optimizer(recipe: Recipe) -> list[str]:
    weights = "model.parameters()"
    lines = []
    is_muon = recipe.optimizer == "muon"
    if recipe.layer_rates or is_muon:
        weights = "groups"
        what = ['"params": [p]']
        if recipe.layer_rates:
            lines.append(f"factors = {dict(recipe.layer_rates)!r}  # of the learning rate")
            what.append('"factor": factors.get(innermost(name, factors), 1.0)')
        if is_muon:
            lines.append("matrices = [name for name, p in model.named_parameters() if p.ndim > 1]")
            lines.append("inner = matrices[1:-1]  # neither what takes the images in nor what answers")
            what.append('"orthogonal": name in inner')
        if not recipe.decay_norm_and_bias:
            what.append(f'"weight_decay": {recipe.weight_decay!r} if p.ndim > 1 else 0.0')
        lines += [
            "groups = [",
            f"    {{{', '.join(what)}}}",
            "    for name, p in model.named_parameters()",
            "]",
        ]
    elif not recipe.decay_norm_and_bias:
        weights = "groups"
        lines = [
            "groups = [  # no weight decay for norms and biases",
            '    {"params": [p for p in model.parameters() if p.ndim > 1]},',
            '    {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},',
            "]",
        ]
    rate, decay = f"lr={recipe.learning_rate!r}", f"weight_decay={recipe.weight_decay!r}"
    if recipe.optimizer == "sgd":
        more = f"momentum={recipe.momentum!r}" + ", nesterov=True" * recipe.nesterov
    else:
        more = f"betas=({recipe.momentum!r}, 0.999)"
    names = {
        "sgd": "torch.optim.SGD",
        "adam": "torch.optim.Adam",
        "adamw": "torch.optim.AdamW",
        "muon": "Muon",
    }
    return [
        *lines,
        f"optimizer = {names[recipe.optimizer]}({weights}, {rate}, {more}, {decay})",
        *_class_weights(recipe),
    ]


def _class_weights(recipe: Recipe) -> list[str]:
    if recipe.class_weights is None:
        return []
    if recipe.class_weights != "balanced":
        return [f"class_weights = torch.tensor({list(map(float, recipe.class_weights))!r}, device=device)"]
    return [
        "counts = torch.bincount(train_labels, minlength=model.fc.out_features)",
        "share = counts.sum() / ((counts > 0).sum() * counts.clamp(min=1))  # rare classes count more",
        "class_weights = torch.where(counts > 0, share, 0.0)",
    ]


def _batch(recipe: Recipe, work: _Work) -> list[str]:
    if not work.mean:
        return ["images, labels = train_images[chosen], train_labels[chosen]"]
    layout = ".contiguous(memory_format=layout)" if work.words == ("images", "labels") else ""
    normed = f"({'((images - mean) / std)' if layout else '(images - mean) / std'}{layout})"
    raw = "train_images[chosen].float()"
    if recipe.augmentation != type(recipe.augmentation)():
        raw = f"augmented({raw})"
    lines = [
        f"images, labels = {raw}, train_labels[chosen]",
        f"images = {normed[1:-1]}",
    ]
    lines += ["images = smaller(images, step, total)"] * (recipe.image_scale < 1)
    if recipe.mixup:
        alpha = repr(recipe.mixup)
        lines += [
            f"share = float(random.beta({alpha}, {alpha}))  # mixup: each image with its neighbour",
            "images, others = torch.lerp(images.roll(1, 0), images, share), labels.roll(1, 0)",
        ]
    return lines


def _update(recipe: Recipe, work: _Work) -> list[str]:
    scaled = recipe.precision == "fp16"
    parts = recipe.accumulate > 1
    lines = ["freeze(model, step, per_epoch)"] * _keeps_something(recipe)
    lines += _gradients_of_parts(recipe, work) if parts else _gradients(recipe, work)
    if _frozen_channels(recipe):
        lines += [
            "for tensor, rows, _ in kept:",
            "    if tensor.grad is not None:",
            "        tensor.grad[rows] = 0",
        ]
    if recipe.clip_norm is not None:
        lines += ["scaler.unscale_(optimizer)"] * scaled
        lines.append(f"nn.utils.clip_grad_norm_(model.parameters(), {recipe.clip_norm!r})")
    lines += [
        "for group in optimizer.param_groups:",
        '    group["lr"] = '
        + 'group["factor"] * ' * bool(recipe.layer_rates)
        + "learning_rate(step, total, per_epoch)",
    ]
    lines += ["scaler.step(optimizer)", "scaler.update()"] if scaled else ["optimizer.step()"]
    if _frozen_channels(recipe):
        lines += [
            "with torch.no_grad():",
            "    for tensor, rows, values in kept:",
            "        tensor[rows] = values",
        ]
    lines.append("optimizer.zero_grad()")
    return lines + ["follow(average, model, step + 1)"] * (recipe.ema is not None)


def _gradients_of_parts(recipe: Recipe, work: _Work) -> list[str]:
    names = "images, labels, others" if recipe.mixup else "images, labels"
    cut = [] if recipe.class_weights is not None else ["loss = loss * len(images) / batch"]
    weighted = _gradients(recipe, work, *cut, "whole += loss.detach()")
    return [
        *["weight = class_weights[labels].sum()"] * (recipe.class_weights is not None),
        f"parts = max(1, min({recipe.accumulate}, len(images) // 2))  # their gradients add up",
        "batch, whole = len(images), torch.zeros((), device=device)",
        f"for {names} in zip(*(tensor.tensor_split(parts) for tensor in ({names}))):",
        *(f"    {line}" for line in weighted),
        "loss = whole",
    ]


def _gradients(recipe: Recipe, work: _Work, *more: str) -> list[str]:
    """Loss and backward pass; ``more`` is done to the loss between them."""
    dtype = {"bf16": "bfloat16", "fp16": "float16", "auto": "bfloat16"}.get(recipe.precision)
    lines = ["logits = forward(images)"]
    if dtype is not None:
        when = ", enabled=bf16" if recipe.precision == "auto" else ""
        lines = [f"with torch.autocast(device.type, torch.{dtype}{when}):", "    logits = forward(images)"]
    smooth = f", label_smoothing={recipe.label_smoothing!r}" if recipe.label_smoothing else ""
    after = ""
    if recipe.class_weights is not None:
        smooth += ", weight=class_weights"
        if recipe.accumulate > 1:  # a part's share of the weighted mean
            smooth, after = f'{smooth}, reduction="sum"', " / weight"
    lines.append(f"loss = {work.loss.replace('SMOOTH', smooth)}{after}")
    if recipe.mixup:
        lines += [
            f"other = F.cross_entropy(logits.float(), others{smooth}){after}",
            "loss = share * loss + (1 - share) * other",
        ]
    backward = "scaler.scale(loss).backward()" if recipe.precision == "fp16" else "loss.backward()"
    return [*lines, *more, backward]


_ACCURACY = '''
@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor, mean: Tensor, std: Tensor) -> float:
    """Fraction of the images that the model gets right, in evaluation mode."""
    model.eval()
    right = 0
    for part, answers in zip(images.split(500), labels.split(500)):
        right += (model((part.float() - mean) / std).argmax(1) == answers).sum().item()
    return right / len(images)
'''

_MEAN_IOU = '''
@torch.no_grad()
def mean_iou(model: nn.Module, images: Tensor, labels: Tensor, mean: Tensor, std: Tensor) -> float:
    """Mean over the classes that occur of intersection over union, in evaluation mode; 255 does not count."""
    model.eval()
    counts = 0
    for part, answers in zip(images.split(50), labels.split(50)):
        logits = model((part.float() - mean) / std)
        classes, valid = logits.shape[1], answers != 255
        pairs = answers[valid] * classes + logits.argmax(1)[valid]
        counts = counts + torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    shared = counts.diag()
    either = counts.sum(0) + counts.sum(1) - shared
    return (shared[either > 0] / either[either > 0]).mean().item()
'''

_R2 = '''
@torch.no_grad()
def r2(model: nn.Module, images: Tensor, labels: Tensor, mean: Tensor, std: Tensor) -> float:
    """The share of the values' variance that the answers explain, the mean over the values, in evaluation mode."""
    model.eval()
    answers = torch.cat([model((part.float() - mean) / std).float() for part in images.split(500)])
    truth = labels.view_as(answers)
    return (1 - (answers - truth).square().sum(0) / (truth - truth.mean(0)).square().sum(0)).mean().item()
'''

_PSNR = '''
@torch.no_grad()
def psnr(model: nn.Module, images: Tensor, labels: Tensor, mean: Tensor, std: Tensor) -> float:
    """Peak signal to noise ratio over all pixels and colours in dB, in evaluation mode."""
    model.eval()
    squares = 0.0
    for part, truth in zip(images.split(50), labels.split(50)):
        found = model((part.float() - mean) / std).float().clamp(0, 1)
        squares += (found - truth / 255).square().flatten(1).mean(1).sum().item()
    return -10 * float(np.log10(squares / len(images)))
'''

_MEAN = (
    "std, mean = torch.std_mean(train_images.float(), (0, 2, 3), correction=0, keepdim=True)  # (1, C, 1, 1)\n"
    "std = std.clamp(min=0.5)  # of 255; for a channel that never changes"
)
_CLASSES = _Work(
    "uint8 images (N, C, H, W)", "int64 labels (N,)", "F.cross_entropy(logits.float(), labelsSMOOTH)",
    "accuracy", "accuracy", _ACCURACY, _MEAN,
)  # fmt: skip
_MASKS = _Work(
    "uint8 images (N, C, H, W)", "int64 labels (N, H, W)",
    "F.cross_entropy(logits.float(), labelsSMOOTH, ignore_index=255)", "mean IoU", "mean_iou", _MEAN_IOU, _MEAN,
)  # fmt: skip
_VALUES = _Work(
    "", "float32 values (N, T)", "F.mse_loss(logits.float(), labels.view_as(logits))", "R2", "r2", _R2, "",
)  # fmt: skip
_PICTURES = _Work(
    "uint8 pictures (N, C, H, W)", "uint8 pictures (N, C, sH, sW) as they shall be",
    "F.l1_loss(logits.float(), labels / 255)", "PSNR", "psnr", _PSNR,
    "mean, std = torch.zeros((), device=device), torch.tensor(255.0, device=device)",
)  # fmt: skip


def _load(work: _Work) -> str:
    """Reads the four arrays; what is a class becomes int64."""
    more = [".long()"] * 2 if work.targets.startswith("int64") else ["", ""]
    return f'''
def load(path: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """{work.inputs[0].upper()}{work.inputs[1:]} and {work.targets} from an npz file."""
    with np.load(path) as file:
        names = "train_images", "train_labels", "test_images", "test_labels"
        images, labels, more_images, more_labels = (torch.from_numpy(file[name]) for name in names)
    return images, labels{more[0]}, more_images, more_labels{more[1]}
'''


_REESTIMATE = '''
@torch.no_grad()
def reestimate(model: nn.Module, images: Tensor, mean: Tensor, std: Tensor) -> None:
    """Measure the statistics of all batch norms anew on some training images."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    model.eval()
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # a plain mean over the batches
        module.train()
    some = images[torch.randperm(len(images), device=images.device)[:1000]]
    for part in some.tensor_split(-(-len(some) // 250)):
        model((part.float() - mean) / std)
    for module in norms:
        module.momentum = 0.1
'''


def _begin(transfer: Mapping[str, Any]) -> str:
    skipped = ["fc.", "decoder."] if transfer.get("head", "new") == "new" else []
    skipped += ["conv1."] if transfer.get("stem", "kept") == "new" else []
    return f'''
def begin_with(model: nn.Module, path: str) -> None:
    """Take over the weights of a trained network: all that fit, without what begins anew."""
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file

        trained = load_file(path)
    else:
        trained = torch.load(path, weights_only=True)
    own, anew = model.state_dict(), {tuple(skipped)!r}
    fits = {{name: value for name, value in trained.items() if name in own and own[name].shape == value.shape}}
    model.load_state_dict(
        {{name: value for name, value in fits.items() if not name.startswith(anew)}}, strict=False
    )
'''


def _main(file: str, *, begins: bool = False) -> str:
    files, count = ("data.npz weights", 3) if begins else ("data.npz", 2)
    begin = "    begin_with(network, sys.argv[2])\n" * begins
    return f"""
if __name__ == "__main__":
    if len(sys.argv) != {count}:
        sys.exit(f"usage: python {{sys.argv[0]}} {files}")
    network = ResNet()
{begin}    train(network, *load(sys.argv[1]))
    torch.save(network.state_dict(), "{file}")
"""
