"""The global random state, left as it was found even by a net that draws while it is evaluated."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


@contextmanager
def random_state_kept(device: torch.device, forward: Callable[[], object]) -> Iterator[None]:
    """Give the global generators of torch back as they were, if it was this thread that moved them.

    Nothing in the probes draws from them; a net may, with a dropout that never sleeps. Another thread may
    train meanwhile and draw for itself, and setting its numbers back would change its training: so where the
    state has moved, one more forward is watched, and only a net that draws is answered for.

    Args:
        device: where the net lies.
        forward: one forward of the net.
    """
    before = _states(device)
    try:
        yield
    finally:
        if any(
            not torch.equal(old, new) for old, new in zip(before, _states(device), strict=True)
        ) and _draws(forward):
            torch.set_rng_state(before[0])
            if len(before) > 1:
                torch.cuda.set_rng_state(before[1], device)


def _states(device: torch.device) -> list[torch.Tensor]:
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return states


def _draws(forward: Callable[[], object]) -> bool:
    watch = _Watch()
    try:
        with torch.no_grad(), watch:
            forward()
    except Exception:  # the probe's own error is on its way; nothing is known about this net
        return True
    return watch.seen


class _Watch(TorchDispatchMode):
    """Sees, in this thread only, whether an operation takes random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen |= torch.Tag.nondeterministic_seeded in func.tags
        return func(*args, **(kwargs or {}))
