"""Build: the form for a network, its drawing, and what it costs."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from html import escape
from typing import Any

import ipywidgets as w

from reswork import figures
from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.models.layout import BOX_HEADS, MASK_HEADS, PICTURE_HEADS
from reswork.models.sheet import SpecSheet, spec_sheet
from reswork.widgets.by_code import ByCode
from reswork.widgets.form import Field, Form, listed, listed_numbers, menu_field, number_or_none, text_of
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.parts import Part, accordion

CIFAR_BASIC = tuple(6 * n + 2 for n in range(1, 19))
TABLE = tuple(2 * n + 2 for n in range(1, 19))
CIFAR_BOTTLENECK = tuple(9 * n + 2 for n in range(1, 19))
IMAGENET = (18, 34, 50, 101, 152)

FAMILIES: dict[str, dict[str, Any]] = {  # names that fit into the menu at 1280 pixels
    "ResNet (He 2015)": {},
    "Plain: no shortcuts": {"residual": False},
    "Pre-activation (He 2016)": {"order": "pre"},
    "Bottleneck, pre-act.": {"block": "bottleneck", "order": "pre", "depth": 29},
    "Wide ResNet (2016)": {"order": "pre", "shortcut": "B", "widen_factor": 4, "depth": 14},
    "No norm, SkipInit": {"norm": "none", "residual_scaling": "skipinit"},
    "No norm, Fixup": {"norm": "none", "residual_scaling": "fixup"},
    "ResNet for ImageNet": {"form": "imagenet", "depth": 18},
    "ResNeXt-50 32x4d": {"form": "imagenet", "depth": 50, "groups": 32, "bottleneck_width": 4},
}
_FROM_DATA = ("in_channels", "num_classes", "head", "dims", "vocabulary", "scale")
_DEFAULTS: dict[str, Any] = {
    **{field.name: field.default for field in fields(ResNetConfig) if field.name not in _FROM_DATA},
    "form": "cifar",
    "head": "edsr",
    "decoder": "unet",
    "detector": "boxes",
    "exact_depth": None,
}
_NOT_OF_CONFIG = ("exact_depth", "decoder", "detector")
_CHOSEN_HEADS = {"decoder": MASK_HEADS, "detector": BOX_HEADS}  # of tasks that more than one head answers
_OF_PICTURES = ("head", "add_input")  # settings of networks that give a picture, alone
_OF_AUTOENCODERS = ("code",)
_NOT_FOR: dict[int, tuple[str, ...]] = {  # settings that networks of so many axes do not have
    0: ("form", "block", "shortcut", "order", "widen_factor", "groups", "bottleneck_width", "residual_scaling",
        "zero_init_last_norm", "stem", "squeeze_excitation", "stage_blocks"),
    1: ("squeeze_excitation",),
    3: ("squeeze_excitation",),
}  # fmt: skip


class BuildPanel:
    """The form, the drawing that follows it at once, and the sums of the spec sheet.

    Args:
        changed: called after each change that gives a network that can be built.

    Attributes:
        view: the widget.
        config: the network as it stands, None while the form holds something that cannot be built.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._announce = changed
        self._input_shape: tuple[int, ...] = (3, 32, 32)
        self._from_data: dict[str, Any] = {}
        self._begin: dict[str, Any] = {}  # what a network begins with, where that is not the default
        self._one = "picture"
        self._by_code = ByCode()
        self.config: ResNetConfig | None = None
        self.sheet: SpecSheet | None = None
        self._selected: str | None = None  # the block that was clicked
        self.form = Form(_fields(), self._update)
        self.view = Part(self._made, self._draw)
        self.view.add_class("reswork-columns")
        self._update()

    def _made(self) -> list[w.Widget]:
        self.family = w.Dropdown(
            options=self._families(), description="Family", layout=w.Layout(width="100%"),
            style={"description_width": "128px"}, tooltip="Start from a known network; then change what you like.",
        )  # fmt: skip
        self.family.observe(self._family_chosen, names="value")
        self.drawing, self.cost = LiveFigure(), LiveFigure()
        self.drawing.on_click(self._show_block)
        self._sums = w.HTML()
        self._block = w.HTML(
            '<span class="reswork-muted">Click a block in the drawing to see its numbers.</span>'
        )
        more = accordion({
            "Sizes": self._section("exact_depth", "stage_blocks", "width", "stem", "groups", "bottleneck_width",
                                   "inner_channels"),
            "Norm and regularisation": self._section("norm", "residual_scaling", "zero_init_last_norm", "dropout",
                                                     "stochastic_depth", "squeeze_excitation"),
            "Switch off single shortcuts or branches": self._section("shortcuts_off", "branches_off"),
        })  # fmt: skip
        left = w.VBox(
            [self.family, *self.form.views(*_CHOSEN_HEADS, "head", "form", "depth", "residual", "add_input", "code",
                                           "block", "shortcut", "order", "widen_factor"), more]
        )  # fmt: skip
        return [left, w.VBox([self._sums, self.drawing, self._block, self.cost])]

    def set(self, **settings: Any) -> None:
        """Set the form to a network: the given settings, and what one begins with for all others."""
        values = _DEFAULTS | self._begin | settings
        depths = self._depths(values["form"], values["block"])
        if values["depth"] not in depths:
            values["depth"] = min(depths, key=lambda depth: abs(depth - values["depth"]))
        self.form.offer("depth", depths, values["depth"])
        self.form.set(**values)

    def set_config(self, config: ResNetConfig) -> None:
        """Set the form to a network; channels, classes and axes follow the data set."""
        self.set(**self._settings_of(config))

    def set_input(
        self,
        input_shape: tuple[int, ...],
        fields: Mapping[str, Any],
        *,
        begin: ResNetConfig | None = None,
        one: str = "picture",
    ) -> None:
        """Fit stem and head to a data set's inputs and to what is asked.

        Args:
            input_shape: of one input.
            fields: what follows from the data, as `Task.head` says it.
            begin: the network to begin with from now on; None: the form stays as it is.
            one: what one input is called.
        """
        self._input_shape, self._one = input_shape, one
        self._from_data = {name: value for name, value in fields.items() if name in _FROM_DATA}
        absent = _NOT_FOR.get(self._dims, ()) + (() if self._gives_picture else _OF_PICTURES)
        absent += () if self._gives_itself else _OF_AUTOENCODERS
        absent += tuple(name for name in _CHOSEN_HEADS if name != self._chosen_head)
        for name, field in self.form.fields.items():
            field.fits = name not in absent
        if begin is None:
            self.form.renew()
            return
        self._begin = {
            name: value for name, value in self._settings_of(begin).items() if value != _DEFAULTS[name]
        }
        if self.view.is_made:
            with self._by_code:
                self.family.options = self._families()
        self.set()

    @property
    def _dims(self) -> int:
        return int(self._from_data.get("dims", 2))

    @property
    def _gives_picture(self) -> bool:
        return self._from_data.get("head") in PICTURE_HEADS

    @property
    def _gives_itself(self) -> bool:
        return self._from_data.get("head") == "autoencoder"

    @property
    def _chosen_head(self) -> str | None:
        """The field that says which head answers; None where the data leave no choice."""
        head = self._from_data.get("head")
        return next((name for name, heads in _CHOSEN_HEADS.items() if head in heads), None)

    def _settings_of(self, config: ResNetConfig) -> dict[str, Any]:
        """The form's values for a network."""
        settings = {name: getattr(config, name) for name in _DEFAULTS if name not in _NOT_OF_CONFIG}
        for name, heads in _CHOSEN_HEADS.items():
            settings[name] = config.head if config.head in heads else _DEFAULTS[name]
        if config.head not in PICTURE_HEADS:
            settings["head"] = _DEFAULTS["head"]
        form = config.resolved().form
        depths = self._depths(form, config.block)
        exact = config.depth if config.depth not in depths and config.stage_blocks is None else None
        depth = config.depth if config.depth in depths else depths[0]
        return settings | {"form": form, "depth": depth, "exact_depth": exact}

    def _depths(self, form: str | None, block: str | None) -> tuple[int, ...]:
        """Those that the slider offers."""
        if self._dims == 0:
            return TABLE
        if form == "imagenet":
            return IMAGENET
        return CIFAR_BOTTLENECK if block == "bottleneck" else CIFAR_BASIC

    def _families(self) -> list[str]:
        """Those that make a network for the present data, each another one."""
        made: dict[ResNetConfig, str] = {}
        for name, settings in FAMILIES.items():
            with suppress(InvalidSetting):
                made.setdefault(self._config(_DEFAULTS | self._begin | settings).resolved(), name)
        return list(made.values())

    def _family_chosen(self, change: dict[str, Any]) -> None:
        if not self._by_code and change["new"] is not None:
            self.set(**FAMILIES[change["new"]])

    def _config(self, values: Mapping[str, Any]) -> ResNetConfig:
        """The network of a form's values and the data."""
        settings = dict(values)
        exact = settings.pop("exact_depth")
        if exact is not None:
            settings["depth"] = exact
        if settings["stage_blocks"] is not None:
            settings["depth"] = None
        if not self._gives_picture:
            for name in _OF_PICTURES:
                del settings[name]
        if not self._gives_itself:
            for name in _OF_AUTOENCODERS:
                del settings[name]
        chosen = {name: settings.pop(name) for name in _CHOSEN_HEADS}
        if self._chosen_head is not None:
            settings["head"] = chosen[self._chosen_head]
        return ResNetConfig(**(self._from_data | settings))

    def _update(self) -> None:
        values = self.form.values
        depths = self._depths(values["form"], values["block"])  # that exist in the chosen form
        if self.form.fields["depth"].options != depths:
            values["depth"] = min(depths, key=lambda depth: abs(depth - values["depth"]))
            self.form.offer("depth", depths, values["depth"])
        exact = values["exact_depth"]
        try:
            config = self._config(values)
            sheet = spec_sheet(config, self._input_shape)
        except InvalidSetting as error:
            self.config = None
            field = "exact_depth" if error.field == "depth" and exact is not None else error.field
            self.form.show_error(field, error.message, otherwise="depth")
        else:
            self.form.clear_errors()
            self.config, self.sheet, self._selected = config, sheet, None
            if self.view.is_shown:
                self._draw()
        self._announce()

    def _draw(self) -> None:
        if self.sheet is not None:
            self.drawing.show(figures.network(self.sheet, selected=self._selected))
            self.cost.show(figures.cost_by_layer(self.sheet))
            self._sums.value = _sums_html(self.sheet, self._one)

    def _section(self, *names: str) -> Part:
        return Part(lambda: self.form.views(*names))

    def _show_block(self, name: str) -> None:
        block = next((b for b in self.sheet.blocks if b.name == name), None) if self.sheet else None
        if block is None or self.sheet is None:
            return
        self._selected = name
        self.drawing.show(figures.network(self.sheet, selected=name))
        shape = " x ".join(str(n) for n in block.output_shape)
        self._block.value = (
            f"<b>{escape(name)}</b>: {escape(block.kind)} block, stage {block.stage}, output {shape}, "
            f"shortcut {escape(block.shortcut)}, {block.parameters:,} parameters, {_si(block.macs)} multiply-adds."
        )


def _fields() -> dict[str, Field]:
    def text(label: str, placeholder: str, tip: str, **how: Any) -> Field:
        return Field(label, w.Text, tip, placeholder=placeholder, continuous_update=False, **how)

    def whole(label: str, value: int, tip: str) -> Field:
        return Field(label, w.BoundedIntText, tip, value=value, min=1, max=1024)

    def share(label: str, tip: str) -> Field:
        return Field(label, w.BoundedFloatText, tip, value=0.0, min=0.0, max=0.95, step=0.05)

    def tick(label: str, tip: str) -> Field:
        return Field(label, w.Checkbox, tip, value=False, indent=True)

    number: dict[str, Any] = {"read": number_or_none, "write": text_of}
    names: dict[str, Any] = {"read": listed, "write": ", ".join}
    return {
        "decoder": menu_field("Head", "What stands behind the stages and answers for each pixel.",
                              ("U-Net: a decoder by depth", "unet"), ("FCN: a score of each stage", "fcn")),
        "detector": menu_field("Head", "What stands behind the stages and says where things are; both by torchvision.",
                               ("FCOS: a box at each place", "boxes"),
                               ("RetinaNet: with anchors", "retinanet")),
        "head": menu_field("Stages", "Where the stages stand: before the picture is made larger, or behind it, which "
                           "costs as many times more as there are more pixels.",
                           ("at the small size: EDSR", "edsr"), ("at the large size: VDSR", "vdsr")),
        "add_input": menu_field("Input", "Whether the network learns only what is added to the enlarged input, or has "
                                "to give the whole picture.",
                                ("added: learns the rest", True), ("not added: the whole picture", False)),
        "code": whole("Code", 8, "Channels at the smallest size, through which a picture has to pass: the fewer, the "
                      "less of what is bad comes through."),
        "form": menu_field("Form", "The paper's two layouts: for small pictures, and for large ones.",
                           ("CIFAR: 3 stages", "cifar"), ("ImageNet: 4 stages", "imagenet")),
        "depth": Field("Depth", w.SelectionSlider,
                       "Weighted layers, counted as the paper does: 6n+2, or 9n+2 with bottlenecks.",
                       value=20, options=CIFAR_BASIC, continuous_update=True),
        "residual": menu_field("Shortcuts", "The plain twin has the same layers without the additions.",
                               ("yes: y = F(x) + x", True), ("no: the plain twin", False)),
        "block": menu_field("Block", "What one block consists of.", ("automatic", None), ("basic: 3x3, 3x3", "basic"),
                            ("bottleneck: 1x1, 3x3, 1x1", "bottleneck")),
        "shortcut": menu_field("Shortcut kind", "How the shortcut crosses a change of shape: A pads with zeros, B "
                               "projects there, C projects in every block.",
                               ("automatic", None), ("A: zero padding", "A"), ("B: projection there", "B"),
                               ("C: projection always", "C")),
        "order": menu_field("Order", "Where normalisation and ReLU stand (He 2016, figure 4).",
                            ("after: conv, BN, ReLU", "post"), ("before: BN, ReLU, conv", "pre"),
                            ("BN after the addition", "bn_after_addition"),
                            ("ReLU before the addition", "relu_before_addition"),
                            ("only ReLU before", "relu_only_pre")),
        "widen_factor": Field("Widen", w.IntSlider, "Multiplies the channels of all stages (Wide ResNets).",
                              value=1, min=1, max=12),
        "exact_depth": text("Exact depth", "as the slider says", "Any depth that the form allows, for instance 1202.",
                            **number),
        "stage_blocks": text("Blocks per stage", "from the depth; or: 3, 4, 6, 3",
                             "A free list of blocks; replaces the depth.",
                             read=lambda text: listed_numbers(text) or None,
                             write=lambda v: ", ".join(map(str, v or ()))),
        "width": text("First width", "16 (CIFAR) or 64 (ImageNet)",
                      "Channels of the first stage; each later stage doubles them.", **number),
        "stem": menu_field("Stem", "The layers before the first stage.", ("automatic", None), ("3x3", "cifar"),
                           ("7x7, stride 2, pooling", "imagenet"), ("ResNet-D: three 3x3", "resnet_d")),
        "groups": whole("Groups", 1, "Groups of the 3x3 layer (ResNeXt)."),
        "bottleneck_width": whole("Bottleneck width", 64, "Channels of one group, for 64 channels of the stage."),
        "inner_channels": text("Inner channels", "as the block has; or: 12, 16, 8",
                               "Channels inside of each block, as pruning leaves them.",
                               read=lambda text: listed_numbers(text) or None,
                               write=lambda v: ", ".join(map(str, v or ()))),
        "norm": menu_field("Norm", "How activations are normalised.", ("batch norm", "batch"), ("group norm", "group"),
                           "none"),
        "residual_scaling": menu_field("Branch scaling", "Ways to train without norm: the branch starts at zero.",
                                       "none", ("SkipInit", "skipinit"), ("Fixup", "fixup")),
        "zero_init_last_norm": tick("Start as identity", "The last norm of each branch starts at zero."),
        "dropout": share("Dropout", "Inside the block, as in Wide ResNets."),
        "stochastic_depth": share("Stochastic depth",
                                  "Chance that the last block is skipped in a step; earlier blocks less often."),
        "squeeze_excitation": tick("Squeeze-excitation", "Weighs the channels of a branch by what is in the picture."),
        "shortcuts_off": text("Shortcuts off", "layer2.1, layer3.0", "Blocks that lose their shortcut.", **names),
        "branches_off": text("Branches off", "layer2.1", "Blocks of which only the shortcut is left.", **names),
    }  # fmt: skip


_SEEN = {"signal": "moments", "text": "signs or words", "volume": "points"}  # what one input is made of


def _sums_html(sheet: SpecSheet, one: str) -> str:
    sums = {
        "network": sheet.config.label,
        "parameters": f"{sheet.parameters:,}",
        f"multiply-adds, one {one}": _si(sheet.macs),
        f"memory to train, one {one}": _mib(sheet.activation_bytes),
        "memory to predict": _mib(sheet.inference_bytes),
        "one output sees": f"{sheet.receptive_field} {_SEEN.get(one, 'pixels')}",
    }
    if not sheet.config.dims:
        del sums["one output sees"]  # all of its row
    rows = "".join(f"<div><span>{escape(k)}</span><b>{escape(v)}</b></div>" for k, v in sums.items())
    return f'<div class="reswork-sums">{rows}</div>'


def _si(number: float) -> str:
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:g} "


def _mib(size: float) -> str:
    return f"{size / 2**20:.3g} MiB"
