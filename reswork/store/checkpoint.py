"""`open_checkpoint`: a network from a file, wherever it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet
from reswork.models.recognition import COUNTER, recognised
from reswork.store.foreign_weights import entries_in, read_weights, state_dict_in
from reswork.store.saved_run import load_run

MOST_BYTES = 4 * 1024**3
_RENAMED = {"linear.": "fc.", "classifier.": "fc.", "shortcut.": "downsample."}  # what others call them


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What was in a file of weights.

    Attributes:
        path: the file, or a run's folder.
        model: the network with these weights, in eval mode; None where it could not be told which it is.
        config: its settings; None likewise.
        weights: every tensor by its name, without prefixes of wrappers.
        entries: plain values that lay beside the weights, such as the epoch.
        sentence: what was found, what was missing, and what to do next.
    """

    path: Path
    model: nn.Module | None
    config: ResNetConfig | None
    weights: Mapping[str, Tensor]
    entries: Mapping[str, int | float | str] = field(default_factory=dict)
    sentence: str = ""

    def __repr__(self) -> str:
        return f"<Checkpoint {self.path.name!r}: {self.sentence}>"


def open_checkpoint(path: str | Path, *, most_bytes: int = MOST_BYTES) -> Checkpoint:
    """A network from a file of weights, if it is a ResNet that can be built here; else the weights alone.

    Nothing in the file is run: only tensors and plain values are read. The settings are guessed from names
    and shapes, and the weights have to fit exactly.

    Args:
        path: a ``.pt``, ``.pth``, ``.th`` or ``.safetensors`` file, or the folder of a run.
        most_bytes: a larger file is refused.

    Returns:
        The network in ``model``; where that is None, ``sentence`` says why and what to do.

    Raises:
        InvalidSetting: for a file that is missing, too large, truncated, no checkpoint, or holds code.
    """
    path = Path(path)
    try:
        is_run = path.is_dir()
    except OSError as error:  # a name that is too long
        raise InvalidSetting("path", f"{str(path)!r} is no path: {error.strerror}") from error
    if is_run:
        return _of_run(path)
    content = read_weights(path, most_bytes)
    weights = state_dict_in(content)
    if not weights:
        raise InvalidSetting(
            "path", f"{path.name!r} has no weights in it, but {_told(content)}; give a file with a state_dict"
        )
    entries = entries_in(content)
    renamed = _renamed(weights)
    config = None
    if all(_is_plain(value) for value in renamed.values()):
        config = recognised({name: tuple(value.shape) for name, value in renamed.items()})
    if config is None or sum(value.nbytes for value in renamed.values()) > most_bytes:
        return Checkpoint(path, None, None, weights, entries, _unknown(renamed))
    return Checkpoint(path, _built(config, renamed), config, weights, entries, _known(config, renamed))


def _of_run(path: Path) -> Checkpoint:
    run = load_run(path)
    model = run.model()
    assert run.config is not None  # it has built the model
    entries = {name: value for name, value in run.progress.items()}
    sentence = f"{run.config.label} from run {run.name!r}, trained on {run.dataset_name}."
    return Checkpoint(path, model, run.config, model.state_dict(), entries, sentence)


def _renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Under torchvision's names, where they are called otherwise."""
    renamed = {}
    for name, value in weights.items():
        for theirs, ours in _RENAMED.items():
            if name.startswith(theirs) or f".{theirs}" in name:
                name = name.replace(theirs, ours)
        renamed[name] = value
    return renamed


def _is_plain(tensor: Tensor) -> bool:
    """Whether its numbers lie side by side in memory: not sparse, not quantised, not on "meta"."""
    return tensor.layout is torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized


def _built(config: ResNetConfig, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network, every weight of it from the file; only batch norms' counters may be missing."""
    with torch.device("meta"):
        model = ResNet(config)
    model.to_empty(device="cpu")
    counters = {
        name: torch.zeros_like(value) for name, value in model.state_dict().items() if name.endswith(COUNTER)
    }
    model.load_state_dict({**counters, **weights}, strict=True)
    return model.eval()


def _known(config: ResNetConfig, weights: Mapping[str, Tensor]) -> str:
    text = (
        f"{config.label} for {config.in_channels}-channel images and {config.num_classes} classes; "
        f"all {len(weights)} tensors fit"
    )
    doubts = []
    if config.resolved().shortcut == "A":
        doubts.append(
            "the shortcuts have no weights and were taken as type A, a plain network looks the same"
        )
    if not any(name.endswith(COUNTER) for name in weights) and config.norm == "batch":
        doubts.append("the batch norms' counters were missing and are zero, which changes no answer")
    return ". ".join([text, *(doubt[0].upper() + doubt[1:] for doubt in doubts)]) + "."


def _unknown(weights: Mapping[str, Tensor]) -> str:
    numbers = sum(value.numel() for value in weights.values())
    names = list(weights)
    parts = ("conv1.weight", "layer1.0.conv1.weight", "fc.weight")
    missing = [part for part in parts if part not in weights]
    text = f"{len(names)} tensors with {numbers:,} numbers, from {names[0]!r} to {names[-1]!r}. "
    why = f"{', '.join(map(repr, missing))} missing" if missing else "names or shapes differ"
    return (
        f"{text}They are not those of a ResNet that is built here ({why}); build the network yourself and "
        "give it .weights with load_state_dict."
    )


def _told(content: object) -> str:
    if isinstance(content, Mapping):
        return f"a dict with {', '.join(repr(str(name)) for name in list(content)[:5]) or 'nothing in it'}"
    return f"a {type(content).__name__}"
