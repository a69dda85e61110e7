"""`rw.microscope`: sliders for a network that nobody has trained yet, and what its training will be like."""

from collections.abc import Iterator
from html import escape
from typing import Any

import ipywidgets as w

from reswork import figures, probes
from reswork.datasets.builtin import digits
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.models.config import ResNetConfig
from reswork.results.initialisation import Initialisation
from reswork.widgets.form import Field, Form, button, menu_field
from reswork.widgets.live_figure import LiveFigure
from reswork.widgets.page_assets import PageAssets
from reswork.widgets.working_view import WorkingView, grid, note

DEPTHS = (8, 14, 20, 26, 32, 44, 56, 80, 110)
WIDTHS = (2, 4, 8, 16, 32)
GAINS = (0.1, 0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 4.0)
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_BLOCKS: dict[str, dict[str, Any]] = {
    "residual, as in 2015": {"residual": True, "order": "post"},
    "residual, pre-activation": {"residual": True, "order": "pre"},
    "residual, BN after addition": {"residual": True, "order": "bn_after_addition"},
    "residual, ReLU before addition": {"residual": True, "order": "relu_before_addition"},
    "plain": {"residual": False, "order": "post"},
}
_SCALINGS: dict[str, dict[str, Any]] = {
    "none": {},
    "SkipInit": {"residual_scaling": "skipinit"},
    "Fixup": {"residual_scaling": "fixup"},
    "last norm begins at 0": {"zero_init_last_norm": True},
}
_OUTCOMES = {"diverges": "failed", "does not train": "doubtful", "trains": "passed"}


class MicroscopeView(WorkingView):
    """Sliders, the forecast and five figures; each change looks anew, nothing is trained.

    Args:
        data: what the networks would learn.

    Attributes:
        form: the sliders.
        found: the last look; None before the first.
    """

    def __init__(self, data: Dataset) -> None:
        super().__init__()
        self.found: Initialisation | None = None
        self._data = data
        self._kept: Initialisation | None = None  # drawn with a dash
        self.form = Form(_fields(), self._changed)
        self.keep = button("Compare with this", "Draw the present lines with a dash from now on", self._keep)
        self.told = note("")
        self.figures: dict[str, LiveFigure] = {}
        self._place = grid([])
        left = w.VBox([*self.form.views(*self.form.fields), self.keep, self.error])
        columns = w.Box([left, w.VBox([self.told, self._place])])
        columns.add_class("reswork-columns")
        self.children = (PageAssets(), columns)
        self.add_class("reswork")
        self._changed()

    @property
    def config(self) -> ResNetConfig:
        """The network that the sliders describe.

        Raises:
            InvalidSetting: where they describe none.
        """
        values = self.form.values
        channels, classes = self._data.input_shape[0], len(self._data.classes)
        return ResNetConfig(
            depth=values["depth"],
            width=values["width"],
            norm=values["norm"],
            in_channels=channels,
            num_classes=classes,
            **_BLOCKS[values["block"]],
            **_SCALINGS[values["residual_scaling"]],
        )

    def _changed(self) -> None:
        self.form.clear_errors()
        self.error.tell("")
        try:
            config = self.config
        except InvalidSetting as refused:
            self.form.show_error(refused.field, str(refused), "residual_scaling")
            return
        values = self.form.values
        self._worker.submit(lambda: self._looked(config, values["gain"], values["learning_rate"]))

    def _keep(self) -> None:
        self._kept = self.found
        if self.found is not None:
            self._show(self.found)

    def _looked(self, config: ResNetConfig, gain: float, learning_rate: float) -> Iterator[None]:
        found = probes.initialisation(config, self._data, gain=gain, learning_rate=learning_rate)
        yield
        self._show(found)
        yield

    def _show(self, found: Initialisation) -> None:
        self.found = found
        told = probes.forecast(found)
        head, _, why = told.sentence.partition(": ")
        self.told.value = (
            f'<p><b class="reswork-trust"><span class="reswork-{_OUTCOMES[told.outcome]}">{escape(head)}</span></b>: '
            f'{escape(why)}</p><p class="reswork-muted">{escape(told.trust)} Those were networks on digits, SGD with '
            f"momentum, one cycle, 100 steps. Looked for {found.seconds * 1000:.0f} ms.</p>"
        )
        for title, figure in figures.initialisation(found, self._kept).items():
            if title in self.figures:
                self.figures[title].show(figure)
            else:
                self.figures[title] = LiveFigure(figure)
        if len(self._place.children) != len(self.figures):
            self._place.children = tuple(self.figures.values())


def _fields() -> dict[str, Field]:
    def slider(label: str, tip: str, options: tuple[float, ...], value: float) -> Field:
        return Field(label, w.SelectionSlider, tip, options=options, value=value, continuous_update=True)

    return {
        "depth": slider("Depth", "Weighted layers, 6n+2", DEPTHS, 20),
        "width": slider("Width", "Channels of the first stage", WIDTHS, 8),
        "block": menu_field("Block", "With or without shortcuts, and where norm and ReLU stand", *_BLOCKS),
        "norm": menu_field(
            "Norm",
            "How activations are normalised",
            ("batch norm", "batch"),
            ("group norm", "group"),
            ("none", "none"),
        ),
        "residual_scaling": menu_field(
            "Branch scaling", "What keeps the branches small at the start", *_SCALINGS
        ),
        "gain": slider("Initialisation", "He's initialisation times this", GAINS, 1.0),
        "learning_rate": slider("Learning rate", "The peak, for the forecast", RATES, 0.1),
    }


def microscope(data: Dataset | None = None, **settings: Any) -> MicroscopeView:
    """Look at networks before they are trained: sliders, what signals and gradients do, and a forecast.

    Without the page: ``rw.probes.forecast(rw.probes.initialisation(config))``.

    Args:
        data: what the networks would learn, with classes; None: digits.
        **settings: where the controls stand at first, such as ``depth=56, norm="none", gain=2.0``.

    Raises:
        InvalidSetting: for a control that there is not, or a place at which it cannot stand.

    Example:
        >>> microscope(depth=56, block="plain")          # doctest: +SKIP
    """
    view = MicroscopeView(data or digits())
    try:
        for name in settings:
            if name not in view.form.fields:
                raise InvalidSetting(
                    name, f"{name!r} is no control; choose {', '.join(map(repr, view.form.fields))}"
                )
        for name, value in settings.items():
            allowed = _allowed(view.form.fields[name], name)
            if value not in allowed:
                raise InvalidSetting(
                    name, f"{name}={value!r} is not offered; choose {', '.join(map(repr, allowed))}"
                )
        view.form.set(**settings)
    except InvalidSetting:
        view.close()
        raise
    return view


def _allowed(field: Field, name: str) -> tuple[Any, ...]:
    return ("batch", "group", "none") if name == "norm" else field.options
