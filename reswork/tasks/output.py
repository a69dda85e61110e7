"""Whether what a network gives is what a task learns from."""

from torch import Tensor, nn

from reswork.errors import InvalidSetting


def check_output_shape(
    model: nn.Module, output: object, wanted: tuple[int, ...], what: str, needs: str, field: str, build: str
) -> None:
    """Refuse anything but one tensor of the form that is wanted.

    Args:
        model: for its name.
        output: what it gave for two inputs.
        wanted: shape, (2, ...).
        what: word for what is in the tensor, such as ``logits``.
        needs: who wants that form, such as ``digits has 10 classes``.
        field: of `ResNetConfig`, that sets it.
        build: how to build a network that fits.

    Raises:
        InvalidSetting: in one sentence.
    """
    name = type(model).__name__
    if not isinstance(output, Tensor):
        raise InvalidSetting(
            "model",
            f"{name} returns a {type(output).__name__}; it must return {what} as one tensor of shape {wanted} for "
            "2 inputs, so wrap it in a module that picks them",
        )
    if output.shape != wanted:
        raise InvalidSetting(
            field,
            f"for 2 inputs {name} gives a tensor of shape {tuple(output.shape)}, and {needs}; the shape must be "
            f"{wanted}: build it with {build}",
        )
