"""What attributions cost, each against the arm that it is to be measured by; ResNet on pictures of 32x32."""

import argparse
import time
from collections.abc import Callable

import torch
from captum.attr import Occlusion
from torch import Tensor, nn

from benchmarks.report import Report, verdict
from benchmarks.turns import Spread, ratio, take_turns
from reswork.models.network import resnet
from reswork.probes import Options, attribution, attributions

ROUNDS = 9
BATCH = 64  # pictures at once in the ideal arm
WINDOW, STRIDE = 4, 2  # of occlusion, in pixels
GRAD_CAM, INTEGRATED, OCCLUSION, EIGHT_S = 1.15, 0.9, 3.0, 3.0  # targets

Arm = Callable[[], object]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--depth", type=int, default=56)
    parser.add_argument("--steps", type=int, default=256, help="of integrated gradients")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cpu-time", action="store_true", help="count processor time, not the clock's")


def measure(options: argparse.Namespace) -> Report:
    net = made_net(options.depth, options.device)
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).to(options.device)
    finely = Options(window=WINDOW, stride=STRIDE, steps=options.steps)

    def ours(method: str) -> Arm:
        return lambda: attribution(net, image, method=method, target=3, options=finely)  # type: ignore[arg-type]

    other = made_net(options.depth, options.device)
    trained = forward_and_backward(made_net(options.depth, options.device), image)
    cam = _seconds(ours("grad_cam"), trained, options)
    path = _seconds(ours("integrated_gradients"), ideal_batches(other, image, options.steps), options)
    patches = _seconds(ours("occlusion"), captums_occlusion(other, image), options)
    all_, first = _seconds_of_eight(net, image, options)
    cam_ratio, path_ratio = ratio(*cam), ratio(path[1], path[0])
    patch_ratio, most = ratio(patches[1], patches[0]), Spread.of(all_).middle
    return Report(
        "Attributions",
        ("what", "ours, ms", "the other, ms", "ratio", "target"),
        [
            ("Grad-CAM / forward and backward", *_ms(*cam), f"{cam_ratio:.2f}",
             verdict(cam_ratio.middle, most=GRAD_CAM)),
            (f"ideal batches / integrated gradients of {options.steps} steps", *_ms(*path), f"{path_ratio:.2f}",
             verdict(path_ratio.middle, least=INTEGRATED)),
            ("captum's occlusion / ours", *_ms(*patches), f"{patch_ratio:.2f}",
             verdict(patch_ratio.middle, least=OCCLUSION)),
            ("eight methods", *_ms(all_), "", "", verdict(most, most=EIGHT_S, unit=" s")),
            ("the first of them", *_ms(first), "", "", ""),
        ],
        [
            f"ResNet-{options.depth} on {options.device}, one picture of 32x32; {options.rounds} rounds, "
            f"{'processor time' if options.cpu_time else 'time on the clock'}. Median (least to most). The ideal "
            "batches are forward and backward of as many pictures, and nothing else; captum's occlusion has its "
            "defaults, one patch at a time."
        ],
        ["captum"],
    )  # fmt: skip


def made_net(depth: int, device: str) -> nn.Module:
    """In evaluation mode; random weights: what the net knows does not change the speed."""
    torch.manual_seed(0)
    return resnet(depth=depth).to(device).eval()


def forward_and_backward(net: nn.Module, image: Tensor) -> Arm:
    """What one step of training takes, for the same picture."""

    def run() -> None:
        net.zero_grad(set_to_none=True)
        net(image)[:, 3].sum().backward()

    return run


def ideal_batches(net: nn.Module, image: Tensor, steps: int) -> Arm:
    """Forward and backward of as many pictures as integrated gradients need, in batches, and nothing else."""
    net.requires_grad_(False)

    def run() -> None:
        for start in range(0, steps, BATCH):
            pictures = image.expand(min(BATCH, steps - start), -1, -1, -1).clone().requires_grad_()
            torch.autograd.grad(net(pictures)[:, 3].sum(), pictures)

    return run


def captums_occlusion(net: nn.Module, image: Tensor) -> Arm:
    """With captum's defaults: one patch at a time."""
    method = Occlusion(net)

    def run() -> None:
        with torch.no_grad():
            method.attribute(image, (3, WINDOW, WINDOW), (3, STRIDE, STRIDE), target=3)

    return run


def _seconds(ours: Arm, theirs: Arm, options: argparse.Namespace) -> tuple[list[float], list[float]]:
    """Of two arms that take turns."""
    arms = {name: lambda arm=arm: _timed(arm, options) for name, arm in (("ours", ours), ("theirs", theirs))}
    take_turns(arms, 1)  # warm
    found = take_turns(arms, options.rounds)
    return found["ours"], found["theirs"]


def _seconds_of_eight(
    net: nn.Module, image: Tensor, options: argparse.Namespace
) -> tuple[list[float], list[float]]:
    """Of all eight, and until the first of them is there."""
    all_, first = [], []
    for _ in range(options.rounds):
        found = attributions(net, image, target=3)
        first.append(_timed(lambda found=found: next(found), options))  # type: ignore[misc]
        all_.append(first[-1] + _timed(lambda found=found: list(found), options))  # type: ignore[misc]
    return all_, first


def _timed(arm: Arm, options: argparse.Namespace) -> float:
    clock = time.process_time if options.cpu_time else time.perf_counter
    begin = clock()
    arm()
    if options.device != "cpu":
        torch.accelerator.synchronize()
    return clock() - begin


def _ms(*arms: list[float]) -> tuple[str, ...]:
    return tuple(f"{Spread.of(1e3 * second for second in seconds):,.0f}" for seconds in arms)
