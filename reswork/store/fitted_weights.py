"""Foreign tensors fitted to a network that is built here: which they are, under whose names, and what is left over."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reswork.models.adapted import AdaptedResNet, Details
from reswork.models.config import ResNetConfig
from reswork.models.foreign_heads import HeadChoice, head_choice
from reswork.models.foreign_names import Body, bare, bodies
from reswork.models.network import ResNet
from reswork.models.recognition import COUNTER, has_shapes, recognised, with_usual_stem

_USUAL_GROUPS = 32  # of GroupNorm where the stages are those of ImageNet: timm, detectron2, OpenMMLab

_ASIDE: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("counts of a profiler", lambda name: name.endswith(("total_ops", "total_params"))),
    ("of the loss", lambda name: name.startswith(("criterion.", "loss.", "loss_fn.", "loss_func."))),
    (
        "bookkeeping of the training",
        lambda name: (
            name.rpartition(".")[2] in ("queue", "queue_ptr", "center", "n_averaged", "initted")
            or name.startswith(("data_preprocessor.", "pixel_mean", "pixel_std"))
        ),
    ),
)


class Misfit(Exception):
    """Why some weights are not those of a network that is built here."""


@dataclass(frozen=True, eq=False)
class FittedWeights:
    """Tensors and the network that they belong to.

    Attributes:
        config: settings of stem and stages, and of the classifier where it is the usual one.
        tensors: each by the network's name for it.
        choice: what stands behind the stages; None: what the config says, as the network is one of ours.
        details: what the names tell beyond the config.
        form: how it differs from a `ResNet` of the config in what its tensors tell, as arguments of `AdaptedResNet`.
        set_aside: why tensors are not used -> their names in the file.
    """

    config: ResNetConfig
    tensors: Mapping[str, Tensor]
    choice: HeadChoice | None
    details: Details
    form: Mapping[str, bool]
    set_aside: Mapping[str, tuple[str, ...]]

    @property
    def outputs(self) -> int | None:
        """Numbers that the classifier gives; None where there is none."""
        if self.choice is None:
            return self.config.num_classes
        return self.choice.head.outputs if self.choice.head is not None else None

    def model(self, details: Details) -> nn.Module:
        """The network with these weights, every one from the file, in evaluation mode.

        Batch norms' counters may be missing; they are zero then, which changes no answer.

        Raises:
            InvalidSetting: for details that this network cannot have.
        """
        tensors = self._tensors()
        with torch.device("meta"):
            model = self._empty(details)
        model.to_empty(device="cpu")
        counters = {
            name: torch.zeros_like(value)
            for name, value in model.state_dict().items()
            if name.endswith(COUNTER)
        }
        model.load_state_dict({**counters, **tensors}, strict=True)
        return model.eval()

    def check(self) -> None:
        """Whether the tensors really make this network; nothing is computed.

        Raises:
            Misfit: if one has another shape, or a layer does not take what the one before gives.
        """
        tensors = self._tensors()
        with torch.device("meta"):
            model = self._empty(self.details).eval()
            for name, value in model.state_dict().items():
                if name in tensors and tensors[name].shape != value.shape:
                    raise Misfit(
                        f"{name!r} has the shape {tuple(tensors[name].shape)}, not {tuple(value.shape)}"
                    )
            try:
                model(torch.empty(1, self.config.in_channels, 64, 64))
            except RuntimeError as error:
                raise Misfit(
                    "stem and first block have numbers of channels that do not go together"
                ) from error

    def _tensors(self) -> dict[str, Tensor]:
        if not self.form.get("norm_in_first_block"):
            return dict(self.tensors)
        return {
            f"layer1.0.{name}" if name.startswith("bn1.") else name: value
            for name, value in self.tensors.items()
        }

    def _empty(self, details: Details) -> nn.Module:
        """The network with layers of the right shapes, whatever is in them."""
        form: dict[str, Any] = {name: value for name, value in self.form.items() if name != "own_stem"}
        if self.form.get("own_stem"):
            form["shapes"] = {name: value.shape for name, value in self.tensors.items()}
        plain = self.choice is None or (self.choice.head is not None and self.choice.head.is_plain)
        model, head = ResNet(self.config), None
        if self.choice is not None and not plain:
            head = nn.Identity() if self.choice.head is None else self.choice.head.module()
        if head is None and not details.changed and not form:
            return model
        return AdaptedResNet(model, details, head, **form)


def fitted_weights(
    tensors: Mapping[str, Tensor], body: Body, config: ResNetConfig | None = None, head: str | None = None
) -> FittedWeights:
    """What a set of tensors is, of which one body was found.

    Args:
        tensors: all of the set.
        body: the one that is meant.
        config: its settings, where they are known.
        head: name of the layer to take as the classifier; None: the usual one.

    Raises:
        Misfit: with the reason, where nothing that is built here has these tensors.
    """
    plain = {bare(name): value for name, value in tensors.items()}
    if len(plain) < len(tensors):
        raise Misfit("two tensors have one name once the additions of compile and FSDP are taken away")
    aside = {reason: tuple(name for name in plain if fits(name)) for reason, fits in _ASIDE}
    unused = {name for names in aside.values() for name in names}
    ours = {name: bare(original) for name, original in body.names.items() if bare(original) not in unused}
    if any(not _is_plain(plain[name]) for name in ours.values()):
        raise Misfit("some of its tensors are sparse, quantised or without values")
    used = set(ours.values()) | unused
    left = {name: value for name, value in plain.items() if name not in used}
    inside = {name.removeprefix(body.prefix): name for name in left if name.startswith(body.prefix)}
    form: dict[str, bool] = {}
    if (
        "bn1.weight" not in ours and "layer1.0.bn1.weight" in ours
    ):  # ours calls the first pre-activation the stem's
        form["norm_in_first_block"] = True
        ours = {name.replace("layer1.0.bn1.", "bn1."): original for name, original in ours.items()}
    taken, choice = {**ours, **inside}, None
    found = _settings(_shapes(taken, plain), body, config)
    if found is None:  # then stem and stages alone, and a head of its own
        taken = dict(ours)
        channels = _channels(_shapes(ours, plain))
        choice = head_choice(
            {name: tuple(value.shape) for name, value in left.items()}, body.prefix, channels, head
        )
        if head is not None and (choice.head is None or not choice.head.root.endswith(head)):
            roots = [each.root for each in (choice.head, *choice.others) if each is not None]
            raise Misfit(
                f"no classifier is called {head!r}; there are {', '.join(map(repr, roots)) or 'none'}"
            )
        outputs = choice.head.outputs if choice.head is not None else 1
        shapes = {**_shapes(ours, plain), "fc.weight": (outputs, channels), "fc.bias": (outputs,)}
        found, more = _settings_of_another_form(shapes, body, config)
        form |= more
    if found is None:
        raise Misfit(_in_the_way(ours, plain, inside, config))
    full = found.resolved()
    if form.get("norm_in_first_block") and full.stem == "cifar" and "layer1.0.downsample.0.weight" in ours:
        del form["norm_in_first_block"]  # the same network
    values = {name: plain[original] for name, original in taken.items()}
    if choice is not None and choice.head is not None:
        for inner, layer in choice.head.names().items():
            for name in [name for name in left if name.rpartition(".")[0] == layer]:
                kind = name.rpartition(".")[2]
                values[f"fc.{inner}{kind}"] = (
                    plain[name].flatten(1) if plain[name].dim() == 4 else plain[name]
                )
                taken[f"fc.{inner}{kind}"] = name
    rest = [name for name in left if name not in set(taken.values())]
    aside = {
        reason: names for reason, names in (*aside.items(), *_reasons(rest, body, choice).items()) if names
    }
    details = _details(found, body)
    fitted = FittedWeights(found, values, choice, details, form, aside)
    if form:
        fitted.check()
    return fitted


def _shapes(names: Mapping[str, str], plain: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(plain[original].shape) for name, original in names.items()}


def _settings_of_another_form(
    shapes: Mapping[str, tuple[int, ...]], body: Body, config: ResNetConfig | None
) -> tuple[ResNetConfig | None, dict[str, bool]]:
    """The same where stem or end differ from ours, and in what they do."""
    forms: list[tuple[Mapping[str, tuple[int, ...]] | None, dict[str, bool]]] = [(shapes, {})]
    channels = shapes["fc.weight"][1]
    norms = {f"bn_last.{kind}": (channels,) for kind in ("weight", "bias", "running_mean", "running_var")}
    if "bn1.running_mean" not in shapes:
        norms = {name: shape for name, shape in norms.items() if "running" not in name}
    if "bn_last.weight" not in shapes:
        forms.append(({**shapes, **norms}, {"ends_bare": True}))
    forms.append((with_usual_stem(shapes), {"own_stem": True}))
    for each, form in forms:
        found = _settings(each, body, config) if each is not None else None
        if found is not None:
            return found, form
    return None, {}


def _settings(
    shapes: Mapping[str, tuple[int, ...]], body: Body, config: ResNetConfig | None
) -> ResNetConfig | None:
    """The settings that have exactly these tensors: the given ones, or those that are recognised."""
    if config is not None:
        return config if has_shapes(config, shapes) else None
    return recognised(shapes, order="pre" if body.naming.order == "pre" else None)


def _details(config: ResNetConfig, body: Body) -> Details:
    """What is usual where such weights come from, and what their names tell."""
    full = config.resolved()
    usual = (
        full.norm == "group"
        and full.form == "imagenet"
        and full.width is not None
        and full.width >= _USUAL_GROUPS
    )
    deep = full.stem == "resnet_d" and full.order == "pre"  # whose names do not tell
    return Details(
        norm_groups=_USUAL_GROUPS if usual else None, average_shortcut=body.average_shortcut or deep
    )


def _channels(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """That the last block gives.

    Raises:
        Misfit: where no block can be made out.
    """
    convs = [
        (int(parts[0].removeprefix("layer")), int(parts[1]), parts[2], shape)
        for name, shape in shapes.items()
        if (parts := name.split("."))[0].startswith("layer")
        and len(parts) == 4
        and parts[2].startswith("conv")
        and shape
    ]
    if not convs:
        raise Misfit("no convolution of a block has the usual name")
    return max(convs, key=lambda each: each[:3])[3][0]


def _in_the_way(
    ours: Mapping[str, str],
    plain: Mapping[str, Tensor],
    inside: Mapping[str, str],
    config: ResNetConfig | None,
) -> str:
    """Why a body is none of ours: its layers that no block here has, or shapes that no settings give."""
    known = ("conv", "bn", "downsample", "se", "scale", "bias", "input_bias")
    strange = [
        original
        for name, original in ours.items()
        if name.startswith("layer") and not name.split(".")[2].rstrip("0123456789").startswith(known)
    ]
    strange += [name for name in inside.values() if plain[name].dim() == 4]
    if strange:
        return f"{len(strange)} tensors belong to layers that no block here has, such as {strange[0]!r}"
    if config is not None:
        return "names or shapes differ"
    return "names are those of a ResNet, but no settings give all of its shapes"


def _reasons(rest: Iterable[str], body: Body, choice: HeadChoice | None) -> dict[str, tuple[str, ...]]:
    """Why tensors that were not used are there at all."""
    rest = list(rest)
    prefixes = [other.prefix for other in bodies(rest)]
    found: dict[str, list[str]] = {}
    for name in rest:
        if any(prefix and name.startswith(prefix) for prefix in prefixes):
            reason = "another network"
        elif choice is not None and name in choice.projections:
            reason = "projection and prediction heads of the training"
        elif choice is not None and any(name.startswith(f"{each.root}.") for each in choice.others):
            reason = "further classifiers"
        elif body.prefix and not name.startswith(body.prefix):
            reason = "other parts of the model around it"
        else:
            reason = "unknown layers beside it"
        found.setdefault(reason, []).append(name)
    return {reason: tuple(names) for reason, names in found.items()}


def _is_plain(tensor: Tensor) -> bool:
    """Whether its numbers lie side by side in memory: not sparse, not quantised, not on "meta"."""
    return tensor.layout is torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
