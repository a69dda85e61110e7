"""A network for other data that begins with the weights of one that was trained before."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.network import resnet
from reswork.surgery.statistics import reestimate_norms, training_batches
from reswork.tasks import task_for
from reswork.transfer.sources import Source, open_source
from reswork.transfer.stages import stages

HeadChoice = Literal["new", "kept", "extended"]
StemChoice = Literal["kept", "averaged", "new"]
NormChoice = Literal["batch", "kept", "reestimated"]
_SEPARATE = (
    "dims",
    "vocabulary",
    "scale",
    "add_input",
)  # fields that the data decide, and no new head can change
_CONVS = nn.Conv1d | nn.Conv2d | nn.Conv3d


@dataclass(frozen=True, eq=False)
class Adopted:
    """A network that begins where another one ended.

    Attributes:
        model: ready to be trained; all its weights want gradients.
        source: where the weights are from.
        taken: names of the tensors that were taken over.
        new: names of those that begin anew.
        left: names of the source's, its head aside, that have no place.
        settings: all of this as JSON values, as ``run.json`` keeps it.
        sentence: all of this in words.
    """

    model: nn.Module
    source: Source
    taken: tuple[str, ...]
    new: tuple[str, ...]
    left: tuple[str, ...]
    settings: Mapping[str, Any]
    sentence: str


def adopt(
    source: Any,
    data: Dataset,
    *,
    head: HeadChoice = "new",
    stem: StemChoice = "kept",
    norms: NormChoice = "batch",
    norm_images: int = 1000,
    seed: int = 0,
    config: ResNetConfig | None = None,
    download: bool = False,
) -> Adopted:
    """A network for a data set, with the weights of a trained one wherever they fit.

    The source stays as it is. `reswork.fine_tune` calls this and trains.

    Args:
        source: as `open_source` takes it: a run, a file, published weights, a network.
        data: that shall be learned.
        head: ``"new"``: what stands behind the stages begins anew. ``"kept"``: it is taken over; as many answers are
            needed. ``"extended"``: classes that have the same name in the source keep their weights, others begin anew.
        stem: what becomes of the first layer where the source takes another number of channels: ``"kept"``: that is
            refused; ``"averaged"``: each new channel gets the mean of the old ones', so that their sum stays;
            ``"new"``: it begins anew.
        norms: ``"reestimated"``: batch norms' statistics are measured anew on training images; else they are the
            source's. Whether they then follow the batches is said by the recipe.
        norm_images: how many training images that takes, at most.
        seed: of the weights that begin anew, and of the choice of images.
        config: the network that is wanted, where it is more than the source says; its body must be the source's. None:
            the source's own, with the stem and head that the data need.
        download: fetch published weights that are not here.

    Raises:
        InvalidSetting: for a source that does not fit: other channels, other widths or depth, another kind of input,
            a head that cannot be kept.

    Example:
        >>> from reswork.datasets import digits
        >>> adopted = adopt(resnet(depth=8, in_channels=1, num_classes=6), digits())
        >>> len(adopted.taken), adopted.new
        (42, ('fc.weight', 'fc.bias'))
    """
    for name, value, choices in (
        ("head", head, HeadChoice),
        ("stem", stem, StemChoice),
        ("norms", norms, NormChoice),
    ):
        if value not in get_args(choices):
            known = ", ".join(map(repr, get_args(choices)))
            raise InvalidSetting(name, f"{name}={value!r} is unknown; choose {known}")
    found = open_source(source, download=download)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if found.config is not None:
            model, new, left = _built(found, data, head, stem, config)
        else:
            model, new, left = _changed(found, data, head, stem)
    model.train().requires_grad_(True)
    if norms == "reestimated":
        device = next(model.parameters()).device
        reestimate_norms(model, training_batches(data, norm_images, seed, device))
    taken = tuple(name for name in model.state_dict() if name not in new)
    sentence = _sentence(found, data, head, norms, len(taken), new, left)
    settings = {
        "source": {
            "kind": found.kind,
            "name": found.name,
            "hash": found.hash,
            "classes": list(found.classes),
        },
        "head": head,
        "stem": stem,
        "norms": norms,
        "norm_images": norm_images,
        "seed": seed,
        "sentence": sentence,
    }
    return Adopted(model, found, taken, new, left, settings, sentence)


def _built(
    source: Source, data: Dataset, head: HeadChoice, stem: StemChoice, config: ResNetConfig | None
) -> tuple[nn.Module, tuple[str, ...], tuple[str, ...]]:
    """A network from settings, with all weights of the source that fit; names of the new and of the unused tensors."""
    assert source.config is not None
    wanted = _wanted(source.config if config is None else config, source, data)
    model = resnet(wanted, input_shape=data.input_shape)
    own, theirs = model.state_dict(), source.model.state_dict()
    heads = tuple(f"{name}." for name in stages(model)[-1].layers)
    first = _first_weight(model)
    takes: dict[str, Tensor] = {}
    unlike: list[str] = []
    for name, value in own.items():
        if name.startswith(heads):
            continue
        there = theirs.get(name)
        if there is not None and there.shape == value.shape:
            takes[name] = there
        elif name == first and there is not None and _differs_in_channels(there, value):
            takes |= _stem_weight(name, there, value, stem, source, data)
        else:
            unlike.append(name)
    if unlike:
        _refuse(unlike, own, theirs, source, wanted)
    takes |= _head_weights(own, theirs, heads, head, source, data)
    model.load_state_dict(takes, strict=False)
    new = tuple(name for name in own if name not in takes)
    return model, new, tuple(name for name in theirs if name not in takes and not name.startswith(heads))


def _wanted(config: ResNetConfig, source: Source, data: Dataset) -> ResNetConfig:
    """The settings with stem and head for the data."""
    assert source.config is not None
    fields = task_for(data).head(data)
    usual = ResNetConfig()
    for name in _SEPARATE:
        asked, there = fields.get(name, getattr(usual, name)), getattr(source.config, name)
        if asked != there:
            raise InvalidSetting(
                "source",
                f"{source.name!r} has {name}={there!r}, and {data.name} ({data.input_kind}) needs {name}={asked!r}; "
                "take a source that was trained on inputs of this kind",
            )
    return replace(config, **fields)


def _first_weight(model: nn.Module) -> str:
    """Name of the weight that sees the channels of the input; ``""`` where there is none."""
    convs = (name for name, module in model.named_modules() if isinstance(module, _CONVS))
    return next((f"{name}.weight" for name in convs), "")


def _differs_in_channels(there: Tensor, here: Tensor) -> bool:
    return there.dim() > 2 and there.shape[:1] + there.shape[2:] == here.shape[:1] + here.shape[2:]


def _stem_weight(
    name: str, there: Tensor, here: Tensor, stem: StemChoice, source: Source, data: Dataset
) -> dict[str, Tensor]:
    if stem == "new":
        return {}
    if stem == "averaged":
        mean = there.mean(dim=1, keepdim=True) * (
            there.shape[1] / here.shape[1]
        )  # the sum over channels stays
        return {name: mean.expand_as(here).clone()}
    raise InvalidSetting(
        "stem",
        f"{source.name!r} takes images of {there.shape[1]} channel(s), and those of {data.name} have {here.shape[1]}; "
        "stem='averaged' spreads the mean over the channels, stem='new' begins the first layer anew",
    )


def _refuse(
    unlike: list[str],
    own: Mapping[str, Tensor],
    theirs: Mapping[str, Tensor],
    source: Source,
    wanted: ResNetConfig,
) -> None:
    """Say in which settings the bodies differ, or else which tensor does not fit."""
    assert source.config is not None
    there, here = source.config.resolved().to_dict(), wanted.resolved().to_dict()
    free = {"in_channels", "num_classes", "head"}
    differ = [name for name in here if name not in free and here[name] != there[name]]
    told = "; ".join(f"{name} is {there[name]!r} there and {here[name]!r} here" for name in differ)
    if not told:
        name = unlike[0]
        shape = tuple(theirs[name].shape) if name in theirs else "missing"
        told = f"{name} is {shape} there and {tuple(own[name].shape)} here"
    raise InvalidSetting(
        "source",
        f"{source.name!r} is a {source.config.label} whose body does not fit this {wanted.label}: {told}; "
        "build the network as the source is, or leave the settings to it",
    )


def _head_weights(
    own: Mapping[str, Tensor],
    theirs: Mapping[str, Tensor],
    heads: tuple[str, ...],
    head: HeadChoice,
    source: Source,
    data: Dataset,
) -> dict[str, Tensor]:
    names = [name for name in own if name.startswith(heads)]
    if head == "new":
        return {}
    unlike = [name for name in names if name not in theirs or theirs[name].shape[1:] != own[name].shape[1:]]
    if head == "extended" and not unlike:
        return _rows_by_class({name: (theirs[name], own[name]) for name in names}, source, data)
    unlike += [name for name in names if name in theirs and theirs[name].shape != own[name].shape]
    if unlike:
        there = tuple(theirs[unlike[0]].shape) if unlike[0] in theirs else "missing"
        raise InvalidSetting(
            "head",
            f"head={head!r}: the head of {source.name!r} does not fit {data.name} ({unlike[0]} is {there} there and "
            f"{tuple(own[unlike[0]].shape)} here); head='new' begins it anew",
        )
    return {name: theirs[name] for name in names}


def _rows_by_class(
    pairs: Mapping[str, tuple[Tensor, Tensor]], source: Source, data: Dataset
) -> dict[str, Tensor]:
    """Weights of a head whose rows belong to classes: the source's where it has the class, else the new ones."""
    shared = [name for name in data.classes if name in source.classes]
    if not shared:
        raise InvalidSetting(
            "head",
            f"head='extended' finds none of the classes of {data.name} in {source.name!r}, which "
            + (
                f"has {', '.join(source.classes[:6])}"
                if source.classes
                else "does not say what its classes are"
            )
            + "; head='new' begins it anew",
        )
    found = {}
    for name, (there, here) in pairs.items():
        if here.shape[:1] != (len(data.classes),) or there.shape[:1] != (len(source.classes),):
            raise InvalidSetting(
                "head",
                f"head='extended': {name} of {source.name!r} is {tuple(there.shape)}, which has no row for each of "
                f"{len(source.classes)} classes; head='new' begins it anew",
            )
        joined = here.clone()
        for label in shared:
            joined[data.classes.index(label)] = there[source.classes.index(label)]
        found[name] = joined
    return found


def _changed(
    source: Source, data: Dataset, head: HeadChoice, stem: StemChoice
) -> tuple[nn.Module, tuple[str, ...], tuple[str, ...]]:
    """A copy of a network that was not built here, whose last linear layer is made anew where that is asked."""
    model = copy.deepcopy(source.model)
    linears = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not linears or data.target_kind not in ("labels", "values"):
        raise InvalidSetting(
            "source",
            f"{source.name!r} was not built here, and a head for {data.target_kind} cannot be put on it; build one "
            "yourself and train that with rw.train",
        )
    new: list[str] = []
    last = linears[-1]
    old = model.get_submodule(last)
    assert isinstance(old, nn.Linear)
    answers = len(data.classes)
    if head == "kept" and old.out_features != answers:
        raise InvalidSetting(
            "head",
            f"head='kept': {last!r} of {source.name!r} gives {old.out_features} answers, and {data.name} has "
            f"{answers}; head='new' begins it anew",
        )
    if head != "kept":
        made = nn.Linear(old.in_features, answers, bias=old.bias is not None).to(old.weight.device)
        names = [name for name, _ in made.named_parameters()]
        if head == "extended":
            pairs = {name: (getattr(old, name).detach(), getattr(made, name).detach()) for name in names}
            made.load_state_dict(_rows_by_class(pairs, source, data))
        else:
            new += [f"{last}.{name}" for name in names]
        parent, _, own = last.rpartition(".")
        setattr(model.get_submodule(parent), own, made)
    first = _first_weight(model)
    if (
        first
        and data.input_kind == "images"
        and isinstance(conv := model.get_submodule(first[:-7]), nn.Conv2d)
    ):
        channels = data.input_shape[0]
        if conv.in_channels != channels and conv.groups == 1:
            there = conv.weight.detach()
            here = there.new_empty(there.shape[0], channels, *there.shape[2:])
            nn.init.kaiming_normal_(here, mode="fan_out", nonlinearity="relu")
            takes = _stem_weight(first, there, here, stem, source, data)
            conv.weight = nn.Parameter(takes.get(first, here))
            conv.in_channels = channels
            new += [] if takes else [first]
    return model, tuple(new), ()


def _sentence(
    source: Source,
    data: Dataset,
    head: HeadChoice,
    norms: NormChoice,
    taken: int,
    new: tuple[str, ...],
    left: tuple[str, ...],
) -> str:
    told = f"Begins with the weights of {source.sentence}: {taken} tensors taken over"
    known = len(set(data.classes) & set(source.classes))
    heads = {
        "new": f"a new head for {len(data.classes)} answers",
        "kept": "its head too",
        "extended": f"a head for {len(data.classes)} classes, {known} of them known",
    }
    told += f", {heads[head]}"
    if any("conv1" in name for name in new):
        told += ", a new first layer"
    if norms == "reestimated":
        told += ", norms' statistics measured anew"
    if left:
        told += f"; {len(left)} tensors have no place here"
    return f"{told}."
