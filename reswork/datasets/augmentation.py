"""Random changes to training images, for a whole batch at once, on the device where the images are.

Where each pixel of the result comes from is drawn once and applied to the images and to their masks or boxes alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from reswork.datasets.inputs import InputKind, standardised
from reswork.datasets.targets import IGNORED, NO_BOX
from reswork.errors import InvalidSetting

if TYPE_CHECKING:
    from reswork.datasets.dataset import Dataset

GREY = 128  # what cutout fills with
BLACK = 0  # what a crop shows outside of the image; of a mask, `IGNORED`
LEAST_LEFT = 0.3  # of a box's area within a crop; with less of it nobody would say what it is


@dataclass(frozen=True)
class Augmentation:
    """Which random changes each training image undergoes each time that it is used, in this order.

    Args:
        crop_padding: pixels of black added on each side before a window of the old size is cut; the paper: 4.
        translate: shift by up to so many pixels each way; what moves in is mirrored at the edge.
        flip: mirror half of the images left to right; wrong for digits and letters.
        cutout: side of a square, in pixels, filled with grey; its centre is anywhere in the image.

    A mask is shifted and mirrored like its image. Where a crop shows black from outside of the image, it is ignored.
    Behind a cutout it stays, as a label does: the network has to tell from what is around the square.
    Where the targets are images, only ``flip`` can be used: it alone moves no pixel by less than one of the target's.
    Boxes move with their image, and go where less than 0.3 of one is left; ``translate`` is not for them, as what it
    mirrors in has no box.

    A signal is shifted, mirrored and cut along its moments; what a crop shows from outside of it and what a cutout
    covers is the mean of the channel. A volume and its mask can be mirrored only. Columns of a table and tokens have no
    neighbours to be shifted to: for them everything must be off.

    Raises:
        InvalidSetting: something other than a whole number of pixels from 0 on.

    Reference:
        arXiv:1512.03385, section 4.2 (crop, flip); arXiv:1708.04552 (cutout).

    Example:
        >>> Augmentation(crop_padding=4, flip=True).to_dict()
        {'crop_padding': 4, 'flip': True, 'translate': 0, 'cutout': 0}
    """

    crop_padding: int = 0
    flip: bool = False
    translate: int = 0
    cutout: int = 0

    def __post_init__(self) -> None:
        for name in ("crop_padding", "translate", "cutout"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InvalidSetting(
                    name, f"{name}={value!r} is not a number of pixels; choose 0 (off), 1, 2, ..."
                )
        if not isinstance(self.flip, bool):
            raise InvalidSetting("flip", f"flip={self.flip!r} is neither True nor False")

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Augmentation":
        """From what `to_dict` gave.

        Raises:
            InvalidSetting: an unknown name or an impossible value.
        """
        known = [each.name for each in fields(cls)]
        for name in values:
            if name not in known:
                raise InvalidSetting(
                    "augmentation", f"{name!r} is not an augmentation; choose from {', '.join(known)}"
                )
        return cls(**values)

    def fitting(self, kind: InputKind) -> "Augmentation":
        """What is left of it for other inputs: for signals no mirroring, for volumes nothing else, else nothing."""
        if kind == "images":
            return self
        if kind == "volumes":
            return Augmentation(flip=self.flip)
        return replace(self, flip=False) if kind == "signals" else Augmentation()

    def check(self, input_shape: Sequence[int], kind: InputKind = "images") -> None:
        """Whether it can be done to inputs of this shape.

        Raises:
            InvalidSetting: a shift as large as the image or the signal; anything for rows of a table and tokens.
        """
        if kind in ("tables", "tokens", "volumes"):
            refused = replace(self, flip=False) if kind == "volumes" else self
            for name, value in refused.to_dict().items():
                if value:
                    raise InvalidSetting(
                        name,
                        f"{name}={value} is for images and signals, and the inputs are {kind}; choose {0 * value}",
                    )
            return
        if kind == "signals":
            for name in ("crop_padding", "translate"):
                if getattr(self, name) >= input_shape[-1]:
                    raise InvalidSetting(
                        name,
                        f"{name}={getattr(self, name)} is too much for signals of {input_shape[-1]} moments; "
                        f"choose 0 to {input_shape[-1] - 1}",
                    )
            return
        height, width = input_shape[-2:]
        for name in ("crop_padding", "translate"):
            if getattr(self, name) >= min(height, width):
                raise InvalidSetting(
                    name,
                    f"{name}={getattr(self, name)} is too much for images of {height}x{width} pixels; "
                    f"choose 0 to {min(height, width) - 1}",
                )


def augment(images: Tensor, augmentation: Augmentation, generator: torch.Generator | None = None) -> Tensor:
    """The batch after random changes, each image its own; the images given stay as they are.

    All is done by a few operations over the batch on the images' device, and nothing waits for that device.

    Args:
        images: uint8, (N, C, H, W).
        augmentation: what to do.
        generator: of the random numbers, on the images' device.

    Returns:
        uint8, (N, C, H, W).

    Raises:
        InvalidSetting: a shift as large as the image.
    """
    augmentation.check(images.shape)
    planes = with_edge(as_planes(images), augmentation, BLACK)
    return as_images(augment_planes([planes], _size(images), augmentation, generator)[0])


def augment_with_masks(
    images: Tensor, masks: Tensor, augmentation: Augmentation, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Images as `augment` gives them, and their masks shifted and mirrored by the same random numbers.

    Args:
        images: uint8, (N, C, H, W).
        masks: uint8, (N, H, W).
        augmentation: what to do; cutout leaves masks as they are.
        generator: of the random numbers, on the images' device.

    Returns:
        uint8, (N, C, H, W) and (N, H, W); a pixel of a mask from outside of the image is `IGNORED`.

    Raises:
        InvalidSetting: a shift as large as the image.
    """
    augmentation.check(images.shape)
    planes = with_edge(as_planes(images), augmentation, BLACK)
    mask_planes = with_edge(as_planes(masks.unsqueeze(1)), augmentation, IGNORED)
    moved = augment_planes([planes, mask_planes], _size(images), augmentation, generator)
    return as_images(moved[0]), as_images(moved[1]).squeeze(1)


def augment_with_boxes(
    images: Tensor, boxes: Tensor, augmentation: Augmentation, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Images as `augment` gives them, and their boxes shifted, cut and mirrored by the same random numbers.

    Args:
        images: uint8, (N, C, H, W).
        boxes: float32, (N, M, 5), see `reswork.datasets.targets`.
        augmentation: what to do, without ``translate``; cutout leaves boxes as they are.
        generator: of the random numbers, on the images' device.

    Returns:
        uint8, (N, C, H, W) and float32, (N, M, 5); `NO_BOX` where too little of a box is left.

    Raises:
        InvalidSetting: a shift as large as the image.
    """
    augmentation.check(images.shape)
    planes = with_edge(as_planes(images), augmentation, BLACK)
    planes, boxes = augment_planes_with_boxes(planes, boxes, _size(images), augmentation, generator)
    return as_images(planes), boxes


def normalise(
    images: Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    dtype: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.preserve_format,
) -> Tensor:
    """What the network takes in: ``(images / 255 - mean) / std``; of signals and rows ``(x - mean) / std``.

    Args:
        images: uint8, (N, C, H, W); or any other inputs of a data set. Tokens stay as they are.
        mean: of each channel, 0 to 1; of other inputs in their own unit.
        std: standard deviation of each channel, as the mean.
        dtype: of the result; the arithmetic is done in float32.
        memory_format: of the result; by default that of the images.

    Returns:
        The inputs' shape.
    """
    if images.dim() != 4:
        found = standardised(images, mean, std)
        return found.to(dtype) if found.is_floating_point() else found
    images = (
        images.contiguous(memory_format=memory_format) if memory_format != torch.preserve_format else images
    )
    planes = as_planes(images)
    scale, shift = normalisation(mean, std, planes.shape, planes.device)
    return as_images(planes.float().mul_(scale).add_(shift).to(dtype))


def preview(
    data: "Dataset", augmentation: Augmentation, *, picture: int = 0, n: int = 9, seed: int = 0
) -> Tensor:
    """One training image as it is, then as training may see it.

    Args:
        data: the data set.
        augmentation: what is done to the image.
        picture: number of the image in the training split.
        n: how many images to return, the first of them unchanged.
        seed: of the random changes.

    Returns:
        uint8, (n, C, H, W), on the CPU.

    Raises:
        InvalidSetting: no such picture, or an augmentation that does not fit the images.
    """
    if not 0 <= picture < len(data.train):
        raise InvalidSetting("picture", f"picture={picture}: choose 0 to {len(data.train) - 1}")
    image = data.train.images[picture : picture + 1].cpu()
    generator = torch.Generator().manual_seed(seed)
    return torch.cat([image, augment(image.expand(max(n, 1) - 1, -1, -1, -1), augmentation, generator)])


def _size(images: Tensor) -> tuple[int, int]:
    return images.shape[2], images.shape[3]


def as_planes(images: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, 1, H, W, C) where channels lie last in memory, else (N, C, H, W, 1); dense."""
    if images.shape[1] > 1 and images.is_contiguous(memory_format=torch.channels_last):
        return images.permute(0, 2, 3, 1).unsqueeze(1)
    return images.contiguous().unsqueeze(-1)


def as_images(planes: Tensor) -> Tensor:
    """Back to (N, C, H, W), as it lies in memory."""
    return planes.squeeze(1).permute(0, 3, 1, 2) if planes.shape[1] == 1 else planes.squeeze(-1)


def with_edge(planes: Tensor, augmentation: Augmentation, value: int) -> Tensor:
    """For a crop one more row and column of this value, from where all that lies outside of the image is taken."""
    return functional.pad(planes, (0, 0, 0, 1, 0, 1), value=value) if augmentation.crop_padding else planes


def normalisation(
    mean: Sequence[float], std: Sequence[float], shape: Sequence[int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Factor and summand for planes of this shape, made on the device without copying anything to it."""

    def constant(values: list[float]) -> Tensor:
        single = torch.cat([torch.full((1,), value, device=device) for value in values])
        groups, height, width, channels = shape[1:]
        return (
            single.repeat(height * width).view(1, height, width, channels)
            if groups == 1
            else single.view(-1, 1, 1, 1)
        )

    return (
        constant([1 / (255 * deviation) for deviation in std]),
        constant([-average / deviation for average, deviation in zip(mean, std, strict=True)]),
    )


def augment_planes(
    planes: Sequence[Tensor],
    size: tuple[int, int],
    augmentation: Augmentation,
    generator: torch.Generator | None,
) -> list[Tensor]:
    """Augmented planes of images and, where a second one is given, of their masks; each has its edge for a crop.

    One table says for each row of the result from which row it comes, one the same for columns; both together
    are one gather, however many changes there are.
    """
    origins = within(_origins(size, len(planes[0]), augmentation, planes[0].device, generator), size)
    results = [_gathered(each, _enlarged(origins, each.shape[3] // planes[0].shape[3])) for each in planes]
    if augmentation.cutout:
        _cut_out(results[0], augmentation.cutout, generator)
    return results


def augment_planes_with_boxes(
    planes: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    augmentation: Augmentation,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    """Planes of images with their edge for a crop, and boxes (N, M, 5), moved alike."""
    origins = _origins(size, len(planes), augmentation, planes.device, generator)
    moved = _gathered(planes, within(origins, size))
    if augmentation.cutout:
        _cut_out(moved, augmentation.cutout, generator)
    return moved, _moved_boxes(boxes, origins, size)


def _moved_boxes(boxes: Tensor, origins: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Where boxes lie after pixels came from these rows and columns (N, H), (N, W), which go straight up or down."""
    ends = []
    for low, table, length in ((1, origins[0], size[0]), (0, origins[1], size[1])):
        first, is_mirrored = table[:, :1], table[:, :1] > table[:, 1:2]  # (N, 1)
        begin, end = boxes[..., low], boxes[..., low + 2]  # (N, M)
        begins = torch.where(is_mirrored, first + 1 - end, begin - first).clamp(0, length)
        finishes = torch.where(is_mirrored, first + 1 - begin, end - first).clamp(0, length)
        ends.append((begins, finishes))
    (top, bottom), (left, right) = ends
    before = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    stays = (boxes[..., 4] != NO_BOX) & ((right - left) * (bottom - top) >= LEAST_LEFT * before)
    edges = [torch.where(stays, edge, 0.0) for edge in (left, top, right, bottom)]
    return torch.stack([*edges, torch.where(stays, boxes[..., 4], float(NO_BOX))], dim=2)


def _enlarged(origins: Sequence[Tensor], scale: int) -> Sequence[Tensor]:
    """Where the pixels of images come from that are so many times as large, and mirrored at most."""
    if scale == 1:
        return origins
    inner = torch.arange(scale, device=origins[0].device)  # within each pixel of the smaller image

    def each(table: Tensor) -> Tensor:
        is_mirrored = table[:, :1, None] > table[:, 1:2, None]  # (N, 1, 1)
        within = torch.where(is_mirrored, scale - 1 - inner, inner)  # (N, 1, scale)
        return (scale * table.unsqueeze(2) + within).flatten(1)  # (N, scale * length)

    return [each(table) for table in origins]


def _gathered(planes: Tensor, origins: Sequence[Tensor]) -> Tensor:
    """Each pixel from the row and the column that the tables (N, H) and (N, W) name."""
    rows, columns = origins
    count, groups, _, source_width, channels = planes.shape
    channel = torch.arange(channels, device=planes.device)
    within_row = ((columns * channels).unsqueeze(2) + channel).flatten(1).unsqueeze(1)  # (N, 1, W * P)
    indices = ((rows * (source_width * channels)).unsqueeze(2) + within_row).flatten(1)  # (N, H * W * P)
    result = planes.flatten(2).gather(2, indices.unsqueeze(1).expand(-1, groups, -1))  # (N, G, H * W * P)
    return result.view(count, groups, rows.shape[1], columns.shape[1], channels)


def _origins(
    size: tuple[int, ...],
    count: int,
    augmentation: Augmentation,
    device: torch.device,
    generator: torch.Generator | None,
) -> list[Tensor]:
    """From which row and column each comes, int64, (N, H) and (N, W); a crop's may lie outside of the image."""

    def draw(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high + 1, shape, device=device, generator=generator)

    padding, reach = augmentation.crop_padding, augmentation.translate
    tables = [torch.arange(length, device=device).repeat(count, 1) for length in size]
    if augmentation.flip:
        mirrored = draw(0, 1, count, 1)
        tables[-1] = tables[-1] + mirrored * (size[-1] - 1 - 2 * tables[-1])
    if reach:
        shifts = draw(-reach, reach, len(size), count, 1)
        tables = [
            (length - 1) - ((length - 1) - (table + shift).abs()).abs()  # mirrored, the edge not repeated
            for table, shift, length in zip(tables, shifts, size, strict=True)
        ]
    if padding:
        corners = draw(-padding, padding, len(size), count, 1)
        tables = [table + corner for table, corner in zip(tables, corners, strict=True)]
    return tables


def within(origins: Sequence[Tensor], size: Sequence[int]) -> list[Tensor]:
    """The same rows and columns; for one outside of the image the one behind the last, which is the edge."""
    return [
        torch.where((table >= 0) & (table < length), table, length)
        for table, length in zip(origins, size, strict=True)
    ]


def augment_signals(
    signals: Tensor, augmentation: Augmentation, generator: torch.Generator | None = None
) -> Tensor:
    """Standardised signals (N, C, L) after random changes along their moments, each signal its own."""
    count, channels, length = signals.shape
    origins = within(_origins((length,), count, augmentation, signals.device, generator), (length,))
    moments = origins[0].unsqueeze(1)  # (N, 1, L)
    edged = functional.pad(signals, (0, 1)) if augmentation.crop_padding else signals  # 0 is the mean
    found = edged.gather(2, moments.expand(-1, channels, -1))
    if augmentation.cutout:
        first = torch.randint(0, length, (count, 1, 1), device=signals.device, generator=generator)
        first = first - augmentation.cutout // 2
        index = torch.arange(length, device=signals.device)
        found = found.masked_fill((index >= first) & (index < first + augmentation.cutout), 0)
    return found


def mirror_volumes(
    volumes: Tensor, targets: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Half of the volumes (N, C, D, H, W) mirrored left to right, and their masks (N, D, H, W), if they have masks."""
    mirrored = torch.randint(0, 2, (len(volumes),), device=volumes.device, generator=generator).bool()

    def each(values: Tensor) -> Tensor:
        return torch.where(mirrored.view(-1, *(1,) * (values.dim() - 1)), values.flip(-1), values)

    return each(volumes), each(targets) if targets.dim() == 4 else targets


def _cut_out(planes: Tensor, side: int, generator: torch.Generator | None) -> None:
    """Fill a square whose centre is anywhere in the image with mid-grey."""
    count, _, height, width, _ = planes.shape
    inside = []
    for length in (height, width):
        first = torch.randint(0, length, (count, 1), device=planes.device, generator=generator) - side // 2
        index = torch.arange(length, device=planes.device)
        inside.append((index >= first) & (index < first + side))  # (N, length)
    square = inside[0].unsqueeze(2) & inside[1].unsqueeze(1)  # (N, H, W)
    planes.masked_fill_(square.view(count, 1, height, width, 1), GREY)
