"""Published weights of torchvision and timm, fetched only when somebody asks for it."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import nn

from reswork.errors import InvalidSetting
from reswork.store.checkpoint import open_checkpoint

PLACES: Final = ("torchvision", "timm")
_SHOWN = 6  # names in a sentence


def published_network(
    place: str, name: str, *, download: bool = False
) -> tuple[nn.Module, tuple[str, ...], str]:
    """A network with published weights.

    Args:
        place: ``"torchvision"`` or ``"timm"``.
        name: as that package has it: ``"resnet18"``, or ``"resnet50/IMAGENET1K_V1"`` where there are several
            (torchvision); ``"resnet18.a1_in1k"`` (timm).
        download: fetch what is not on this machine.

    Returns:
        The network, the names of its classes (empty where they are not known), and where it is from.

    Raises:
        InvalidSetting: for a name that there is not, weights that are not here and were not asked for, no internet, or
            a package that is not installed.
    """
    return _of_timm(name, download) if place == "timm" else _of_torchvision(name, download)


def _of_torchvision(name: str, download: bool) -> tuple[nn.Module, tuple[str, ...], str]:
    from torchvision import models

    kind, _, wanted = name.partition("/")
    names = [each for each in models.list_models(module=models) if "res" in each]
    if kind not in names:
        shown = ", ".join(names[:_SHOWN])
        raise InvalidSetting("source", f"torchvision has no residual network {kind!r}; choose {shown} ...")
    choices: Any = models.get_model_weights(kind)
    if wanted and wanted not in choices.__members__:
        known = ", ".join(each for each in choices.__members__ if each != "DEFAULT")
        raise InvalidSetting("source", f"torchvision has no weights {wanted!r} of {kind}; choose {known}")
    weights = choices[wanted] if wanted else choices.DEFAULT
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    file = folder / weights.url.rsplit("/", 1)[-1]
    told = f"torchvision's {kind}, {weights.name}"
    if not file.is_file():
        size = weights.meta.get("_file_size", 0.0)
        if not download:
            raise InvalidSetting(
                "download",
                f"the weights of {told} are not on this machine ({size:.0f} MB, from torchvision's server); "
                f"download=True fetches them into {str(folder)!r}",
            )
        _fetch(weights.url, file, told)
    theirs = models.get_model(kind, weights=None)
    open_checkpoint(file, model=theirs)
    return _ours(file, theirs), tuple(map(str, weights.meta.get("categories", ()))), told


def _fetch(url: str, file: Path, told: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file), hash_prefix=_hash_in(file.name), progress=False)
    except (OSError, RuntimeError) as error:  # no internet, no room, or another file than was published
        raise InvalidSetting(
            "download",
            f"{told} could not be fetched ({_reason(error)}); without internet give a file that was fetched elsewhere, "
            f"or put it at {str(file)!r}",
        ) from error


def _hash_in(name: str) -> str | None:
    """The beginning of the file's sha256, which torchvision writes behind the last dash of its name."""
    found = Path(name).stem.rpartition("-")[2]
    return found if len(found) >= 8 and set(found) <= set("0123456789abcdef") else None


def _of_timm(name: str, download: bool) -> tuple[nn.Module, tuple[str, ...], str]:
    try:
        import timm
    except ImportError as error:
        raise InvalidSetting(
            "source", "timm is not installed; install it (pip install timm), or give a file of its weights"
        ) from error
    told = f"timm's {name}"
    if not timm.is_model(name.partition(".")[0]):
        near = ", ".join(timm.list_models("resnet*")[:_SHOWN])
        raise InvalidSetting("source", f"timm has no network {name!r}; choose {near} ...")
    if not download:
        raise InvalidSetting(
            "download", f"timm keeps its weights in a store of its own; download=True lets it fetch {name!r}"
        )
    try:
        model: nn.Module = timm.create_model(name, pretrained=True)
    except Exception as error:  # whatever its ways to the weights raise
        raise InvalidSetting(
            "download",
            f"{told} could not be fetched ({_reason(error)}); without internet give a file that was fetched elsewhere",
        ) from error
    with TemporaryDirectory() as folder:
        file = os.path.join(folder, f"{name.replace('/', '-')}.safetensors")
        save_file({key: value.contiguous().clone() for key, value in model.state_dict().items()}, file)
        return _ours(Path(file), model), (), told


def _ours(file: Path, theirs: nn.Module) -> nn.Module:
    """The network as it is built here, which has settings, where it answers as theirs does; else theirs.

    What no tensor tells (pooling, activations, where the stride is) is theirs to know.
    """
    ours = open_checkpoint(file).model
    if ours is None:
        return theirs.eval()
    images = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        same = torch.allclose(ours.eval()(images), theirs.eval()(images), rtol=1e-3, atol=1e-4)
    return ours if same else theirs


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
