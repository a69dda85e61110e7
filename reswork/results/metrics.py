"""`Metric`: a number that says how well a task is done, and how a person reads it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A number that judges a model; tables, curves and the best checkpoint take what they need from it.

    Args:
        name: of its series, ``<name>/train`` and ``<name>/test``.
        label: a few words, such as ``accuracy``.
        form: how a value is written, as `format` takes it, such as ``.1%``.
        higher_is_better: False where a small value is a good one.
        explained: one sentence on what it counts.
        unit: of a value that is no share, such as ``dB``.

    Example:
        >>> Metric("share", "accuracy", ".1%", True, "The share of images named right.").told(0.914)
        '91.4%'
    """

    name: str
    label: str
    form: str
    higher_is_better: bool
    explained: str
    unit: str = ""

    @property
    def test(self) -> str:
        """The series of the test split."""
        return f"{self.name}/test"

    @property
    def train(self) -> str:
        """The series of the training batches; only the headline has one."""
        return f"{self.name}/train"

    @property
    def is_share(self) -> bool:
        """Whether it is a fraction that is told in percent."""
        return self.form.endswith("%")

    def told(self, value: float | None) -> str:
        """A value as a person reads it; ``""`` where there is none."""
        return "" if value is None else format(value, self.form)

    def reaches(self, value: float, target: float) -> bool:
        """Whether a value is as good as a target, or better."""
        return value >= target if self.higher_is_better else value <= target
