"""`export`: a trained network as a folder that needs no reswork, proved equal before it is there."""

import copy
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from reswork.datasets.augmentation import normalise
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.probes.inputs import answer
from reswork.reporting.slices import wilson
from reswork.results.answers import BoxAnswers, ClassAnswers, MaskAnswers
from reswork.shipping.artefact import (
    CARD,
    EXAMPLE,
    EXAMPLES,
    FACTS,
    FORM,
    MANIFEST,
    PICTURES,
    Artefact,
    fingerprint,
    inputs_of,
    open_artefact,
)
from reswork.shipping.card import by_class, card_text
from reswork.shipping.check import check_artefact, picture_name
from reswork.shipping.drift import WINDOW, reference, traits
from reswork.shipping.engines import (
    FILES,
    INPUT,
    PACKAGES,
    Engine,
    Format,
    backends,
    check_format,
    first_line,
    open_engine,
    require,
)  # fmt: skip
from reswork.shipping.example import example_script
from reswork.shipping.formats import OPSET, check_opset, write_model
from reswork.shipping.output_form import as_shipped, output_form
from reswork.shipping.proof import Proof, compare
from reswork.shipping.subject import EXPORTED, Subject, subject_of
from reswork.shipping.whole_folder import free_place, whole
from reswork.store.atomic_files import write_json, write_text
from reswork.store.description import versions
from reswork.tasks.anomalies import alarms, image_scores, is_bad
from reswork.tasks.verification import accepting

Precision = Literal["fp32", "fp16", "bf16", "int8"]
_HALVES = {"fp16": torch.float16, "bf16": torch.bfloat16}
_PROVED_ON = 256  # test images
_BATCH = 250
_UNSTATED = (
    "Not stated by who exported it. The weights were learned from the data above: its licence and that of the code may "
    "both have a say; ask before you pass them on."
)


def export(
    model: Any,
    folder: str | Path,
    *,
    format: Format = "onnx",
    data: Any = None,
    opset: int = OPSET,
    examples: int = 16,
    licence: str | None = None,
    limits: tuple[str, ...] = (),
    precision: Precision = "fp32",
    calibration: int = 256,
) -> Artefact:
    """Write a network into a folder that needs no reswork, and prove it equal before it is there.

    The folder has the model, ``model.json`` (preprocessing, classes, numbers), a model card, a script of twenty lines,
    some test images with the network's answers, and the hash of each file. It is written beside its place and put
    there as a whole at the end; where anything fails, nothing is left. `check_artefact` (``reswork check``) looks
    later whether it is still the same.

    Args:
        model: a run, from disk or going on; an opened checkpoint; or any module that takes images (N, C, H, W),
            normalised, and returns one tensor. It stays as it was. Of look-alikes the embedding is written, of
            anomalies the map of what is unlike good images, and what was chosen as threshold is told; of detectors the
            box and the scores of each place, from which ``example.py`` and `Artefact.ask` choose; values in their unit.
            Signals, volumes, rows of a table and texts go in as numbers in their own unit. All these as ``"onnx"`` or
            ``"torch"``. What makes pictures larger or takes noise away takes them in any height and width, and is
            proved so at three; also as ``"script"``.
        folder: a new one; an older export in its place is replaced.
        format: ``"onnx"``, for onnxruntime and what else reads it, needs the extra ``onnx``; ``"torch"``, a program of
            ``torch.export``, which needs torch to run; ``"script"``, plain PyTorch code with its weights; ``"keras"``,
            a file of Keras 3, proved on every backend that is installed; ``"tensorflow"``, a SavedModel;
            ``"litert"``, for phones and small devices. These three take images with channels last, and each needs
            the extra of its name.
        data: what the network learned from, with its test split; None: the run's own, where it can be loaded again.
        opset: of ONNX, from 18.
        examples: test images that are kept, 1 to 64, of all classes in turn.
        licence: what the card says of it; None: that nobody said.
        limits: sentences that the card adds to its own.
        precision: ``"int8"``: ONNX in whole numbers of 8 bits, a quarter of the size and mostly faster; its answers are
            not the network's, and how many differ, and what that does to the accuracy, is told. See `Artefact.report`.
            ``"fp16"`` and ``"bf16"`` (as ``"torch"``) are numbers of 16 bits, half of the size, told in the same way;
            faster where the processor computes in them.
        calibration: training images that say how large activations are, for ``"int8"``.

    Returns:
        The artefact, from disk.

    Raises:
        InvalidSetting: in one sentence: a network that cannot be exported, with the operator; a package that is
            missing, with the extra that brings it; a folder that holds something else; an output that is not equal.
    """
    format = check_format(format)
    check_opset(opset)
    # onnxruntime has no convolution in bf16, and what Keras writes is not halved
    takes = {"int8": ("onnx",), "bf16": ("torch",), "fp16": ("onnx", "torch")}.get(precision, (format,))
    if precision not in get_args(Precision) or format not in takes:
        raise InvalidSetting(
            "precision",
            f"precision={precision!r} as {format}: choose 'fp32', 'int8' with format='onnx', 'bf16' with "
            "format='torch', or 'fp16' with either",
        )
    if isinstance(examples, bool) or not isinstance(examples, int) or not 1 <= examples <= 64:
        raise InvalidSetting("examples", f"examples={examples!r} cannot be kept; choose 1 to 64")
    place = free_place(folder, FACTS, MANIFEST)
    subject = subject_of(model, data, EXPORTED)
    kind = subject.data.input_kind
    form = output_form(subject.task.kind)
    formats = form.formats if kind == "images" else ("onnx", "torch")
    if format not in formats or (precision != "fp32" and not (kind == "images" and form.is_scores)):
        what = f"the task {subject.task.kind!r}" if kind == "images" else f"a network of {kind}"
        *most, last = map(repr, formats)
        raise InvalidSetting(
            "format", f"{what} as {format} in {precision}: choose {', '.join(most)} or {last}, and 'fp32'"
        )
    require("format", *PACKAGES[format])
    with whole(place) as made:
        _write(made, subject, format, opset, examples, licence or _UNSTATED, limits, precision, calibration)
        checked = check_artefact(made)  # the files themselves, as somebody else will
        if not checked.holds:
            raise InvalidSetting("format", f"the written files do not hold: {'; '.join(checked.sentences)}")
    return open_artefact(place)


def _write(
    made: Path,
    subject: Subject,
    format: Format,
    opset: int,
    examples: int,
    licence: str,
    limits: tuple[str, ...],
    precision: Precision,
    calibration: int,
) -> None:
    data, network, task = subject.data, subject.network, subject.task
    task.check_data(data)
    file, form, pictures = FILES[format], output_form(task.kind), data.input_kind == "images"
    shipped = as_shipped(network, task.kind, data)
    two = data.test.inputs[:2].cpu().repeat_interleave(2, 0)[:2]
    with torch.no_grad():
        task.check_output(
            network, task.call(partial(answer, network), normalise(two, data.mean, data.std)), data
        )
    first = torch.from_numpy(_taken(data, two))
    sized = _other_sizes(subject, shipped) if form.is_picture else []
    given = INPUT if pictures else "inputs"
    known = write_model(
        shipped, first, made / file, format, opset, form.name, given, any_size=form.is_picture
    )
    evaluation, outputs, sure = _judged(subject, network)
    threshold: float | None = None
    if not form.is_scores:
        whole = _outputs(subject, shipped)
        outputs, threshold = whole[:_PROVED_ON].numpy(), _threshold(subject, whole)
    proved = data.test.inputs[:_PROVED_ON]
    proofs = [
        compare(
            open_engine(made / file, backend=each),
            _taken(data, proved),
            outputs,
            is_scores=form.is_scores,
        )
        for each in (backends() if format == "keras" else (None,))
    ]
    proofs += [compare(open_engine(made / file), *each, is_scores=False) for each in sized]
    proof = max(proofs, key=lambda each: (not each.holds, each.largest))
    if not proof.holds:
        raise InvalidSetting(
            "format",
            f"the exported model is {proof.sentence}: nothing was written; a layer that is random or depends on the "
            "batch also at rest does this",
        )
    kept = data.subset(test=min(examples, len(data.test))).test
    pixels, answered = kept.inputs.cpu().numpy(), shipped
    at = [""] * (len(proofs) - len(sized)) + ["at {2}x{3} pixels ".format(*part.shape) for part, _ in sized]
    sentence = "; ".join(size + each.sentence for size, each in zip(at, proofs, strict=True))
    if precision != "fp32":
        single = evaluation
        if precision == "int8":
            said, words = _coarsened(made / file, subject, calibration), "whole numbers of 8 bits"
        else:
            write_model(Halved(network, _HALVES[precision]), first, made / file, format, opset)
            said, words = "", f"numbers of 16 bits ({precision})"
        engine = open_engine(made / file)
        answered = _Answering(engine)
        evaluation, others, sure = _judged(subject, answered)
        known["told"] += f", in {words}"
        sentence = (
            f"{(others.argmax(1) != outputs.argmax(1)).mean():.2%} of the answers to {len(proved):,} test images are "
            f"others than the network's; on all, {_change(subject, single, evaluation)}. In single precision the "
            f"file was {sentence}. {said}".rstrip()
        )
    with torch.no_grad():
        answers = answered(torch.from_numpy(_taken(data, kept.inputs))).float().numpy()
    np.savez_compressed(
        made / EXAMPLES, pixels=pixels, outputs=answers.astype(np.float32), targets=kept.targets.cpu().numpy()
    )
    (made / PICTURES).mkdir()
    for index, each in enumerate(pixels if pictures else ()):
        Image.fromarray(each[0] if len(each) == 1 else each.transpose(1, 2, 0)).save(
            made / picture_name(index)
        )
    headline = task.metrics[0].name
    counted = (
        headline == "top1" and headline in evaluation.metrics
    )  # a share of images, so that it has an interval
    facts = {
        "form": FORM,
        "format": format,
        "precision": precision,
        "file": file,
        **known,
        "label": subject.label,
        "task": task.kind,
        "classes": list(data.classes) if form.has_classes else [],
        "decoder": data.decoder.to_dict() if pictures else None,
        "inputs": {"kind": data.input_kind, "shape": list(data.input_shape), "names": list(data.features)},
        "values": list(data.classes) if task.kind == "regression" else [],
        "output_shape": ["N", *_sides(answers, data.test.scale if form.is_picture else 0)],
        "picture": _picture(data, sized) if form.is_picture else None,
        "parameters": sum(each.numel() for each in network.parameters()),
        "origin": subject.origin,
        "recipe": None if subject.recipe is None else dict(subject.recipe),
        "data": {
            "name": data.name,
            "summary": data.summary(),
            "train": len(data.train),
            "test": len(data.test),
            "hash": data.fingerprint,
        },
        "metrics": {
            name: evaluation.metrics[name]
            for name in (headline, *evaluation.metrics)
            if name in evaluation.metrics
        },
        "threshold": threshold,
        "interval": _interval(evaluation.metrics[headline], len(data.test)) if counted else None,
        "by_class": by_class(evaluation, data.classes) if form.has_classes else [],
        "reference": _reference(subject, sure) if form.has_classes and pictures else {},
        "limits": list(limits),
        "licence": licence,
        "proof": {**_told(proofs[0] if sized else proof, len(pixels)), "sentence": sentence},
        "versions": versions(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(made / FACTS, facts)
    write_text(made / EXAMPLE, example_script(format, task.kind, data.input_kind))
    write_text(made / CARD, card_text(facts, _files(made)))
    write_json(made / MANIFEST, {"files": _files(made)})


class Halved(nn.Module):
    """A copy of a network in numbers of 16 bits that takes and gives those of 32."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype
        self.network = copy.deepcopy(network).to(dtype)

    def forward(self, images: Tensor) -> Tensor:
        """Its output."""
        found: Tensor = self.network(images.to(self._dtype)).float()
        return found


class _Answering(nn.Module):
    """An engine that is called as a network is."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine

    def forward(self, images: Tensor) -> Tensor:
        """Its output."""
        return torch.from_numpy(self._engine(images.numpy()))


def _coarsened(file: Path, subject: Subject, calibration: int) -> str:
    """Put whole numbers into the place of a file in single precision; what was chosen."""
    from reswork.shipping.quantisation import write_int8

    train = subject.data.train
    if isinstance(calibration, bool) or not isinstance(calibration, int) or calibration < 2:
        raise InvalidSetting(
            "calibration", f"calibration={calibration!r}: give a number of training images, from 2"
        )
    count = min(calibration, len(train))
    inputs = inputs_of(subject.data.decoder, subject.data.subset(train=count).train.images.cpu().numpy())
    single = file.with_suffix(".fp32.onnx")
    file.rename(single)
    said = write_int8(single, file, inputs, open_engine(single)(inputs))
    single.unlink()
    return said


def _change(subject: Subject, before: Any, after: Any) -> str:
    metric = subject.task.metrics[0]
    old, new = (metric.told(each.metrics[metric.name]) for each in (before, after))
    return f"{metric.label} {new} instead of {old}"


def _reference(subject: Subject, sure: np.ndarray) -> dict[str, Any]:
    """What a server compares with: training images, and how sure answers are on test images.

    On training images a network is surer than it will ever be again, which would look like drift.
    """
    train = subject.data.train
    pixels = subject.data.subset(train=min(WINDOW, len(train))).train.images.cpu().numpy()
    found = {name: reference(values) for name, values in traits(pixels).items()}
    return {**found, "confidence": reference(sure)}


def _judged(subject: Subject, network: nn.Module) -> tuple[Any, np.ndarray, np.ndarray]:
    """What the test split says about a network, its outputs for the first images, and how sure each answer is."""
    data, task = subject.data, subject.task
    meter, outputs, sure, count = task.meter(data, torch.device("cpu")), [], [], 0
    with torch.no_grad():
        for images, targets in zip(
            data.test.inputs.split(_BATCH), data.test.targets.split(_BATCH), strict=True
        ):
            inputs = normalise(images.cpu(), data.mean, data.std)
            output = task.call(network, inputs)
            meter.update(output, targets.cpu())
            answers = task.answers(output)
            if isinstance(answers, ClassAnswers | MaskAnswers | BoxAnswers):
                sure.append(answers.sure)
            if count < _PROVED_ON:
                outputs.append(output[: _PROVED_ON - count].float().numpy())
                count += len(outputs[-1])
    return meter.compute(), np.concatenate(outputs), np.concatenate(sure) if sure else np.empty(0)


def _taken(data: Dataset, inputs: Tensor) -> np.ndarray:
    """What the file takes in, float32: images normalised, other inputs as they are."""
    numbers = inputs.cpu().numpy()
    return inputs_of(data.decoder, numbers) if data.input_kind == "images" else numbers.astype(np.float32)


def _outputs(subject: Subject, shipped: nn.Module) -> Tensor:
    """What is shipped says about the whole test split."""
    data = subject.data
    with torch.no_grad():
        parts = [shipped(torch.from_numpy(_taken(data, part))) for part in data.test.inputs.split(_BATCH)]
    return torch.cat(parts)


def _other_sizes(subject: Subject, shipped: nn.Module) -> list[tuple[np.ndarray, np.ndarray]]:
    """Test pictures in two other sizes with odd sides, and what is shipped says: parts of four, and four as one.

    Raises:
        InvalidSetting: the network takes no other size.
    """
    inputs, scale = subject.data.test.inputs.cpu(), subject.data.test.scale
    four = inputs[torch.arange(4) % len(inputs)]
    joined = torch.cat([torch.cat(tuple(pair), 2) for pair in four.split(2)], 1)[None]
    found = []
    for each in (four, joined):
        height, width = (length - 1 - length % 2 for length in each.shape[2:])
        part = _taken(subject.data, each[:, :, :height, : max(width - 2, 1)])
        try:
            with torch.no_grad():
                output = shipped(torch.from_numpy(part)).numpy()
        except (RuntimeError, ValueError) as error:
            output = first_line(error)
        if isinstance(output, str) or output.shape[2:] != tuple(scale * side for side in part.shape[2:]):
            told = output if isinstance(output, str) else f"it gives {output.shape[2]}x{output.shape[3]}"
            raise InvalidSetting(
                "model",
                f"pictures of {part.shape[2]}x{part.shape[3]} pixels cannot go through this "
                f"{type(subject.network).__name__} ({told}), and what is exported takes any size: give a network such "
                f"as rw.edsr(scale={scale})",
            )
        found.append((part, output))
    return found


def _picture(data: Dataset, sized: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """What is to be known of pictures that go in and come out."""
    sizes = [list(data.input_shape[1:]), *([*part.shape[2:]] for part, _ in sized)]
    return {"scale": data.test.scale, "value_range": [0.0, 1.0], "any_size": True, "proved_at": sizes}


def _sides(answers: np.ndarray, scale: int) -> list[int | str]:
    """The axes of an output behind the first, height and width in those of what goes in where they are free."""
    if not scale:
        return list(answers.shape[1:])
    return [answers.shape[1], *(side if scale == 1 else f"{scale} {side}" for side in "HW")]


def _threshold(subject: Subject, outputs: Tensor) -> float | None:
    """Of the test split: for 1 % false matches of look-alikes, for 5 % false alarms of anomalies; else none."""
    if subject.task.kind in ("detection", "regression", "restoration"):
        return None
    if subject.task.kind == "verification":
        return accepting(outputs, subject.data.test.labels.cpu())
    return alarms(image_scores(outputs), is_bad(subject.data.test.masks.cpu())).threshold


def _interval(share: float, count: int) -> list[float]:
    low, high = wilson((1 - share) * count, count)
    return [1 - high, 1 - low]


def _told(proof: Proof, kept: int) -> dict[str, Any]:
    return {
        "sentence": proof.sentence,
        "images": proof.images,
        "batches": list(proof.batches),
        "largest_difference": proof.largest,
        "allowed": proof.allowed,
        "engine": proof.engine,
        "kept": kept,
    }


def _files(made: Path) -> dict[str, dict[str, Any]]:
    found = sorted(path for path in made.rglob("*") if path.is_file())
    return {path.relative_to(made).as_posix(): fingerprint(path) for path in found}
