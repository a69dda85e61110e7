"""How much of a stage's attribution came over its shortcuts, and how much through its branches."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.models.anatomy import BlockAnatomy, residual_blocks
from reswork.probes.inputs import numbers
from reswork.probes.isolation import OwnRandomness
from reswork.probes.private_copy import private_copy
from reswork.probes.scalar_model import Output, ScalarModel, checked_images, first_answer
from reswork.probes.targets import Question, Target, Top, question
from reswork.results.attributions import ShortcutShares


def shortcut_shares(
    model: nn.Module, images: Tensor, *, target: Target = "predicted", output: Output = None
) -> tuple[ShortcutShares, ...]:
    """For each stage of a residual net, which part of its attribution came over the shortcuts.

    The whole is gradient times activation at the stage's end. Between two additions of a stage lies nothing
    but a ReLU, which passes a value whole or not at all; so the end is a sum of what each branch added and
    of what came in, each let through by the ReLUs behind it, and the whole falls into the same parts. They
    add up exactly, but for constants that later projections of the same stage add.

    Args:
        model: any module with residual blocks; it stays as it is.
        images: (N, C, H, W), as the net gets them.
        target: what to explain, as in `attribution`, but for ``Top``.
        output: which of several outputs.

    Returns:
        One for each stage, from the input on; a stage is a row of blocks of the same parent.

    Raises:
        InvalidSetting: for a net without residual blocks.

    Example:
        >>> import torch, reswork as rw
        >>> shares = shortcut_shares(rw.resnet(depth=20), torch.rand(1, 3, 32, 32), target=3)
        >>> [(share.stage, len(share.blocks)) for share in shares]
        [('layer1', 3), ('layer2', 3), ('layer3', 3)]
    """
    if isinstance(target, Top):
        raise InvalidSetting(
            "target", "shares are of one target: give a class, 'predicted' or Difference(3, 5)"
        )
    copied, _ = private_copy(model)
    blocks = [block for block in residual_blocks(copied) if block.has_shortcut]
    if not blocks:
        raise InvalidSetting(
            "model", "this net has no residual blocks that can be read: nothing to share out"
        )
    scalar_model = ScalarModel(copied, output)
    taken = checked_images(scalar_model, images)
    with OwnRandomness():
        with torch.no_grad():
            asked = question(target, first_answer(scalar_model, taken))
        stages: dict[str, list[BlockAnatomy]] = {}  # blocks by the name of what holds them
        for block in blocks:
            stages.setdefault(block.name.rpartition(".")[0] or block.name, []).append(block)
        return tuple(_shares(scalar_model, taken, stage, members, asked) for stage, members in stages.items())


def _shares(
    scalar_model: ScalarModel, images: Tensor, stage: str, blocks: list[BlockAnatomy], asked: Question
) -> ShortcutShares:
    """One forward in which the stage's branches and what enters it are cut off from what lies before them."""
    cut = _Cut()
    with torch.enable_grad(), cut.in_(blocks):
        scores = scalar_model(images, asked.weights)
    leaves = [cut.entry, *cut.branches]
    gradients = torch.autograd.grad(scores.sum(), [cut.end, *leaves], allow_unused=True)
    products = [
        torch.zeros_like(value) if gradient is None else value.detach() * gradient
        for value, gradient in zip([cut.end, *leaves], gradients, strict=True)
    ]
    whole, entered, *through = (product.flatten(1).sum(dim=1) for product in products)
    branches = torch.stack(through, dim=1) if through else whole.new_zeros(len(whole), 0)
    maps = [product.sum(dim=1) for product in products if product.dim() == 4]
    branch_map = torch.stack(maps[2:]).sum(dim=0) if len(maps) > 2 else torch.zeros_like(maps[1])
    return ShortcutShares(
        stage,
        tuple(block.name for block in blocks if block.branch is not None),
        whole=numbers(whole),
        over_shortcuts=numbers(entered),
        through_branches=numbers(branches),
        rest=numbers(whole - entered - branches.sum(dim=1)),
        shortcut_maps=numbers(maps[1]),
        branch_maps=numbers(branch_map),
        images=asked.rows.cpu().numpy(),
        targets=asked.names,
    )


class _Cut:
    """Leaves of the graph where values enter a stage's stream, and the stage's end."""

    def __init__(self) -> None:
        self.entry = torch.empty(0)
        self.branches: list[Tensor] = []
        self.end = torch.empty(0)

    @contextmanager
    def in_(self, blocks: list[BlockAnatomy]) -> Iterator[None]:
        """Hooks on the blocks of one stage, for one forward."""
        first, last = blocks[0], blocks[-1]
        hooks = [
            block.branch_module.register_forward_hook(self._branch)
            for block in blocks
            if block.branch_module is not None
        ]
        if first.shortcut is not None:
            hooks.append(first.shortcut.register_forward_hook(self._entry))
        else:
            hooks.append(first.module.register_forward_pre_hook(self._input))
        hooks.append(last.module.register_forward_hook(self._end))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _branch(self, module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        self.branches.append(output.detach().clone().requires_grad_())
        return self.branches[-1].clone()  # the addition may be in place

    def _entry(self, module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        self.entry = output.detach().clone().requires_grad_()
        return self.entry.clone()

    def _input(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        self.entry = inputs[0].detach().clone().requires_grad_()
        return (self.entry.clone(), *inputs[1:])

    def _end(self, module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        self.end = output
        return output.clone()
