"""All of a run's random numbers, as pure functions of the recipe's seed and the step."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derived_seed(seed: int, purpose: str, index: int) -> int:
    """A seed for one purpose at one step: neighbouring steps get unrelated numbers."""
    text = f"{seed}/{purpose}/{index}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def seed_global(device: torch.device, seed: int) -> None:
    """Seed the global generators that dropout and stochastic depth draw from on this device."""
    torch.default_generator.manual_seed(seed)  # torch.manual_seed visits all devices: 100 times as long
    if device.type == "cuda":
        index = device.index if device.index is not None else torch.cuda.current_device()
        torch.cuda.default_generators[index].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
    elif device.type != "cpu":
        torch.manual_seed(seed)


@contextmanager
def global_state(device: torch.device, *, deterministic: bool) -> Iterator[None]:
    """Keep torch's global random state and algorithm switches for one run, and give them back.

    While a run goes on they belong to it. Before each step the global generator is seeded for that step, so
    what anyone draws from it between two steps changes nothing. Drawing from it in another thread in the
    middle of a step changes the dropout of that step: whoever looks at a running training (a probe that adds
    noise, for example) uses a ``torch.Generator`` of its own. Job, augmentation and mixup of the batches
    have generators of their own anyway, so that a net without dropout is never touched.
    """
    devices = [device] if device.type == "cuda" else []
    kind = device.type if device.type != "cpu" else "cuda"
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng(devices, device_type=kind):
        cudnn = torch.backends.cudnn
        saved = cudnn.benchmark, cudnn.deterministic
        try:
            if deterministic:
                os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
                torch.use_deterministic_algorithms(True)
            if device.type == "cuda":
                cudnn.benchmark, cudnn.deterministic = not deterministic, deterministic
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=warn_only)
            cudnn.benchmark, cudnn.deterministic = saved
