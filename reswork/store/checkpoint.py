"""`open_checkpoint`: a network from a file, wherever it comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.models.adapted import Details, details_fit
from reswork.models.config import ResNetConfig
from reswork.models.foreign_names import bare
from reswork.models.gates import mark_saved_off, restore_gates
from reswork.models.network import ResNet
from reswork.models.recognition import COUNTER
from reswork.store.fitted_weights import FittedWeights, Misfit, fitted_weights
from reswork.store.foreign_weights import entries_in, plain_names, read_weights
from reswork.store.operated_weights import OperatedNote, read_operated
from reswork.store.saved_run import load_run
from reswork.store.trials import Trial, trials
from reswork.store.weight_sets import FoundNetwork, WeightSet, networks_in, weight_sets

MOST_BYTES = 4 * 1024**3
_SHOWN = 4  # names in a sentence


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What was in a file of weights.

    Attributes:
        path: the file, or a run's folder.
        model: the network with these weights, in eval mode; None where it could not be told which it is.
        config: settings of its stem and stages; None where there is no model, or it is a network of one's own.
        weights: every tensor of the set that was taken, by its name without prefixes of wrappers.
        entries: plain values that lay beside the weights, such as the epoch.
        sentence: what was found, what was missing, and what to do next.
        assumptions: what no tensor could confirm, each with the argument of `open_checkpoint` that sets it.
        set_aside: why some tensors were not used -> their names.
        networks: where each network in the file lies, the one that is meant first.
        trials: what labelled images said, the network that was taken first.
        stand_ins: classes of objects in the file that were not made.
        operations: what was done to the network before it was saved, in words (`reswork.surgery`).
    """

    path: Path
    model: nn.Module | None
    config: ResNetConfig | None
    weights: Mapping[str, Tensor]
    entries: Mapping[str, int | float | str] = field(default_factory=dict)
    sentence: str = ""
    assumptions: tuple[str, ...] = ()
    set_aside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    trials: tuple[Trial, ...] = ()
    stand_ins: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Checkpoint {self.path.name!r}: {self.sentence}>"


def open_checkpoint(
    path: str | Path,
    *,
    weights: str | None = None,
    model: nn.Module | None = None,
    config: ResNetConfig | None = None,
    head: str | None = None,
    data: Dataset | tuple[Tensor, Tensor] | None = None,
    most_bytes: int = MOST_BYTES,
    **details: Any,
) -> Checkpoint:
    """A network from a file of weights, if it is a ResNet that can be built here; else the weights alone.

    Nothing in the file is run: tensors and plain values are read, and objects of other classes become inert stand-ins.
    The settings are read from names and shapes, and the weights have to fit exactly. What neither tells is assumed
    and said in ``assumptions``; set it where you know better, or give labelled images, which decide.

    Args:
        path: a ``.pt``, ``.pth``, ``.th`` or ``.safetensors`` file, or the folder of a run.
        weights: which of several networks in the file, as ``networks`` names it; None: averaged weights before others,
            a student before its teacher, and then the one with more tensors.
        model: a network of your own that gets the weights, whatever it is.
        config: the settings, where they are known.
        head: name of the layer to take as the classifier, where there are several.
        data: a data set, of which test images are used, or normalised images (N, C, H, W) with labels (N,): they
            decide between the networks that have these weights.
        most_bytes: a larger file is refused.
        **details: any field of `Details`, such as ``norm_groups=32`` or ``stride_in_1x1=True``.

    Returns:
        The network in ``model``; where that is None, ``sentence`` says why and what to do.

    Raises:
        InvalidSetting: for a file that is missing, too large, truncated, no checkpoint, or holds code; for weights
            that do not fit a given model or config; for details that there are not.
    """
    path = Path(path)
    _check_names(details)
    try:
        is_run = path.is_dir()
    except OSError as error:  # a name that is too long
        raise InvalidSetting("path", f"{str(path)!r} is no path: {error.strerror}") from error
    if is_run:
        return _of_run(path)
    content, stand_ins = read_weights(path, most_bytes)
    note = read_operated(path)
    if note is not None and config is None and model is None:
        config = note.config
    sets = weight_sets(content)
    if not sets:
        raise InvalidSetting(
            "path", f"{path.name!r} has no weights in it, but {_told(content)}; give a file with a state_dict"
        )
    networks = networks_in(sets)
    chosen = _chosen(networks, sets, weights, path)
    labels = tuple(each.label for each in networks)
    opened = Checkpoint(
        path,
        None,
        None,
        plain_names(chosen.tensors),
        entries_in(content),
        networks=labels,
        stand_ins=stand_ins,
    )
    if model is not None:
        return _operated(_into(opened, model, chosen), note)
    if chosen.body is None and note is not None and note.config is not None and config == note.config:
        # its first block may be a shortcut only, by which no names are recognised
        opened = replace(_into(opened, ResNet(config), chosen), config=config)
        told = (
            f"{config.label} for {config.in_channels}-channel images; all {len(opened.weights)} tensors fit."
        )
        return _operated(replace(opened, sentence=told), note)
    try:
        if chosen.body is None:
            parts = ("conv1.weight", "layer1.0.conv1.weight", "fc.weight")
            missing = ", ".join(repr(part) for part in parts if part not in opened.weights)
            raise Misfit(f"{missing} missing" if missing else "names or shapes differ")
        if sum(value.numel() * value.element_size() for value in chosen.tensors.values()) > most_bytes:
            raise Misfit(f"its tensors would take more than {most_bytes:,} bytes")
        fitted = fitted_weights(chosen.tensors, chosen.body, config, head)
    except Misfit as misfit:
        if config is not None or head is not None:
            raise InvalidSetting("config" if head is None else "head", f"{path.name!r}: {misfit}") from None
        return _operated(replace(opened, sentence=_unknown(opened.weights, str(misfit))), note)
    _check_fit(details, fitted)
    tried = trials(fitted, details, data) if data is not None else ()
    known = {**details, **(tried[0].details if tried else {})}
    taken = replace(fitted.details, **known)
    opened = replace(
        opened,
        model=fitted.model(taken),
        config=fitted.config,
        weights={
            bare(name).removeprefix(chosen.body.prefix): value for name, value in chosen.tensors.items()
        },
        assumptions=_assumptions(fitted, taken, {*details, *(details_fit(fitted.config) if tried else ())}),
        set_aside=fitted.set_aside,
        trials=tried,
    )
    return _operated(replace(opened, sentence=_known(opened, fitted, chosen)), note)


def _operated(opened: Checkpoint, note: OperatedNote | None) -> Checkpoint:
    """The network with what its weights could not say, and the list of what was done to it."""
    if note is None:
        return opened
    told = f" It was operated on: {'; '.join(note.sentences)}." if note.sentences else ""
    if note.gates:
        if opened.model is None:
            told += " Not all of that is in the weights: give the network (model=)."
        else:
            restore_gates(opened.model, note.gates)
    if opened.model is not None:
        mark_saved_off(opened.model, note.off)
    known = note.config is not None and note.config == opened.config
    return replace(
        opened,
        operations=note.sentences,
        sentence=opened.sentence + told,
        assumptions=() if known else opened.assumptions,
    )


def _of_run(path: Path) -> Checkpoint:
    run = load_run(path)
    model = run.model()
    assert run.config is not None  # it has built the model
    entries = {name: value for name, value in run.progress.items()}
    sentence = f"{run.config.label} from run {run.name!r}, trained on {run.dataset_name}."
    return Checkpoint(path, model, run.config, model.state_dict(), entries, sentence)


def _chosen(
    networks: Sequence[FoundNetwork], sets: Sequence[WeightSet], wanted: str | None, path: Path
) -> FoundNetwork:
    """The network that was asked for, or the first; where there is none, the largest set of tensors."""
    if not networks:
        largest = max(sets, key=lambda each: len(each.tensors))
        networks = [FoundNetwork(largest, None)]
    if wanted is None:
        return networks[0]
    for fits in (lambda label: label == wanted, lambda label: wanted in label):
        found = [each for each in networks if fits(each.label)]
        if len(found) == 1:
            return found[0]
    labels = ", ".join(repr(each.label) for each in networks)
    raise InvalidSetting(
        "weights", f"weights={wanted!r} names no network, or several, in {path.name!r}; there are {labels}"
    )


def _check_names(details: Mapping[str, Any]) -> None:
    names = [each.name for each in fields(Details)]
    for name in details:
        if name not in names:
            raise InvalidSetting(name, f"{name!r} is no detail of a network; choose {', '.join(names)}")
    Details(**details)


def _check_fit(details: Mapping[str, Any], fitted: FittedWeights) -> None:
    possible = tuple({*details_fit(fitted.config), "average_shortcut"})
    for name in details:
        if name not in possible:
            raise InvalidSetting(
                name,
                f"{name}={details[name]!r} says nothing about a {fitted.config.label}; choose {', '.join(possible)}",
            )


def _into(opened: Checkpoint, model: nn.Module, chosen: FoundNetwork) -> Checkpoint:
    """The weights in somebody's own network, under the file's names or under those without a prefix."""
    wanted = model.state_dict()
    plain = {bare(name): value for name, value in chosen.tensors.items()}
    prefix = chosen.body.prefix if chosen.body is not None else ""
    ways = [
        dict(chosen.tensors),
        plain,
        dict(opened.weights),
        {name.removeprefix(prefix): value for name, value in plain.items() if name.startswith(prefix)},
    ]
    fits = [
        {name: value for name, value in way.items() if name in wanted and value.shape == wanted[name].shape}
        for way in ways
    ]
    best = max(fits, key=len)
    missing = [name for name in wanted if name not in best and not name.endswith(COUNTER)]
    if missing:
        raise InvalidSetting(
            "model",
            f"{len(missing)} of {len(wanted)} tensors of {type(model).__name__} are not in {opened.path.name!r}, or of "
            f"another shape: {_listed(missing)}; the file has {_listed(list(plain))}",
        )
    model.load_state_dict(best, strict=False)
    rest = tuple(name for name in ways[fits.index(best)] if name not in best)
    aside = {"not in the given network": rest} if rest else {}
    text = f"{type(model).__name__}, as given; {len(best)} of {len(plain)} tensors fit"
    text += f"; set aside: {_listed(rest)}." if rest else "."
    return replace(opened, model=model.eval(), set_aside=aside, sentence=text)


def _assumptions(fitted: FittedWeights, taken: Details, known: set[str]) -> tuple[str, ...]:
    """What no tensor could confirm, each with what sets it."""
    full = fitted.config.resolved()
    possible = [name for name in details_fit(fitted.config) if name not in known]
    groups = f"{taken.norm_groups} groups" if taken.norm_groups else "16 channels a group"
    pooling = "max pooling" if full.stem != "cifar" else ""
    texts = {
        "norm_groups": f"norms without statistics are GroupNorm with {groups} (norm_groups=)",
        "stride_in_1x1": "bottlenecks have their stride in the 3x3 layer, not in the first 1x1 (stride_in_1x1=)",
        "stem_stride": "the stem has stride 2 (stem_stride=)",
        "stem_pooling": f"{pooling} follows the stem (stem_pooling=)",
        "last_stride": "the last stage has stride 2 (last_stride=)",
        "dilated_stages": "no stage is dilated (dilated_stages=)",
        "anti_aliasing": "nothing is blurred before it shrinks (anti_aliasing=)",
        "average_shortcut": (
            "projections stand behind an average pooling"
            if taken.average_shortcut
            else "projections have the stride"
        )
        + " (average_shortcut=)",
        "activation": "each activation is a ReLU (activation=)",
        "norm_eps": "norms have eps 1e-5 (norm_eps=)",
    }
    found = [texts[name] for name in possible]
    if full.order == "pre" and full.norm == "group":
        found.append("convolutions are not weight-standardised, as they are in BiT (model=)")
    if full.shortcut == "A":
        found.append(
            "the shortcuts have no weights and were taken as type A; a plain network looks the same (config=)"
        )
    choice = fitted.choice
    if choice is not None and choice.chained:
        found.append(
            "the two linear layers stand one behind the other with nothing between, not side by side (head=)"
        )
    elif choice is not None and choice.head is not None and len(choice.head.layers) > 1:
        found.append("a ReLU stands between the linear layers of the head (model=)")
    return tuple(found)


def _known(opened: Checkpoint, fitted: FittedWeights, chosen: FoundNetwork) -> str:
    config, aside = fitted.config, {reason: names for reason, names in fitted.set_aside.items() if names}
    count = sum(len(names) for names in aside.values())
    ends = f"{fitted.outputs} classes" if fitted.outputs is not None else "features: it has no classifier"
    text = f"{config.label} for {config.in_channels}-channel images and {ends}; "
    text += f"all {len(fitted.tensors)} tensors fit" if not count else f"{len(fitted.tensors)} tensors fit"
    if chosen.body is not None and chosen.body.naming.label != "torchvision":
        text += f", named as by {chosen.body.naming.label}"
    parts = [text]
    if len(opened.networks) > 1:
        others = [label for label in opened.networks if label != chosen.label]
        parts.append(
            f"Taken from {chosen.label!r}; there is also {_listed(others)} (weights=); averaged weights go first, "
            "and a student before its teacher"
        )
    if count:
        told = "; ".join(f"{reason}: {_listed(names)}" for reason, names in aside.items())
        parts.append(f"{count} tensors were set aside ({told})")
    choice = fitted.choice
    if choice is not None and choice.head is not None and not choice.head.is_plain:
        layers = sum(kind == "linear" for kind, *_ in choice.head.layers)
        parts.append(
            f"The head {choice.head.root!r} has {layers} linear layer{'s' * (layers > 1)}"
            + ("" if choice.head.biased else " without bias")
        )
    if config.norm == "batch" and not any(name.endswith(COUNTER) for name in fitted.tensors):
        parts.append("The batch norms' counters were missing and are zero, which changes no answer")
    if opened.stand_ins:
        parts.append(f"Objects beside the weights were not made: {_listed(opened.stand_ins)}")
    if opened.trials:
        first, *rest = opened.trials
        told = f"Of {len(opened.trials)} networks with these weights, labelled images chose {_named(first.details)}: "
        told += f"{first.accuracy:.1%} right, loss {first.loss:.3g}"
        parts.append(
            told
            + (
                f"; next {_named(rest[0].details)}: {rest[0].accuracy:.1%}, {rest[0].loss:.3g}"
                if rest
                else ""
            )
        )
    if opened.assumptions:
        parts.append(f"No tensor could confirm: {'; '.join(opened.assumptions)}")
    return ". ".join(parts) + "."


def _unknown(weights: Mapping[str, Tensor], why: str) -> str:
    numbers = sum(value.numel() for value in weights.values())
    names = list(weights)
    text = f"{len(names)} tensors with {numbers:,} numbers, from {names[0]!r} to {names[-1]!r}. "
    return (
        f"{text}They are not those of a ResNet that is built here ({why}); build the network yourself and "
        "give it here, open_checkpoint(path, model=net), or give it .weights with load_state_dict."
    )


def _named(details: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in details.items()) or "the usual one"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_SHOWN]))
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _told(content: object) -> str:
    if isinstance(content, Mapping):
        return f"a dict with {', '.join(repr(str(name)) for name in list(content)[:5]) or 'nothing in it'}"
    return f"a {type(content).__name__}"
