"""`smaller`: several ways to make a network smaller, tried, exported, proved, timed and laid beside each other."""

import re
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from reswork.compression.blocks import delete_blocks, judge_blocks, names_in, sheet_macs
from reswork.compression.channels import prune_channels
from reswork.compression.tuning import TUNING, tuning
from reswork.compression.way import Way, checked_ways, usual_ways
from reswork.compression.weights import count_nonzero, prune_weights
from reswork.contrast.answers import Judged, as_inputs, changes
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.models.anatomy import residual_blocks
from reswork.models.config import ResNetConfig
from reswork.models.network import ResNet
from reswork.probes.isolation import OwnRandomness
from reswork.probes.outline import as_built
from reswork.reporting.answers import first_seconds
from reswork.reporting.slices import wilson
from reswork.results.latency import Latency
from reswork.results.smaller import BlockWorth, Sized, SizedTable
from reswork.shipping.artefact import Artefact
from reswork.shipping.engines import Format
from reswork.shipping.export import export
from reswork.shipping.latency import latency
from reswork.shipping.subject import Subject, subject_of
from reswork.store.checkpoint import Checkpoint, open_checkpoint
from reswork.store.operated_weights import write_operated
from reswork.surgery import reestimate_norms
from reswork.surgery.statistics import training_batches
from reswork.training.live_run import LiveRun
from reswork.training.recipe import Recipe, total_steps

_BATCH = 250
_EXPORT_S = 4.0  # of a small network, with its proof
_START_S = 1.5  # of the two processes that are timed beside each other
_TRAINED = 3.0  # times a forward pass


@dataclass(frozen=True, eq=False)
class Form:
    """One smaller form of a network: its numbers, its exported folder, and the network behind it.

    Attributes:
        way: how it was asked for; None: the network as it was.
        numbers: what it costs and is worth.
        artefact: the exported folder.
        network: in single precision.
        weights: the file of `open_checkpoint` that tells how it was made, and goes on in training, `inspect`, `export`
            and `serve`; None for a network that was not built here, which is had in memory and in the folder.
    """

    way: Way | None
    numbers: Sized
    artefact: Artefact
    network: nn.Module
    weights: Path | None

    @property
    def checkpoint(self) -> Checkpoint:
        """Its weights, opened.

        Raises:
            InvalidSetting: a network that was not built here.
        """
        if self.weights is None:
            raise InvalidSetting(
                "form",
                f"{self.numbers.name} was not built here, so that no file of weights describes it: take .network",
            )
        return open_checkpoint(self.weights)

    def __repr__(self) -> str:
        return f"<Form {self.numbers.name}: {self.numbers.value:.1%}, {self.numbers.megabytes:.2f} MB>"


class Smaller:
    """Several forms of a network beside each other; made by `reswork.smaller`.

    Print it for the table, draw it with ``rw.figures.pareto``.

    Attributes:
        forms: the network as it was, then the others in the order in which they were made.
        folder: where exported folders and weights lie.
        worth: what each block is worth; None where no block was taken out.
        skipped: sentences about what was not tried, or could not be done.
    """

    def __init__(self, max_megabytes: float | None, max_ms: float | None, folder: str | Path | None) -> None:
        self.folder = Path(folder or tempfile.mkdtemp(prefix="reswork-smaller-"))
        if folder is None:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.forms: tuple[Form, ...] = ()
        self.worth: BlockWorth | None = None
        self.skipped: tuple[str, ...] = ()
        self._limits = (max_megabytes, max_ms)
        self._engine, self._images = "", 0

    @property
    def table(self) -> SizedTable:
        """The numbers alone, for figures and files."""
        return SizedTable(
            tuple(each.numbers for each in self.forms),
            self._engine,
            self._images,
            *self._limits,
            self.skipped,
        )

    @property
    def best(self) -> Form | None:
        """The best form within the budget, judged on the test images; None: there is none."""
        found = self.table.best
        return next((each for each in self.forms if each.numbers is found), None)

    def __getitem__(self, name: str) -> Form:
        """A form by its name.

        Raises:
            KeyError: there is none.
        """
        for each in self.forms:
            if each.numbers.name == name:
                return each
        raise KeyError(
            f"{name!r} is none of the forms: {', '.join(each.numbers.name for each in self.forms)}"
        )

    def __len__(self) -> int:
        return len(self.forms)

    def __repr__(self) -> str:
        return str(self.table) if self.forms else "<Smaller: nothing yet>"


def smaller(
    model: Any,
    data: Dataset | None = None,
    *,
    max_megabytes: float | None = None,
    max_ms: float | None = None,
    ways: Sequence[Way] | None = None,
    recipe: Recipe | None = None,
    folder: str | Path | None = None,
    seconds: float = 0.5,
    threads: int | None = None,
) -> Smaller:
    """Make a network smaller in several ways, and see what each costs and is worth.

    Each form is pruned, trained a little with the answers of the network as it was, exported, proved, and timed in
    turns with that. With a budget the best of those within it is named, and what it costs.

    Args:
        model: a run, an opened checkpoint or any module; it stays as it is.
        data: what it learned from; None: the run's own.
        max_megabytes: largest file, 10^6 bytes.
        max_ms: largest middle time of a call with one image here, milliseconds.
        ways: to be tried; None: taking out blocks, pruning channels, a shallower network that is taught, each also in 8
            bits. What cannot be within ``max_megabytes`` is left out beforehand.
        recipe: of the training after something was taken; None: 2 epochs at a learning rate of 0.02, and for a new
            network 5 at 0.1.
        folder: for exported folders and weights; None: one that is gone with what is returned.
        seconds: of calls, for each form.
        threads: of a call; None: as many as torch takes here.

    Returns:
        All forms; print it for a table.

    Raises:
        InvalidSetting: no network, no data, a budget that is none.
    """
    search = Search(
        model, data, max_megabytes=max_megabytes, max_ms=max_ms, ways=ways, recipe=recipe, folder=folder,
        seconds=seconds, threads=threads,
    )  # fmt: skip
    for _ in search.steps():
        pass
    return search.found


class Search:
    """The work of `smaller` in steps, so that it can be watched and stopped; the arguments are the same.

    Attributes:
        found: what is there already.
        ways: that are tried.
    """

    def __init__(
        self,
        model: Any,
        data: Dataset | None = None,
        *,
        max_megabytes: float | None = None,
        max_ms: float | None = None,
        ways: Sequence[Way] | None = None,
        recipe: Recipe | None = None,
        folder: str | Path | None = None,
        seconds: float = 0.5,
        threads: int | None = None,
    ) -> None:
        for name, limit in (("max_megabytes", max_megabytes), ("max_ms", max_ms)):
            if limit is not None and (
                isinstance(limit, bool) or not isinstance(limit, int | float) or limit <= 0
            ):
                raise InvalidSetting(name, f"{name}={limit!r} is no budget; choose a number above 0, or None")
        self._given = model
        self._subject: Subject = subject_of(model, data)
        self._data, self._recipe = self._subject.data, recipe
        self._seconds, self._threads = seconds, threads
        self._max_megabytes = max_megabytes
        self.found = Smaller(max_megabytes, max_ms, folder)
        self._images = as_inputs(self._data, np.array([0, 0]))
        network = self._subject.network
        self._config: ResNetConfig | None = network.config if type(network) is ResNet else None
        if ways is None:
            count = 0 if self._config is None else len(names_in(self._config))
            ways = usual_ways(self._config, count if self._removable(network) else 0)
        self.ways = checked_ways(ways)
        self._format: Format = (
            "onnx" if all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))) else "torch"
        )
        self._first: Judged | None = None
        self._made: dict[Way, tuple[nn.Module, tuple[str, ...]]] = {}

    @staticmethod
    def _removable(network: nn.Module) -> bool:
        return any(each.has_shortcut for each in residual_blocks(network))

    def seconds(self) -> float:
        """About how long all of it takes; one batch is answered to find out."""
        forward = first_seconds(self._subject.network, self._data)
        total = self._form_s()
        for shape in dict.fromkeys(way.shape for way in self.ways):
            if shape.changes:
                total += self._training_s(shape, forward)
        blocks = max((way.blocks for way in self.ways), default=0)
        if blocks:
            count = len(residual_blocks(self._subject.network))
            total += count * (1 + blocks) * forward * min(500, len(self._data.train))
        return total + len(self.ways) * self._form_s()

    def _form_s(self) -> float:
        return _EXPORT_S + _START_S + 2 * self._seconds

    def _training_s(self, shape: Way, forward: float) -> float:
        recipe = self._recipe_of(shape)
        images = total_steps(recipe, len(self._data.train)) * min(recipe.batch_size, len(self._data.train))
        return (1 + _TRAINED) * forward * images  # the teacher's forward pass, too

    def _recipe_of(self, shape: Way) -> Recipe:
        if self._recipe is not None:
            return self._recipe
        return TUNING if shape.depth is None else replace(TUNING, epochs=5, learning_rate=0.1)

    def steps(self) -> Iterator[str]:
        """Do it; what is done next is yielded, and not asking for the next is stopping."""
        yield "the network as it is: exported and timed"
        self._add(None, self._subject.network, (), "fp32")
        for way in self.ways:
            try:
                if (wrong := self._ruled_out(way)) is not None:
                    self.found.skipped += (f"{way.name}: {wrong}",)
                    continue
                if way.shape not in self._made:
                    yield from self._shaped(way.shape)
                network, made = self._made[way.shape]
                yield f"{way.name}: exported, proved and timed"
                self._add(way, network, made, way.precision)
            except InvalidSetting as error:
                self.found.skipped += (f"{way.name}: {error.message}",)
        if len(self.found.forms) > 2:
            yield "all forms timed in turns"
            self._timed_together()

    # --- one form --------------------------------------------------------------------------------

    def _ruled_out(self, way: Way) -> str | None:
        """Why a way cannot be within the budget, as far as weights alone tell."""
        if self._max_megabytes is None or self._config is None:
            return None
        network = self._made[way.shape][0] if way.shape in self._made else self._untrained(way)
        if network is None:
            return None
        size = sum(each.numel() for each in network.parameters())
        least = size * {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}[way.precision] / 1e6
        if least > self._max_megabytes:
            return f"not tried, its weights alone take {least:.2f} MB"
        return None

    def _untrained(self, way: Way) -> nn.Module | None:
        """A network of this size; None where that is not known before blocks are judged."""
        if way.blocks:
            return None
        return self._shallow(way.depth) if way.depth is not None else self._pruned(self._subject.network, way)

    def _shaped(self, shape: Way) -> Iterator[str]:
        network, made = self._subject.network, []
        if shape.depth is not None:
            with OwnRandomness(self._recipe_of(shape).seed):
                network = self._shallow(shape.depth)
            made.append(f"a new {network.config.label}")
        if shape.blocks:
            yield from self._judged_blocks()
            assert self.found.worth is not None
            order = self.found.worth.order[: shape.blocks]
            if len(order) < shape.blocks:
                raise InvalidSetting(
                    "blocks", f"{shape.blocks} blocks cannot be taken out: {len(order)} is the most"
                )
            network = delete_blocks(network, order, images=self._images)
            made.append(f"without {', '.join(order)}")
        if shape.channels or shape.trunk or shape.weights:
            network = self._pruned(network, shape)
            made += [f"{what} {100 * share:.0f} % fewer" for what, share in (("channels in blocks", shape.channels),
                     ("channels of the trunk", shape.trunk), ("weights", shape.weights)) if share]  # fmt: skip
        if not shape.changes:
            self._made[shape] = network, ()
            return
        recipe = self._recipe_of(shape)
        network.requires_grad_(True)
        if shape.depth is None:
            reestimate_norms(network, training_batches(self._data, 500, recipe.seed, torch.device("cpu")))
        told = f"{shape.name}: trained for {recipe.epochs} epochs"
        yield told
        said = time.monotonic()
        for done in tuning(network, self._data, recipe, teacher=self._subject.network):
            if time.monotonic() > said + 0.5:
                said = time.monotonic()
                yield f"{told}, {done:.0%}"
            else:
                yield ""
        made.append(
            f"then trained for {recipe.epochs} epochs at a rate of {recipe.learning_rate:g} with the answers of "
            f"{self._subject.label}"
        )
        self._made[shape] = network.cpu().eval(), tuple(made)

    def _judged_blocks(self) -> Iterator[str]:
        most = max(way.blocks for way in self.ways)
        if self.found.worth is None:
            self.found.worth = yield from judge_blocks(self._subject.network, self._data, most=most)

    def _pruned(self, network: nn.Module, way: Way) -> nn.Module:
        if way.channels or way.trunk:
            network = prune_channels(network, way.channels, trunk=way.trunk, images=self._images)
        return prune_weights(network, way.weights) if way.weights else network

    def _shallow(self, depth: int) -> ResNet:
        if self._config is None:
            raise InvalidSetting(
                "depth", "a network that was not built here has no shallower twin; prune channels"
            )
        full = self._config.resolved()
        return ResNet(
            replace(
                full, depth=depth, stage_blocks=None, inner_channels=None, shortcuts_off=(), branches_off=()
            )
        )

    def _add(self, way: Way | None, network: nn.Module, made: tuple[str, ...], precision: str) -> None:
        name = "as it was" if way is None else way.name
        place = self.found.folder / (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "form")
        place.parent.mkdir(parents=True, exist_ok=True)
        weights = None
        given: Any = network
        if way is None and not (
            isinstance(self._given, LiveRun) and not self._given.done
        ):  # it would have moved on
            given = self._given
        elif type(network) is ResNet:
            weights = write_operated(place.with_suffix(".safetensors"), network, made, (), network.config)
            given = open_checkpoint(weights)
        artefact = export(
            given,
            place,
            data=self._data,
            format="torch" if precision == "bf16" else self._format,
            precision=precision,  # type: ignore[arg-type]  # a `Way` checks it
            limits=(f"How it was made: {'; '.join(made)}.",) if made and weights is None else (),
        )
        judged = _answered(artefact, self._data, self._subject)
        if self._first is None:
            self._first = judged
        both = (
            {name: artefact} if way is None else {"as it was": self.found.forms[0].artefact, name: artefact}
        )
        timed = latency(both, batch_sizes=(1,), seconds=self._seconds, threads=self._threads)
        cost = next(each for each in timed.engines if each.name == name)
        metric = self._subject.task.metrics[0]
        value, rows = judged.evaluation.metrics[metric.name], np.arange(len(self._data.test))
        low = high = float("nan")
        if metric.name == "top1":
            wrong = wilson((1 - value) * len(rows), len(rows))
            low, high = 1 - wrong[1], 1 - wrong[0]
        sized = Sized(
            name,
            made,
            precision,
            sum(each.numel() for each in network.parameters()),
            count_nonzero(network),
            sheet_macs(as_built(network, self._images[:1])),
            artefact.path.stat().st_size,
            cost.memory_bytes,
            timed.of(name),
            metric.label,
            value,
            low,
            high,
            None if way is None else changes(self._first, judged, rows, len(rows)),
        )
        self.found._engine, self.found._images = f"{cost.engine}, {cost.threads} threads", len(rows)
        self.found.forms += (Form(way, sized, artefact, network, weights),)

    def _timed_together(self) -> None:
        timed: Latency = latency(
            {each.numbers.name: each.artefact for each in self.found.forms}, batch_sizes=(1,), seconds=self._seconds,
            threads=self._threads,
        )  # fmt: skip
        self.found.forms = tuple(
            replace(each, numbers=replace(each.numbers, times=timed.of(each.numbers.name)))
            for each in self.found.forms
        )


def _answered(artefact: Artefact, data: Dataset, subject: Subject) -> Judged:
    """What the exported file says about all test images."""
    engine, task, images = artefact.open(), subject.task, data.test.images.cpu()
    output = torch.from_numpy(
        np.concatenate([engine(artefact.inputs(part.numpy())) for part in images.split(_BATCH)])
    )
    targets = data.test.targets.cpu()
    meter = task.meter(data, torch.device("cpu"))
    meter.update(output, targets)
    table = output.softmax(1).numpy() if output.dim() == 2 else np.zeros((0, 0), np.float32)
    return Judged(output.argmax(1).numpy(), table, task.right(output, targets).numpy(), meter.compute())
