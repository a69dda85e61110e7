"""What attributions cost, each against the arm that it is to be measured by; ResNet on pictures of 32x32.

The arms take turns in one process, so that what else the machine does hits both; each ratio is of neighbours in
time. Prints a row of a markdown table for each:

    python benchmarks/attribution.py --rounds 9
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from captum.attr import Occlusion
from torch import nn

from reswork.models.network import resnet
from reswork.probes import Detail, attribution, attributions

Arm = Callable[[], object]


def made_net(depth: int, device: str) -> nn.Module:
    """In evaluation mode; random weights: what the net knows does not change the speed."""
    torch.manual_seed(0)
    return resnet(depth=depth).to(device).eval()


def seconds(arm: Arm, wait: Callable[[], None]) -> float:
    begin = time.perf_counter()
    arm()
    wait()
    return time.perf_counter() - begin


def ideal_batches(net: nn.Module, image: torch.Tensor, steps: int, batch: int) -> Arm:
    """Forward and backward of as many pictures as integrated gradients need, in batches, and nothing else."""
    for weight in net.parameters():
        weight.requires_grad_(False)

    def run() -> None:
        for start in range(0, steps, batch):
            pictures = image.expand(min(batch, steps - start), -1, -1, -1).clone().requires_grad_()
            torch.autograd.grad(net(pictures)[:, 3].sum(), pictures)

    return run


def forward_and_backward(net: nn.Module, image: torch.Tensor) -> Arm:
    """What one step of training takes, for the same picture."""

    def run() -> None:
        net.zero_grad(set_to_none=True)
        net(image)[:, 3].sum().backward()

    return run


def captums_occlusion(net: nn.Module, image: torch.Tensor, window: int, stride: int) -> Arm:
    """With captum's defaults: one patch at a time."""
    method = Occlusion(net)

    def run() -> None:
        with torch.no_grad():
            method.attribute(image, (3, window, window), (3, stride, stride), target=3)

    return run


def row(
    name: str, ours: Arm, theirs: Arm, target: str, rounds: int, wait: Callable[[], None], turn: bool
) -> None:
    """Print the ratio theirs / ours (`turn`) or ours / theirs, over rounds in turn."""
    for arm in (ours, theirs):
        arm()
    times = [(seconds(ours, wait), seconds(theirs, wait)) for _ in range(rounds)]
    ratios = sorted(other / mine if turn else mine / other for mine, other in times)
    spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    mine, other = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
    print(f"| {name} | {mine:,.0f} | {other:,.0f} | {spread} | {target} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--depth", type=int, default=56)
    parser.add_argument("--steps", type=int, default=256, help="of integrated gradients")
    parser.add_argument("--device", default="cpu")
    settings = parser.parse_args()
    wait = torch.accelerator.synchronize if settings.device != "cpu" else lambda: None
    net = made_net(settings.depth, settings.device)
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).to(settings.device)
    fine = Detail(window=4, stride=2, steps=settings.steps)

    print(f"ResNet-{settings.depth}, {torch.get_num_threads()} threads, {settings.rounds} rounds\n")
    print(
        "| what | ours, ms | the other, ms | ratio, median (least to most) | target |\n|---|---:|---:|---|---|"
    )
    row(
        "Grad-CAM / forward and backward",
        lambda: attribution(net, image, method="grad_cam", target=3),
        forward_and_backward(made_net(settings.depth, settings.device), image),
        "at most 1.15", settings.rounds, wait, False,
    )  # fmt: skip
    row(
        "ideal batches / integrated gradients",
        lambda: attribution(net, image, method="integrated_gradients", target=3, detail=fine),
        ideal_batches(made_net(settings.depth, settings.device), image, settings.steps, 64),
        "at least 0.9", settings.rounds, wait, True,
    )  # fmt: skip
    row(
        "captum's occlusion / ours",
        lambda: attribution(net, image, method="occlusion", target=3, detail=fine),
        captums_occlusion(made_net(settings.depth, settings.device), image, 4, 2),
        "at least 3", settings.rounds, wait, True,
    )  # fmt: skip
    totals, firsts = [], []
    for _ in range(settings.rounds):
        begin = time.perf_counter()
        found = attributions(net, image, target=3)
        next(found)
        firsts.append(time.perf_counter() - begin)
        for _one in found:
            pass
        totals.append(time.perf_counter() - begin)
    spread = f"{min(totals):.2f} to {max(totals):.2f} s"
    first = f"the first after {1e3 * statistics.median(firsts):.0f} ms"
    print(f"| eight methods, {first} | {1e3 * statistics.median(totals):,.0f} | - | {spread} | under 3 s |")


if __name__ == "__main__":
    main()
