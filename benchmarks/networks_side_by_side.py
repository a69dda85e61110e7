"""What several small networks cost, one after the other, with vmap, and as one network with grouped convolutions.

``python -m benchmarks.networks_side_by_side``: time of processor and clock of a step of 2 x 3 networks, in turns.
"""

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

import reswork as rw
from reswork.studies.side_by_side import SideBySide


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--depths", type=int, nargs="+", default=[20, 56])
    asked.add_argument("--width", type=int, default=8)
    asked.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    asked.add_argument("--rounds", type=int, default=3)
    given = asked.parse_args()
    for threads in given.threads:
        torch.set_num_threads(threads)
        for depth in given.depths:
            ways = {name: way(depth, given.width) for name, way in WAYS.items()}
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
            for _ in range(given.rounds):
                for name, step in ways.items():
                    step()
                    processor, clock = time.process_time(), time.perf_counter()
                    step()
                    found[name].append((time.process_time() - processor, time.perf_counter() - clock))
            for name, times in found.items():
                processor, clock = (1000 * min(values) for values in zip(*times, strict=True))
                print(
                    f"depth {depth}, {threads} threads, {name:32s} {processor:7.0f} ms of processor, "
                    f"{clock:7.0f} ms"
                )


def _models(depth: int, width: int) -> list[nn.Module]:
    return [
        rw.resnet(depth=depth, width=width, in_channels=1, residual=residual)
        for residual in (False, True)
        for _ in range(3)
    ]


def _batch() -> tuple[Tensor, Tensor]:
    return torch.randn(128, 6, 1, 8, 8), torch.randint(10, (128, 6))


def one_after_another(depth: int, width: int) -> Callable[[], None]:
    models, (x, y) = _models(depth, width), _batch()
    optimizers = [torch.optim.SGD(model.parameters(), 0.1, 0.9, foreach=True) for model in models]

    def step() -> None:
        for index, (model, optimizer) in enumerate(zip(models, optimizers, strict=True)):
            optimizer.zero_grad()
            F.cross_entropy(model(x[:, index]), y[:, index]).backward()
            optimizer.step()

    return step


def with_vmap(depth: int, width: int) -> Callable[[], None]:
    x, y = _batch()
    groups = []
    for kind in range(2):
        models = _models(depth, width)[3 * kind : 3 * kind + 3]
        weights, buffers = stack_module_state(models)
        optimizer = torch.optim.SGD(weights.values(), 0.1, 0.9, foreach=True)
        groups.append((models[0].to("meta"), weights, buffers, optimizer))

    def step() -> None:
        for kind, (model, weights, buffers, optimizer) in enumerate(groups):

            def call(
                own: dict[str, Tensor], kept: dict[str, Tensor], inputs: Tensor, model: nn.Module = model
            ) -> Tensor:
                return functional_call(model, (own, kept), (inputs,))

            rows = slice(3 * kind, 3 * kind + 3)
            optimizer.zero_grad()
            logits = torch.vmap(call)(weights, buffers, x[:, rows].transpose(0, 1).contiguous())  # (3, N, K)
            (3 * F.cross_entropy(logits.flatten(0, 1), y[:, rows].transpose(0, 1).flatten())).backward()
            optimizer.step()

    return step


def grouped(sizes: int) -> Callable[[int, int], Callable[[], None]]:
    def way(depth: int, width: int) -> Callable[[], None]:
        models, (x, y) = _models(depth, width), _batch()
        parts = [slice(start, start + sizes) for start in range(0, 6, sizes)]
        nets = [SideBySide(models[part]) for part in parts]
        optimizers = [torch.optim.SGD(net.parameters(), 0.1, 0.9, foreach=True) for net in nets]

        def step() -> None:
            for part, net, optimizer in zip(parts, nets, optimizers, strict=True):
                optimizer.zero_grad()
                logits = net(x[:, part])
                (sizes * F.cross_entropy(logits.flatten(0, 1), y[:, part].flatten())).backward()
                optimizer.step()

        return step

    return way


WAYS = {
    "one after another": one_after_another,
    "vmap over three": with_vmap,
    "grouped, three": grouped(3),
    "grouped, six": grouped(6),
}

if __name__ == "__main__":
    main()
