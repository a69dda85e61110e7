"""How finely an attribution is computed."""

from collections.abc import Sequence
from dataclasses import dataclass

from reswork.errors import InvalidSetting


@dataclass(frozen=True)
class Options:
    """Settings of single methods; the defaults suit pictures of 32 as well as 224 pixels.

    Args:
        steps: of integrated gradients; None: from 32 on, doubled until the sum is right to 1 %, at most 512.
        samples: of gradient SHAP; LIME and KernelSHAP take eight times as many.
        window: side of the patch that occlusion covers, in pixels; None: an eighth of the shorter side.
        stride: from one patch to the next; None: half a window.
        superpixels: regions for feature ablation, LIME and KernelSHAP, about so many.
        noise: standard deviation of added noise, as a share of the picture's range of values.
        normalisation: mean and standard deviation that the images were normalised with: tells where black is.
        seed: of everything random; the global generators are never drawn from.

    Raises:
        InvalidSetting: for a value out of its range.
    """

    steps: int | None = None
    samples: int = 32
    window: int | None = None
    stride: int | None = None
    superpixels: int = 36
    noise: float = 0.1
    normalisation: tuple[Sequence[float], Sequence[float]] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, most in (
            ("steps", 100_000),
            ("samples", 100_000),
            ("window", 10_000),
            ("stride", 10_000),
            ("superpixels", 1_000),
        ):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= most:
                raise InvalidSetting(name, f"{name}={value}: choose 1 to {most:,}")
        if not 0 <= self.noise <= 10:
            raise InvalidSetting(
                "noise", f"noise={self.noise}: choose 0 to 10, a share of the picture's range"
            )
        if self.window and self.stride and self.stride > self.window:
            raise InvalidSetting(
                "stride",
                f"stride={self.stride} leaves gaps between windows of {self.window}: choose at most that",
            )

    def patches(self, size: tuple[int, int]) -> tuple[int, int]:
        """Window and stride in pixels for pictures of this height and width."""
        window = self.window or max(1, min(size) // 8)
        if window > min(size):
            raise InvalidSetting("window", f"window={window} does not fit pictures of {size[0]}x{size[1]}")
        return window, min(self.stride or max(1, window // 2), window)
