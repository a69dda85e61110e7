"""What stands behind a foreign body: the classifier among the tensors that are left, and what it has to be built of."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import nn

Shapes = Mapping[str, tuple[int, ...]]

_LAYER = re.compile(
    r"^(?P<root>.*?)(?:\.(?P<index>\d+))?\.(?P<kind>weight|bias|running_mean|running_var|num_batches_tracked)$"
)
_USUAL = ("fc", "head.fc", "linear", "classifier", "last_linear", "head", "cls_head.fc_cls", "output")
_PROJECTION = re.compile(r"proj|predict|mlp|contrast|byol|simclr", re.IGNORECASE)
_SELF_SUPERVISED = re.compile(
    r"encoder_[qk]|momentum_encoder|base_encoder|online|student|teacher|key_encoder|query", re.IGNORECASE
)


@dataclass(frozen=True)
class Head:
    """A chain of linear layers, with norms between them where the tensors have some.

    Attributes:
        layers: ``("linear", name, outputs, inputs)`` and ``("norm", name, channels, channels)``, in order; the name is
            that of the layer in the set of tensors, without ``.weight``.
        biased: names of linear layers that have a bias.
    """

    layers: tuple[tuple[str, str, int, int], ...] = ()
    biased: frozenset[str] = frozenset()
    straight: bool = False  # nothing stands between its linear layers

    @property
    def outputs(self) -> int:
        """Numbers that it gives."""
        return self.layers[-1][2]

    @property
    def is_plain(self) -> bool:
        """One linear layer with a bias, as `ResNet` has it."""
        return len(self.layers) == 1 and self.layers[0][1] in self.biased

    @property
    def root(self) -> str:
        """What it is called."""
        return re.sub(r"\.\d+$", "", self.layers[0][1])

    def module(self) -> nn.Module:
        """To be put in place of ``fc``; a ReLU before each further linear layer, unless it is straight."""
        if len(self.layers) == 1:
            _, name, outputs, inputs = self.layers[0]
            return nn.Linear(inputs, outputs, bias=name in self.biased)
        layers: list[nn.Module] = []
        for kind, name, outputs, inputs in self.layers:
            if kind == "norm":
                layers.append(nn.BatchNorm1d(outputs))
                continue
            if not self.straight and any(isinstance(each, nn.Linear) for each in layers):
                layers.append(nn.ReLU())
            layers.append(nn.Linear(inputs, outputs, bias=name in self.biased))
        return nn.Sequential(*layers)

    def names(self) -> dict[str, str]:
        """Name in `module`, such as ``"0."``, -> name of the layer in the set of tensors."""
        if len(self.layers) == 1:
            return {"": self.layers[0][1]}
        kinds = [type(each) for each in self.module()]  # type: ignore[attr-defined]  # a Sequential
        indices = [index for index, kind in enumerate(kinds) if kind is not nn.ReLU]
        return {f"{index}.": layer[1] for index, layer in zip(indices, self.layers, strict=True)}


@dataclass(frozen=True)
class HeadChoice:
    """The head that was taken, and what else could have been one.

    Attributes:
        head: None: there is none.
        others: further heads that read the body's features.
        projections: names of tensors of projection and prediction heads, which only the training used.
        chained: the head is two that could also stand side by side.
    """

    head: Head | None = None
    others: tuple[Head, ...] = ()
    projections: tuple[str, ...] = ()
    chained: bool = False


def head_choice(shapes: Shapes, prefix: str, channels: int, wanted: str | None = None) -> HeadChoice:
    """Which of the tensors beside a body are its classifier.

    Args:
        shapes: of the tensors that are left, by name.
        prefix: of the body.
        channels: that the body gives.
        wanted: name of the head to take; None: the usual one.
    """
    found: dict[str, Head] = {}
    inside: set[str] = set()
    way = [part + "." for part in prefix.split(".")[:-1]]
    scopes = tuple(
        "".join(way[:count]) for count in range(len(way), -1, -1)
    )  # the body's own, then those around it
    for scope in scopes:
        for root, head in _heads(shapes, scope, channels).items():
            if scope + root not in found:
                found[scope + root] = head
                if scope == prefix:
                    inside.add(scope + root)
    projections = [name for name in found if _is_projection(name, found[name], name in inside, prefix)]
    names = [name for name in found if name not in projections]
    aside = tuple(
        name
        for name in shapes
        if any(name.startswith(root + ".") for root in projections) or _PROJECTION.search(name)
    )
    if wanted is not None:
        names = sorted(names, key=lambda name: name != wanted and not name.endswith(f".{wanted}"))
    else:
        names = sorted(names, key=lambda name: _usual(name, scopes))
    if not names:
        return HeadChoice(projections=aside)
    first = found[names[0]]
    if wanted is None:
        for name in names[1:]:
            second = found[name]
            if first.outputs == second.layers[0][3] and second.outputs != first.outputs:
                both = Head(first.layers + second.layers, first.biased | second.biased, straight=True)
                others = tuple(found[each] for each in names[1:] if each != name)
                return HeadChoice(both, others, aside, chained=True)
    return HeadChoice(first, tuple(found[each] for each in names[1:]), aside)


def _heads(shapes: Shapes, scope: str, channels: int) -> dict[str, Head]:
    roots: dict[str, list[int]] = {}
    for name in shapes:
        match = _LAYER.match(name.removeprefix(scope)) if name.startswith(scope) else None
        if match is not None:
            roots.setdefault(match["root"], []).append(int(match["index"] or -1))
    found = {}
    for root, indices in roots.items():
        layers = [f"{scope}{root}" if i < 0 else f"{scope}{root}.{i}" for i in sorted(set(indices))]
        head = _chain(shapes, layers, channels, may_be_conv=root.endswith("fc"))
        if head is not None:
            found[root] = head
    return found


def _chain(shapes: Shapes, layers: Iterable[str], channels: int, *, may_be_conv: bool) -> Head | None:
    """The layers as a head, if each takes what the one before gives."""
    chain: list[tuple[str, str, int, int]] = []
    biased = set()
    width = channels
    for name in layers:
        shape = shapes.get(f"{name}.weight", ())
        if len(shape) == 4 and shape[2:] == (1, 1) and may_be_conv:
            shape = shape[:2]
        if len(shape) == 2 and shape[1] == width:
            chain.append(("linear", name, shape[0], shape[1]))
            width = shape[0]
            if f"{name}.bias" in shapes:
                biased.add(name)
        elif len(shape) == 1 and shape[0] == width and f"{name}.running_mean" in shapes:
            chain.append(("norm", name, width, width))
        else:
            return None
    if not any(kind == "linear" for kind, *_ in chain):
        return None
    return Head(tuple(chain), frozenset(biased))


def _is_projection(name: str, head: Head, inside: bool, prefix: str) -> bool:
    linears = sum(kind == "linear" for kind, *_ in head.layers)
    if _PROJECTION.search(name) or _SELF_SUPERVISED.search(prefix):
        return True
    return not inside and linears > 1 and name.split(".")[-1] == "head"  # SupCon and others


def _usual(name: str, scopes: tuple[str, ...]) -> int:
    for scope in scopes:
        if name.startswith(scope) and name.removeprefix(scope) in _USUAL:
            return _USUAL.index(name.removeprefix(scope))
    return len(_USUAL)
