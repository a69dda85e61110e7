"""Networks between two: the average of their weights, and the straight line from one to the other."""

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from reswork.contrast.answers import judged, sample
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.models.gates import gate_records
from reswork.results.contrast import WeightPath
from reswork.surgery import Operation, Reestimate, operated
from reswork.tasks import task_for

_MOST_POINTS = 101


def between(first: nn.Module, second: nn.Module, share: float) -> nn.Module:
    """A new network whose weights and statistics are a mean of two networks', in evaluation mode.

    Args:
        first: any network.
        second: one of the same form.
        share: of the second, usually 0 to 1.

    Raises:
        InvalidSetting: for networks whose weights do not correspond.
    """
    check_same_form(first, second)
    made, other = operated(first, []), operated(second, []).state_dict()
    with torch.no_grad():
        for name, value in made.state_dict().items():
            if value.is_floating_point():
                value.copy_((1 - share) * value + share * other[name].to(value.device))
    return made


def average(
    first: nn.Module,
    second: nn.Module,
    data: Dataset | None = None,
    *,
    share: float = 0.5,
    norm_images: int = 1000,
) -> nn.Module:
    """The mean of two networks' weights, with batch norms estimated anew.

    Two networks that come from one (fine-tuned, or late steps of one training) often have an average that is better
    than either; two seeds have one that is not.

    Args:
        first: any network.
        second: one of the same form.
        data: whose training images batch norms are estimated from; None: their statistics are averaged too.
        share: of the second, 0 to 1.
        norm_images: so many training images.

    Raises:
        InvalidSetting: for networks whose weights do not correspond.

    Reference:
        Izmailov et al. 2018, arXiv 1803.05407 (averages, and why the norms have to be estimated anew); Wortsman et al.
        2022, arXiv 2203.05482.
    """
    made = between(first, second, share)
    if data is None or not _has_norms(made):
        return made
    return operated(made, [Reestimate(norm_images)], data=data)


def weight_path(
    first: nn.Module,
    second: nn.Module,
    data: Dataset,
    *,
    points: int = 11,
    images: int | None = 1000,
    norm_images: int = 500,
) -> WeightPath:
    """Loss and metrics on the straight line between the weights of two networks.

    Read from it whether both lie in one valley: a flat line says yes, a hill between both no; with batch norms
    estimated anew a part of the hill goes.

    Args:
        first: any network.
        second: one of the same form.
        data: test images with labels or masks; training images for the batch norms.
        points: networks on the line, both ends included.
        images: test images, spread evenly; None: all.
        norm_images: training images for the batch norms.

    Raises:
        InvalidSetting: for networks whose weights do not correspond, or a number of points that is not accepted.

    Reference:
        Frankle et al. 2020, arXiv 1912.05671; Jordan et al. 2022, arXiv 2211.08403 (norms estimated anew).
    """
    if isinstance(points, bool) or not isinstance(points, int) or not 2 <= points <= _MOST_POINTS:
        raise InvalidSetting("points", f"points={points!r} is not accepted; choose 2 to {_MOST_POINTS}")
    check_same_form(first, second)
    shares, chosen = np.linspace(0, 1, points), sample(data, images)
    operations: dict[str, list[Operation]] = {"as it is": []}
    if _has_norms(first):
        operations["estimated anew"] = [Reestimate(norm_images)]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in operations}
    for share in shares:
        made = between(first, second, float(share))
        for name, done in operations.items():
            judgement = judged(operated(made, done, data=data), data, chosen)
            found[name].append(dict(judgement.evaluation.metrics))
    tables = {
        name: {key: np.array([row[key] for row in rows]) for key in rows[0]} for name, rows in found.items()
    }
    headline = task_for(data).metrics[0].name
    return WeightPath(shares, tables["as it is"], headline, len(chosen), tables.get("estimated anew", {}))


def check_same_form(first: nn.Module, second: nn.Module) -> None:
    """Refuse two networks whose weights do not correspond.

    Raises:
        InvalidSetting: in one sentence.
    """
    one, two = ({name: value.shape for name, value in each.state_dict().items()} for each in (first, second))
    if one != two:
        odd = next(name for name in (*one, *two) if one.get(name) != two.get(name))
        raise InvalidSetting(
            "second",
            f"only networks of the same form have an average, and {odd!r} is in one alone or has another shape",
        )
    if gate_records(first) != gate_records(second):
        raise InvalidSetting(
            "second",
            "parts of one network were switched off or changed beside its weights, and in the other not; do the same "
            "to both, or compare them without an average",
        )


def _has_norms(model: nn.Module) -> bool:
    return any(isinstance(each, _BatchNorm) and each.running_mean is not None for each in model.modules())
