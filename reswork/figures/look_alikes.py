"""Images and those that are most like them."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from reswork.errors import InvalidSetting
from reswork.figures.canvas import about
from reswork.figures.images import mosaic_figure, mosaic_of
from reswork.figures.restored import in_colour

_GREEN, _RED = (0, 158, 115), (213, 94, 0)  # Okabe and Ito's
_ABOUT = about(
    "A row for each picture that is looked for, and behind it the other pictures of the test that are most like it. "
    "A green frame and = mark the same identity, an orange frame and ≠ another one.",
    "No identity here was seen in training. At first pictures of equal light stand together; then of equal faces.",
    "When others stand first, train longer, with more identities rather than with more pictures of each.",
)


def look_alikes(
    queries: np.ndarray,
    found: np.ndarray,
    similarities: np.ndarray,
    same: np.ndarray,
    names: Sequence[str] = (),
) -> go.Figure:
    """Pictures that are looked for, each with the most alike others.

    Read from it what the network takes for alike: the same one, or the same light.

    Args:
        queries: (N, C, H, W) uint8.
        found: (N, M, C, H, W) uint8, the most alike first.
        similarities: (N, M), -1 to 1.
        same: (N, M) bool, whether they show the same identity.
        names: of the N identities.

    Returns:
        Figure with one picture made of all.

    Raises:
        InvalidSetting: arrays that do not fit each other.
    """
    queries, found = np.asarray(queries), np.asarray(found)
    if found.ndim != 5 or found.shape[:1] != queries.shape[:1] or found.shape[:2] != np.shape(same):
        raise InvalidSetting(
            "found",
            f"found has the shape {found.shape} for {queries.shape} and {np.shape(same)}: give (N, M, C, H, W)",
        )
    title = "Most alike"
    if not len(queries):
        mosaic = mosaic_of(np.zeros((0, 3, 1, 1), np.uint8))
        return mosaic_figure(mosaic, title=title, summary="No pictures yet.", explained=_ABOUT)
    count = found.shape[1]
    others = in_colour(found.reshape(-1, *found.shape[2:])).copy()
    _frame(others, np.asarray(same, bool).reshape(-1))
    tiles = np.concatenate(
        [in_colour(queries)[:, None], others.reshape(-1, count, *others.shape[1:])], axis=1
    ).reshape(-1, *others.shape[1:])
    words = [
        text
        for row in range(len(queries))
        for text in (
            names[row] if row < len(names) else "looked for",
            *(
                f"{'=' if yes else '≠'} {alike:.2f}"
                for yes, alike in zip(same[row], similarities[row], strict=True)
            ),
        )
    ]
    mosaic = mosaic_of(tiles, tuple(words), 1 + count)
    right = int(np.asarray(same)[:, 0].sum())
    summary = (
        f"{right} of {len(queries)} pictures have the same identity first, {np.mean(same):.0%} of all "
        f"{np.size(same)} shown are the same."
    )
    return mosaic_figure(mosaic, title=title, summary=summary, explained=_ABOUT)


def _frame(images: np.ndarray, same: np.ndarray) -> None:
    """A frame around each, in place."""
    wide = max(1, images.shape[-1] // 20)
    for chosen, colour in ((same, _GREEN), (~same, _RED)):
        paint = np.array(colour, np.uint8).reshape(1, 3, 1, 1)
        rows = np.flatnonzero(chosen)
        for edge in (slice(0, wide), slice(-wide, None)):
            images[rows, :, edge, :] = paint
            images[rows, :, :, edge] = paint
