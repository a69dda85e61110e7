"""A net with one number for each picture: what gradients are taken of."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.probes.layer_lookup import unwrapped

Output = str | int | Callable[[Any], Tensor] | None


class ScalarModel(nn.Module):
    """The net's outputs, weighted and summed: (N, C, H, W) and (N, K) to (N,).

    Args:
        net: a private copy.
        output: which part of a dict or tuple holds the answers, or a function that makes (N, K) out of it.
        alone: whether the net gets one picture at a time, for the others would change its answer.
    """

    def __init__(self, model: nn.Module, output: Output = None, alone: bool = False) -> None:
        super().__init__()
        self.net = model
        self.output = output
        self.alone = alone

    def forward(self, images: Tensor, weights: Tensor) -> Tensor:
        """The score of each image."""
        scores = (self.logits(images) * weights).sum(dim=1)
        if torch.is_grad_enabled() and images.requires_grad and not scores.requires_grad:
            raise without_slope()
        return scores

    def logits(self, images: Tensor) -> Tensor:
        """(N, K).

        Raises:
            InvalidSetting: if the net gives something else.
        """
        if self.alone and len(images) > 1:
            return torch.cat([self.logits(image) for image in images.split(1)])
        answers = selected(self.net(images.clone()), self.output)  # some nets work in place on their input
        if not isinstance(answers, Tensor) or answers.dim() != 2 or len(answers) != len(images):
            shape = tuple(answers.shape) if isinstance(answers, Tensor) else type(answers).__name__
            raise InvalidSetting(
                "output",
                f"the net answers {len(images)} images with {shape}: a map needs (N, classes); give output= "
                "a function that makes it, such as lambda y: y.mean((2, 3)) for a segmentation",
            )
        return answers if answers.is_floating_point() else answers.float()


@torch.no_grad()
def answer_beside(scalar_model: ScalarModel, image: Tensor, index: int) -> Tensor | None:
    """The answer (K,) to an image (1, C, H, W) when one of two others lies beside it; None where that fails."""
    other = (image.flip(2, 3) + 1, 3 * image.flip(3) - 2)[index]
    try:
        return scalar_model.logits(torch.cat([image, other]))[0]
    except Exception:  # it takes one picture only, or none: whoever asks it next says so
        return None


def mixed(one: Tensor | None, two: Tensor | None) -> bool:
    """Whether the same picture was answered differently beside others."""
    if one is None or two is None:
        return False
    return not torch.allclose(one, two, rtol=1e-3, atol=1e-5 * float(one.abs().max()), equal_nan=True)


def without_slope() -> InvalidSetting:
    """Of a net that rounds, detaches or switches gradients off on the way."""
    return InvalidSetting(
        "model",
        "the answer has no slope towards the picture: the net rounds, computes in whole numbers, detaches or switches "
        "gradients off; choose a method that covers parts: occlusion, feature_ablation, kernel_shap or lime",
    )


def checked_images(scalar_model: ScalarModel, images: Tensor) -> Tensor:
    """Images as the net takes them: (N, C, H, W), on its device and of its type.

    Raises:
        InvalidSetting: for anything else than one batch of prepared pictures.
    """
    images = torch.as_tensor(images)
    check_takes_pictures(scalar_model.net)
    if images.dim() == 3:
        images = images[None]
    if images.dim() != 4 or 0 in images.shape:
        raise InvalidSetting(
            "images", f"images of shape {tuple(images.shape)}: a map is of pictures; give (N, C, H, W)"
        )
    if not images.is_floating_point():
        raise InvalidSetting(
            "images",
            f"images of type {images.dtype}: give them as the net gets them, floats after the normalisation "
            "that it was trained with",
        )
    weight = next(scalar_model.parameters(), images)
    dtype = weight.dtype if weight.is_floating_point() else torch.float32
    return images.detach().to(weight.device, dtype)


def check_takes_pictures(net: nn.Module) -> None:
    """Refuse a net of signals or volumes, whose shapes could be taken for pictures.

    Raises:
        InvalidSetting: where its first convolution is not of two dimensions.
    """
    first = next((module for module in net.modules() if isinstance(module, nn.modules.conv._ConvNd)), None)
    if isinstance(first, nn.Conv1d | nn.Conv3d):
        words = (
            "signals (N, C, length)"
            if isinstance(first, nn.Conv1d)
            else "volumes (N, C, depth, height, width)"
        )
        raise InvalidSetting(
            "model",
            f"this net takes {words}, its first convolution is {type(first).__name__}; maps and drawings are of "
            f"pictures (N, C, H, W). {'curve_map, feature_maps' if isinstance(first, nn.Conv1d) else 'volume_map'}, "
            "activation_histograms, cka and layer_table take it",
        )


def first_answer(scalar_model: ScalarModel, images: Tensor) -> Tensor:
    """The logits (N, K) of the first look, with one clear sentence where the net cannot be asked that way.

    Raises:
        InvalidSetting: naming what the net said.
    """
    try:
        return scalar_model.logits(images)
    except InvalidSetting:
        raise
    except Exception as error:
        raise InvalidSetting(
            "model",
            f"the net does not take one batch of shape {tuple(images.shape)} ({type(error).__name__}: {error}); "
            "give images of its size and channels, or wrap a net of several inputs so that it takes one",
        ) from error


def selected(answers: Any, output: Output) -> Any:
    """The part of a net's answers that `output` names; of a single one nothing need be named.

    Raises:
        InvalidSetting: for a name that there is not, with those that there are.
    """
    if callable(output):
        return output(answers)
    if isinstance(answers, Tensor) and output is None:
        return answers
    if dataclasses.is_dataclass(answers) and not isinstance(answers, Mapping):
        answers = vars(answers)
    if isinstance(output, str) and hasattr(answers, "_fields") and output in answers._fields:  # a named tuple
        return getattr(answers, output)
    if isinstance(answers, Mapping):
        if output in answers:
            return answers[output]
        if output is None and len(answers) == 1:
            return next(iter(answers.values()))
        names = ", ".join(repr(key) for key in answers)
        raise InvalidSetting("output", f"output={output!r}: the net gives a dict; choose one of {names}")
    if isinstance(answers, tuple | list):
        if output is None and len(answers) == 1:
            return answers[0]
        if isinstance(output, int) and -len(answers) <= output < len(answers):
            return answers[output]
        raise InvalidSetting(
            "output",
            f"output={output!r}: the net gives {len(answers)} things; choose 0 to {len(answers) - 1}",
        )
    raise InvalidSetting(
        "output",
        f"output={output!r}: the net gives one {type(answers).__name__}; leave output out, or give a function",
    )


def select_output(net: nn.Module, output: Output) -> None:
    """Let a copy of a network answer with one part of its output; its layers keep their names."""
    net = unwrapped(net)
    if output is None and type(net).__module__.startswith("reswork."):
        return
    kind = type(net)

    def forward(self: nn.Module, *inputs: Any, **more: Any) -> Any:
        answers = kind.forward(self, *inputs, **more)
        return answers if output is None and isinstance(answers, Tensor) else selected(answers, output)

    net.__class__ = type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})
