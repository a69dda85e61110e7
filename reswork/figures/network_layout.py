"""Where each part of a network stands on the page: stem, a row or more for each stage, head or decoder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from typing import TYPE_CHECKING

from reswork.figures.text import amount, escape

if TYPE_CHECKING:
    from reswork.models.costs import LayerSpec
    from reswork.models.sheet import BlockSpec, LevelSpec, Outline, SpecSheet

_INPUTS = {
    1: "one row of a table: its columns; or one text: its tokens",
    2: "one signal: channels × moments",
    3: "the picture: channels × height × width",
    4: "one volume: channels × depth × height × width",
}
MOST_IN_ROW = 50  # blocks; at 620 pixels width each is then ten pixels wide
MOST_IN_STEM = 12  # layers; a network without blocks is all stem
MOST_IN_HEAD = 4
FEWEST_SLOTS = 5  # so that three blocks do not become three barn doors
FEWEST_OF_U = 3  # which they do not in half of the width
ROW = 62  # pixels from one stage to the next
WRAPPED = 44  # pixels from one row of the same stage to the next
LOFT = 30  # pixels that an arc needs above the middle of a row
ENCODER = 0.6  # share of the width that a U-Net's left half has, where its right half is not full
FULL_ENCODER = 0.46  # where the last level and the answer stand in one row
BETWEEN = 0.07  # share of the width between both halves


@dataclass(frozen=True)
class Box:
    """One box: a block, or a part of stem or head."""

    name: str
    text: str  # written in the box where it has room
    hover: str
    x: float  # middle, in units of the whole row, 0 to 1
    y: float  # middle, in pixels below the top, negative
    width: float  # of the box
    slot: float  # of the box with its share of the gaps
    shortcut: str = "none"
    branch: bool = True
    kind: str = "block"  # "block", "end" (stem, head) or "text" (input, output)

    @property
    def left(self) -> float:
        """Where its slot begins."""
        return self.x - self.slot / 2

    @property
    def right(self) -> float:
        """Where its slot ends."""
        return self.x + self.slot / 2


@dataclass(frozen=True)
class Row:
    """Boxes from left to right at one height, with what is written before them."""

    title: str
    detail: str
    y: float
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Layout:
    """All rows, the height of the whole in pixels, and how narrow the blocks are."""

    rows: tuple[Row, ...]
    height: float
    slots: int  # blocks that fit in a row
    decoder: tuple[
        Row, ...
    ] = ()  # right half of a U, in the order in which it runs: each at the height of its size
    skips: tuple[tuple[Box, Box], ...] = ()  # from whose output to where it is put beside

    @property
    def all_rows(self) -> tuple[Row, ...]:
        """In the order in which they run."""
        return self.rows + self.decoder

    @property
    def roomy(self) -> bool:
        """Blocks so wide that arrows and plus signs fit between them."""
        return self.slots <= 10

    @property
    def dense(self) -> bool:
        """Blocks so narrow that only their outlines can be drawn."""
        return self.slots > 20


def network_layout(sheet: "SpecSheet | Outline") -> Layout:
    """Places for everything in the network, in reading order.

    Args:
        sheet: from ``reswork.spec_sheet`` or ``probes.outline``.

    Returns:
        Rows from stem to head; a stage with more than 50 blocks takes several rows of equal length. With a
        decoder the stages stand to the left, and its levels to the right at the height of what they take.
    """
    encoder = [block for block in sheet.blocks if block.name not in {level.block for level in sheet.levels}]
    stages = [(stage, list(blocks)) for stage, blocks in groupby(encoder, key=lambda block: block.stage)]
    wrapped = [
        (stage, part, blocks) for stage, blocks in stages for part, blocks in enumerate(_parts(blocks))
    ]
    slots = max([FEWEST_OF_U if sheet.levels else FEWEST_SLOTS, *(len(blocks) for _, _, blocks in wrapped)])
    if sheet.levels:
        return _u_shape(sheet, wrapped, slots)
    rows = [_stem(sheet, -LOFT)]
    y = -LOFT
    for stage, part, blocks in wrapped:
        y -= ROW if part == 0 else WRAPPED
        rows.append(_stage_row(stage, part, blocks, y, slots))
    y -= ROW - 8
    rows.append(_head(sheet, y))
    return Layout(tuple(rows), -y + 24, slots)


def _u_shape(
    sheet: "SpecSheet | Outline", wrapped: Sequence[tuple[int, int, list["BlockSpec"]]], slots: int
) -> Layout:
    """Stages go down to the left, levels up to the right; the last one to the top, with the answer."""
    full = not sheet.levels[-1].skip  # it has no partner, as the stem has made the image smaller
    share = FULL_ENCODER if full else ENCODER
    stem, y = _stem(sheet, -LOFT), -LOFT
    if full:
        y -= ROW
        shapes = sheet.input_shape, next(level.output_shape for level in sheet.levels if level.skip == "stem")
        image, shrunk = (f"{shape[0]} ch · {_extent(shape)}" for shape in shapes)
        layers = [replace(box, y=y) for box in stem.boxes[1:]]
        rows = [
            Row("image", image, -LOFT, _spread(stem.boxes[:1], 0.0, share, 2)),
            Row("stem", shrunk, y, _spread(layers, 0.0, share, max(4, len(layers)))),
        ]
    else:
        rows = [replace(stem, boxes=_spread(stem.boxes, 0.0, share, max(3, len(stem.boxes))))]
    ends = {"stem": rows[-1]}  # the row behind which each part of the encoder has its output
    for stage, part, blocks in wrapped:
        y -= ROW if part == 0 else WRAPPED
        row = _stage_row(stage, part, blocks, y, slots)
        squeezed = (
            replace(box, x=box.x * share, width=box.width * share, slot=box.slot * share) for box in row.boxes
        )
        rows.append(replace(row, boxes=tuple(squeezed)))
        ends[f"layer{stage}"] = rows[-1]
    start, room = share + BETWEEN, 1 - share - BETWEEN
    decoder, skips = [], []
    for level in sheet.levels:
        partner = ends.get(level.skip, rows[0])
        boxes = [*_level(sheet, level, partner.y)]
        if not level.skip:
            boxes += _answer(sheet, partner.y)
        decoder.append(Row("", "", partner.y, _spread(boxes, start, room, 4 if full else 2)))
        if level.skip and level.joins:
            sources = [box for box in partner.boxes if box.text != _STEM_KINDS["pool"]]
            skips.append((sources[-1], decoder[-1].boxes[0]))
    if not full:
        decoder.append(Row("", "", -LOFT, _spread(_answer(sheet, -LOFT), start, room, 2)))
    return Layout(tuple(rows), -y + LOFT + 8, round(slots / share), tuple(decoder), tuple(skips))


_BOXES = "at every fourth pixel a box: distances to its edges, nearness to its middle, one number a class"


def _gives_boxes(sheet: "SpecSheet | Outline") -> bool:
    """Whether what comes out is drawn on a coarser grid than the image."""
    return len(sheet.output_shape) == 3 and sheet.output_shape[1] < sheet.input_shape[1]


_ANCHORS = "for each anchor a box, the anchor itself, how they differ, and one number a class"


def _spread(boxes: Sequence[Box], start: float, room: float, slots: int) -> tuple[Box, ...]:
    """Boxes side by side in one half."""
    slot = room / slots
    return tuple(
        replace(
            box,
            x=start + (index + 0.5) * slot,
            width=slot * (0.84 if box.kind == "text" else 0.56),
            slot=slot,
        )
        for index, box in enumerate(boxes)
    )


def _level(sheet: "SpecSheet | Outline", level: "LevelSpec", y: float) -> tuple[Box, Box]:
    block = next(block for block in sheet.blocks if block.name == level.block)
    costs = [layer for layer in sheet.layers if layer.name.startswith(f"{level.merge}.")]
    beside = f", with the output of {escape(level.skip)} beside it" if level.skip else ""
    hover = (
        f"<b>{escape(level.merge)}</b>: upsampled{beside}, then a 3×3 convolution"
        f"<br>output {_shape(level.output_shape)}"
        f"<br>{amount(sum(layer.parameters for layer in costs))} parameters, "
        f"{amount(sum(layer.macs for layer in costs))} MACs"
    )
    name = block.name.removeprefix("decoder.layer").replace("_", "")
    return (
        Box(level.merge, "up", hover, 0, y, 0, 0, kind="end"),
        Box(block.name, name, _hover(block), 0, y, 0, 0, block.shortcut, block.branch),
    )


def _answer(sheet: "SpecSheet | Outline", y: float) -> tuple[Box, Box]:
    last, shape = sheet.layers[-1], _whole(sheet.output_shape)
    told = _BOXES if _gives_boxes(sheet) else "for each pixel one number a class: classes × height × width"
    return (
        Box(last.name, "conv", _layer_hover(last.name, last), 0, y, 0, 0, kind="end"),
        Box("output", shape, told, 0, y, 0, 0, kind="text"),
    )


def _parts(blocks: list["BlockSpec"]) -> list[list["BlockSpec"]]:
    """The blocks in as few rows as fit, of nearly equal length."""
    count = -(-len(blocks) // MOST_IN_ROW)
    length = -(-len(blocks) // count)
    return [blocks[start : start + length] for start in range(0, len(blocks), length)]


def _stage_row(stage: int, part: int, blocks: Sequence["BlockSpec"], y: float, slots: int) -> Row:
    slot = 1.0 / slots
    boxes = tuple(
        Box(
            block.name,
            block.name.removeprefix("layer"),
            _hover(block),
            (index + 0.5) * slot,
            y,
            slot * (0.56 if slots <= 20 else 0.64),
            slot,
            block.shortcut,
            block.branch,
        )
        for index, block in enumerate(blocks)
    )
    if part:
        return Row("", "", y, boxes)
    return Row(f"stage {stage}", f"{blocks[0].channels} ch · {_extent(blocks[0].output_shape)}", y, boxes)


def _stem(sheet: "SpecSheet | Outline", y: float) -> Row:
    blocks = tuple(f"{block.name}." for block in sheet.blocks)
    before = list(takewhile(lambda layer: not layer.name.startswith(blocks), sheet.layers))
    shown = [layer for layer in before if layer.kind in _STEM_KINDS][:MOST_IN_STEM]
    shape = before[-1].output_shape if before else sheet.input_shape
    parts = [
        (
            "input",
            _whole(sheet.input_shape),
            _INPUTS.get(len(sheet.input_shape), "one input"),
            "text",
        )
    ]
    parts += [
        (layer.name, _STEM_KINDS[layer.kind], _layer_hover(layer.name, layer), "end") for layer in shown
    ]
    return Row("stem", f"{shape[0]} ch · {_extent(shape)}", y, _ends(parts, y))


def _head(sheet: "SpecSheet | Outline", y: float) -> Row:
    last = sheet.layers[-1] if sheet.layers else None
    if len(sheet.output_shape) == 2 and _pyramid(sheet):
        detail = f"{sheet.blocks[-1].channels} ch → {sheet.output_shape[0]:,} anchors" if sheet.blocks else ""
        told = "×".join(map(str, sheet.output_shape))
        return Row("head", detail, y, _ends([*_pyramid(sheet), ("output", told, _ANCHORS, "text")], y))
    if len(sheet.output_shape) >= 3 and last is not None:  # a number for each pixel, or a picture
        shape = _whole(sheet.output_shape)
        parts = [
            (
                layer.name,
                _head_word(sheet, layer),
                _layer_hover(layer.name, layer),
                "end",
            )
            for layer in _behind_blocks(sheet)
        ]
        told = (
            "a picture" if any(name == "decoder.shuffle" for name, *_ in parts) else "numbers for each pixel"
        )
        detail = f"{sheet.blocks[-1].channels} ch → {sheet.output_shape[0]}" if sheet.blocks else shape
        told = _BOXES if _gives_boxes(sheet) else told
        return Row("head", detail, y, _ends([*parts, ("output", shape, told, "text")], y))
    classes = sheet.output_shape[-1] if sheet.output_shape else 0
    before = sheet.layers[-2:-1]
    if (
        last is not None and last.name == "identities" and before
    ):  # look-alikes: an embedding, and cosines with those
        numbers = before[0].output_shape[-1]
        told = "the embedding, and behind it its cosine with each identity that was learned"
        parts = [
            ("average", "mean", "the mean over the whole picture, one number a channel", "end"),
            (before[0].name, "linear", _layer_hover(before[0].name, before[0]), "end"),
            ("output", f"{numbers} numbers", told, "text"),
        ]
        return Row(
            "head", f"{sheet.blocks[-1].channels if sheet.blocks else ''} ch → {numbers}", y, _ends(parts, y)
        )
    detail = f"{sheet.blocks[-1].channels} ch → {classes}" if sheet.blocks else f"{classes} classes"
    parts = [("average", "mean", "the mean over the whole picture, one number a channel", "end")]
    if last is not None:
        parts.append((last.name, "linear", _layer_hover(last.name, last), "end"))
    parts.append(
        ("output", f"{classes} classes", "one number for each class; the largest is the answer", "text")
    )
    return Row("head", detail, y, _ends(parts, y))


def _pyramid(sheet: "SpecSheet | Outline") -> list[tuple[str, str, str, str]]:
    """The parts of a RetinaNet's head; a click looks at the last layer of each."""
    found = {layer.name: layer for layer in sheet.layers if layer.kind == "conv"}
    shown = {"levels": "pyramid.layer_blocks.0.0", "class": "head.classification_head.cls_logits",
             "boxes": "head.regression_head.bbox_reg"}  # fmt: skip
    names = {word: f"decoder.{name}" for word, name in shown.items()}
    return [
        (name, word, _layer_hover(name, found[name]), "end") for word, name in names.items() if name in found
    ]


def _behind_blocks(sheet: "SpecSheet | Outline") -> list["LayerSpec"]:
    """The layers of a head that gives something for each pixel, at most those that fit into a row."""
    blocks = tuple(f"{block.name}." for block in sheet.blocks)
    tail = (
        list(takewhile(lambda layer: not layer.name.startswith(blocks), reversed(sheet.layers)))[::-1]
        if blocks
        else []
    )
    shown = [layer for layer in tail if layer.kind in _HEAD_KINDS] or [sheet.layers[-1]]
    if len(shown) > MOST_IN_HEAD:  # what only enlarges goes first
        shown = [layer for layer in shown if layer.kind == "conv"][-MOST_IN_HEAD:] or shown[-MOST_IN_HEAD:]
    return [layer for layer in shown if layer.kind in _HEAD_KINDS]


def _head_word(sheet: "SpecSheet | Outline", layer: "LayerSpec") -> str:
    """What a layer of such a head does, in a word that fits."""
    if layer.kind == "shuffle":
        return f"×{layer.output_shape[1] // sheet.input_shape[1]}"
    return "+" if layer.name == "enlarge" else _HEAD_KINDS[layer.kind]  # the enlarged input, which is added


# words that fit into the boxes
_STEM_KINDS = {"conv": "conv", "pool": "max", "upsample": "bicubic"}
_HEAD_KINDS = {"conv": "conv", "shuffle": "shuffle", "upsample": "up", "linear": "linear", "pool": "mean"}


def _ends(parts: Sequence[tuple[str, str, str, str]], y: float) -> tuple[Box, ...]:
    slot = 1.0 / max(FEWEST_SLOTS, len(parts))
    return tuple(
        Box(
            name,
            text,
            hover,
            (index + 0.5) * slot,
            y,
            slot * (0.84 if kind == "text" else 0.62),
            slot,
            kind=kind,
        )
        for index, (name, text, hover, kind) in enumerate(parts)
    )


def _hover(block: "BlockSpec") -> str:
    branch = "" if block.branch else "<br>branch switched off"
    stride = f", stride {block.stride}" if block.stride != 1 else ""
    return (
        f"<b>{escape(block.name)}</b>: {block.kind}{stride}<br>output {_shape(block.output_shape)}"
        f"<br>shortcut: {_SHORTCUTS.get(block.shortcut, block.shortcut)}{branch}"
        f"<br>{amount(block.parameters)} parameters, {amount(block.macs)} MACs"
    )


_SHORTCUTS = {
    "identity": "identity",
    "padding": "identity with zero padding",
    "projection": "projection (1×1 convolution)",
    "none": "none",
}


def _layer_hover(name: str, layer: "LayerSpec") -> str:
    return (
        f"<b>{escape(name)}</b>: {escape(layer.kind)}<br>output {_shape(layer.output_shape)}"
        f"<br>{amount(layer.parameters)} parameters, {amount(layer.macs)} MACs"
    )


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def _whole(shape: Sequence[int]) -> str:
    return "×".join([str(shape[0]), _extent(shape)]) if len(shape) > 1 else str(shape[0])


def _extent(shape: Sequence[int]) -> str:
    sides = [str(side) for side in shape[1:]]
    return f"{sides[0]}³" if len(sides) == 3 and len({*sides}) == 1 else "×".join(sides)
