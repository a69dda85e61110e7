"""The doctor of trainings and networks: what is wrong, why one thinks so, and what to try."""

from torch import nn

from reswork.datasets.dataset import Dataset
from reswork.diagnosis.catalogue import RULES, judged
from reswork.diagnosis.collection import facts_of_model, facts_of_record, facts_of_run
from reswork.diagnosis.finding import Change, Diagnosis, Finding, Fix
from reswork.diagnosis.outcome import Outcome, outcome
from reswork.diagnosis.rule import Rule
from reswork.errors import InvalidSetting
from reswork.store.saved_run import AnyRun, SavedRun
from reswork.training.live_run import LiveRun

__all__ = [
    "RULES",
    "Change",
    "Diagnosis",
    "Finding",
    "Fix",
    "Outcome",
    "Rule",
    "at_a_glance",
    "diagnose",
    "outcome",
]

_ENOUGH = 100  # steps from which a record says something


def diagnose(run_or_model: AnyRun | nn.Module, data: Dataset | None = None) -> Diagnosis:
    """What is wrong with a training or a network, causes first, each with its evidence and what to try.

    A run is asked with its record, its network and its data, also while it trains: its network is then a snapshot,
    and the training stays as it is. A network alone is asked with what its weights say, with data also with its
    answers to 400 images of each split; ``not_asked`` of the result names the rules that need more, and why.
    Nothing is changed. It takes a second or two for small images.

    Args:
        run_or_model: a run from `train` or `load_run`, or any ``nn.Module``.
        data: with labels; None: a run's own.

    Returns:
        The findings, as a sequence; empty where all is well.

    Raises:
        InvalidSetting: for something that is neither a run nor a network.

    Example:
        >>> from reswork.datasets import digits
        >>> from reswork.models.network import resnet
        >>> found = diagnose(resnet(depth=8, width=4, in_channels=1), digits().subset(200, 100))
        >>> "labels_shuffled" in [finding.kind for finding in found]
        False
    """
    if isinstance(run_or_model, LiveRun | SavedRun):
        return judged(facts_of_run(run_or_model, data))
    if isinstance(run_or_model, nn.Module):
        return judged(facts_of_model(run_or_model, data))
    raise InvalidSetting(
        "run_or_model", f"{type(run_or_model).__name__} is neither a run nor a network; give one of them"
    )


def at_a_glance(run: AnyRun) -> Diagnosis:
    """What a run's record says alone, while it trains or afterwards, in some milliseconds.

    Rules that need the network or the data are not asked, and nothing is said of fewer than 100 steps.

    Args:
        run: live or from disk.
    """
    return judged(facts_of_record(run)) if run.steps_done >= _ENOUGH else Diagnosis((), ())
