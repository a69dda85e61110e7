"""What an exported model says, as plain values; the same whether a server or a notebook asks."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from reswork.models.tiles import in_tiles
from reswork.results.answers import BoxAnswers, ClassAnswers, MaskAnswers
from reswork.shipping.engines import Engine
from reswork.shipping.output_form import OutputForm
from reswork.tasks import Task
from reswork.tasks.anomalies import image_scores
from reswork.tasks.detection import best_boxes, sure_boxes
from reswork.tasks.restoration import as_bytes

MOST_GRID = 10  # patches along a side


def said(
    classes: tuple[str, ...], task: Task, output: np.ndarray, top: int, size: tuple[int, int]
) -> tuple[list[dict[str, Any]], list[float]]:
    """For each image what is said about it, and how sure that is.

    Args:
        classes: their names.
        task: that the output answers.
        output: of the model.
        top: classes that are named; of boxes all that it is sure of are told.
        size: height and width of the images, in pixels.
    """
    told: list[dict[str, Any]]
    if task.kind == "detection":
        boxes = _boxes(output, size)
        told = [
            {
                "boxes": [
                    {"class": classes[int(box[4])], "score": float(box[5]), "box": box[:4].tolist()}
                    for box in each
                ]
            }
            for each in boxes.boxes
        ]
        return told, boxes.sure.tolist()
    found = task.answers(torch.from_numpy(output))
    if isinstance(found, ClassAnswers):
        told = []
        for row in found.probabilities:
            best = np.argsort(-row, kind="stable")[:top]
            told.append(
                {
                    "top": [{"class": classes[k], "probability": float(row[k])} for k in best],
                    "probabilities": [float(each) for each in row],
                }
            )
        return told, [float(each) for each in found.sure]
    assert isinstance(found, MaskAnswers)  # nothing else is exported
    shares = [np.bincount(mask.reshape(-1), minlength=len(classes)) / mask.size for mask in found.masks]
    told = [
        {"shares": {classes[k]: float(row[k]) for k in np.argsort(-row, kind="stable")[:top] if row[k]}}
        for row in shares
    ]
    return told, [float(each) for each in found.sure]


def _boxes(output: np.ndarray, size: tuple[int, int]) -> BoxAnswers:
    """From the candidates that an exported detector gives."""
    places = torch.from_numpy(output)
    sides = torch.tensor([size[1], size[0]] * 2)
    return sure_boxes(best_boxes(places[..., :4] * sides, places[..., 4:]))


def measured(
    form: OutputForm, output: np.ndarray, threshold: float, names: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """For each image what is said where that is no class.

    Args:
        form: of the output.
        output: of the model.
        threshold: above which a score is an alarm.
        names: of values.
    """
    if form.name == "values":
        return [{"values": dict(zip(names, row.tolist(), strict=True))} for row in output]
    if form.name == "embedding":
        return [{"embedding": row.tolist()} for row in output]
    scores = image_scores(torch.from_numpy(output)).tolist()
    return [
        {"score": score, "alarm": score > threshold, "map": row.tolist()}
        for score, row in zip(scores, output, strict=True)
    ]


def restored(engine: Engine, inputs: np.ndarray) -> dict[str, Any]:
    """What comes out for one picture of any size, which goes in tile by tile where it is large.

    Args:
        engine: gives pictures.
        inputs: (1, C, H, W), as it takes them.
    """
    return pictured(in_tiles(lambda part: tile_bytes(engine(part)), inputs))


def tile_bytes(output: np.ndarray) -> Tensor:
    """What comes out for a tile, in bytes."""
    return as_bytes(torch.from_numpy(output))


def pictured(whole: Tensor) -> dict[str, Any]:
    """A picture (1, C, H, W) of bytes as a PNG, with its size."""
    pixels, out = whole[0].numpy(), io.BytesIO()
    Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(out, "PNG")
    return {"png": out.getvalue(), "height": pixels.shape[1], "width": pixels.shape[2]}


def covered(inputs: np.ndarray, grid: int) -> np.ndarray:
    """An image with one patch after the other covered by the mean colour of the training images.

    Args:
        inputs: (1, C, H, W), normalised, so that the mean colour is 0.
        grid: patches along a side.

    Returns:
        (grid * grid, C, H, W), row by row.
    """
    found = np.repeat(inputs, grid * grid, axis=0)
    rows, columns = (np.linspace(0, size, grid + 1).round().astype(int) for size in inputs.shape[2:])
    for index, each in enumerate(found):
        i, j = divmod(index, grid)
        each[:, rows[i] : rows[i + 1], columns[j] : columns[j + 1]] = 0
    return found


def drops(classes: tuple[str, ...], whole: np.ndarray, parts: np.ndarray) -> dict[str, Any]:
    """How much less sure the answer is with each patch covered.

    Needs no gradients, so that every engine can: a patch without which the class is less probable speaks for it.

    Args:
        classes: their names.
        whole: (K,) probabilities for the image as it is.
        parts: (grid * grid, K) those for what `covered` gave.

    Returns:
        ``class``, the one that is named, ``method``, and ``drop``: (grid, grid) of its probability, row by row.

    Reference:
        Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, arXiv:1311.2901, section 4.2.
    """
    named, grid = int(whole.argmax()), round(len(parts) ** 0.5)
    found = (whole[named] - parts[:, named]).reshape(grid, grid)
    return {"class": classes[named], "method": "occlusion", "drop": found.tolist()}
