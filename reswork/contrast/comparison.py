"""`compare_models`: two trained models beside each other."""

from functools import cached_property
from html import escape
from typing import Any

import numpy as np
from torch import nn

from reswork import figures, probes
from reswork.contrast.answers import as_inputs, changed_answers, sample
from reswork.contrast.distances import APART, feature_distances, feature_pairs, parting, weight_distances
from reswork.contrast.weights import average, check_same_form, weight_path
from reswork.datasets.dataset import Dataset
from reswork.errors import InvalidSetting
from reswork.reporting.answers import model_of, stage_layers
from reswork.reporting.contents import small
from reswork.results.contrast import ChangedAnswers, Distances, FeaturePairs, Parting, WeightPath
from reswork.results.layers import Similarity

_FEATURE_IMAGES = 256
_SHOWN = 24  # images of a list


class ModelComparison:
    """Two models and what differs between them; each part is computed when it is first asked for.

    Args:
        first: the network that the other is compared with.
        second: the other.
        data: test images with labels or masks.
        images: how many test images are answered, spread evenly; None: all.
        names: what the two are called.
    """

    def __init__(
        self,
        first: nn.Module,
        second: nn.Module,
        data: Dataset,
        images: int | None,
        names: tuple[str, str],
    ) -> None:
        self.first, self.second, self.data, self.names = first, second, data, names
        self._images = images

    @cached_property
    def changed(self) -> ChangedAnswers:
        """Which answers differ."""
        return changed_answers(self.first, self.second, self.data, images=self._images)

    @cached_property
    def weights(self) -> Distances:
        """How far the weights are apart, for each block that both have."""
        return weight_distances(self.first, self.second)

    @cached_property
    def features(self) -> Distances:
        """How far the outputs of blocks are apart, over at most 256 test images."""
        return feature_distances(self.first, self.second, self._inputs)

    @cached_property
    def cka(self) -> Similarity:
        """How alike every two blocks see the images, of any two architectures."""
        return probes.cka(self.first, self._inputs, self.second)

    @property
    def missing(self) -> tuple[str, ...]:
        """What cannot be compared, and why; empty for two networks of one form."""
        found = [*self.weights.missing, *self.features.missing]
        try:
            check_same_form(self.first, self.second)
        except InvalidSetting as error:
            found.append(error.message)
        return tuple(dict.fromkeys(found))

    def parting(self, image: int, *, limit: float = APART) -> Parting:
        """The first block at which the two make something else of one test image.

        Args:
            image: which one.
            limit: from which distance on they are apart, a fraction of the features' norm.
        """
        self._check(image)
        one = as_inputs(self.data, sample(self.data, None)[image : image + 1])
        return parting(self.first, self.second, one, number=image, classes=self.data.classes, limit=limit)

    def features_of(self, image: int, *, channels: int = 6) -> FeaturePairs:
        """What both make of one test image at the end of each stage; ``figures.feature_pairs`` draws it.

        Args:
            image: which one.
            channels: so many of each stage, those that differ most.
        """
        self._check(image)
        one = as_inputs(self.data, np.array([image]))
        return feature_pairs(
            self.first, self.second, one, image, stage_layers(self.first, self.data), channels, self.names
        )

    def average(self, *, share: float = 0.5, norm_images: int = 1000) -> nn.Module:
        """The mean of both networks' weights, with batch norms estimated anew; see `average`."""
        return average(self.first, self.second, self.data, share=share, norm_images=norm_images)

    def path(self, *, points: int = 11, images: int | None = 1000) -> WeightPath:
        """Loss and metrics on the straight line between both; see `weight_path`."""
        return weight_path(self.first, self.second, self.data, points=points, images=images)

    def figures(self) -> dict[str, Any]:
        """Everything drawn but the line between both, which takes longest: title -> figure."""
        drawn = {
            "Weights apart": figures.distances(self.weights),
            "Features apart": figures.distances(self.features),
            "Likeness of blocks": figures.cka(self.cka),
        }
        for title, rows in (
            ("Became wrong", self.changed.became_wrong),
            ("Became right", self.changed.became_right),
            ("Wrong in another way", self.changed.wrong_otherwise),
        ):
            if len(rows):
                shown = rows[:_SHOWN]
                images = small(self.data.test.images[shown].cpu().numpy())
                drawn[title] = figures.image_grid(images, self.titles(shown), columns=6, title=title)
        return drawn

    def titles(self, images: Any) -> list[str]:
        """What both say of some of the images, in two lines each; their numbers for masks."""
        found, names = self.changed, self.data.classes
        if not len(found.first_answers):
            return [f"image {image}" for image in images]
        place = {int(image): row for row, image in enumerate(found.images)}
        rows = [place[int(image)] for image in images]
        return [f"{names[found.first_answers[row]]}\nnow {names[found.second_answers[row]]}" for row in rows]

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th scope='row'>{escape(name)}</th><td>{one:.4g}</td><td>{two:.4g}</td></tr>"
            for name, (one, two) in self.changed.metrics.items()
        )
        head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in ("", *self.names))
        missing = f"<p>{escape('; '.join(self.missing))}.</p>" if self.missing else ""
        return f"<table><tr>{head}</tr>{rows}</table><p>{escape(self.changed.sentence)}</p>{missing}"

    def __repr__(self) -> str:
        return f"<{self.names[0]} and {self.names[1]}: {self.changed.sentence}>"

    def _check(self, image: int) -> None:
        if not 0 <= image < len(self.data.test):
            raise InvalidSetting(
                "image", f"there is no test image {image}; choose 0 to {len(self.data.test) - 1}"
            )

    @cached_property
    def _inputs(self) -> Any:
        return as_inputs(self.data, sample(self.data, _FEATURE_IMAGES))


def compare_models(
    first: Any,
    second: Any,
    data: Dataset,
    *,
    images: int | None = None,
    names: tuple[str, str] = ("first", "second"),
) -> ModelComparison:
    """Two trained models beside each other: which answers differ, and how far apart they are inside.

    Args:
        first: any network, a run, or an opened checkpoint; it stays as it is.
        second: another one that takes the same images; where its architecture is another, what can be compared is, and
            ``.missing`` says why the rest is not.
        data: test images with labels or masks.
        images: how many test images are answered, spread evenly; None: all.
        names: what the two are called.

    Raises:
        InvalidSetting: for what is no network.

    Example:
        >>> import reswork as rw
        >>> one, two = rw.resnet(depth=8, in_channels=1), rw.resnet(depth=8, in_channels=1)
        >>> comparison = compare_models(one, two, rw.datasets.digits())
        >>> len(comparison.changed), comparison.weights.names[:2]
        (500, ('conv1', 'bn1'))
    """
    return ModelComparison(model_of(first), model_of(second), data, images, (str(names[0]), str(names[1])))
