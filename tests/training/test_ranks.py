"""Two real processes train together: their numbers are those of one, and the end of one is the end of all."""

import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from reswork.datasets.augmentation import Augmentation
from reswork.errors import InvalidSetting
from reswork.training.ranks import ALONE, torchrun_ranks
from tests.ranks import RanksOf, jobs, values_of

pytestmark = [
    pytest.mark.serial,  # two processes at once
    pytest.mark.skipif(sys.platform == "win32", reason="torchrun's ranks need fork"),
]

AT_MOST_S = 300.0  # nobody hangs for longer


def furthest(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """The largest difference between two sets of gradients, as a share of the largest gradient."""
    assert found.keys() == expected.keys()
    off = max((found[name].cpu() - each.cpu()).abs().max().item() for name, each in expected.items())
    return off / max(each.abs().max().item() for each in expected.values())


@pytest.mark.parametrize(
    ("settings", "norm"),
    [
        ({"augmentation": Augmentation(crop_padding=1, flip=True, cutout=2)}, "group"),
        ({"accumulate": 3, "mixup": 0.3, "label_smoothing": 0.1, "clip_norm": 0.5}, "standing"),
        ({"batch_size": 33, "optimizer": "adamw", "learning_rate": 1e-3, "ema": 0.9}, "group"),
        ({"checkpoint_activations": True, "decay_norm_and_bias": False, "precision": "fp32"}, "standing"),
        ({"optimizer": "muon", "learning_rate": 1e-3, "weight_decay": 0.1}, "group"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else value,
)
def test_two_ranks_compute_what_one_does(settings: dict[str, Any], norm: str, tmp_path: Path) -> None:
    first, second = values_of(tmp_path, jobs.trained, settings, norm)
    one = jobs.alone(settings, norm)
    assert furthest(first["gradients"], one["gradients"]) < 1e-6
    assert first["losses"] == pytest.approx(one["losses"], rel=1e-5)
    assert first["losses"] == second["losses"]
    for name, value in first["weights"].items():
        assert torch.equal(value, second["weights"][name]), name
        torch.testing.assert_close(value, one["weights"][name], rtol=1e-3, atol=1e-5)
    assert first["metrics"][-1]["loss"] == pytest.approx(one["metrics"][-1]["loss"], rel=1e-4)
    assert all(torch.equal(a, b) for a, b in zip(first["batches"], one["batches"], strict=True))
    if not settings.get("checkpoint_activations"):  # the same images, in the same order, each on one rank
        parts = settings.get("accumulate", 1)
        for step, batch in enumerate(one["batches"]):
            seen = [
                image for rank in (first, second) for image in rank["seen"][step * parts : (step + 1) * parts]
            ]
            assert torch.equal(torch.cat(seen), batch)


def test_pixels_that_count_nowhere_are_no_part_of_a_rank(tmp_path: Path) -> None:
    """One half of a batch has many more of them than the other."""
    first, second = values_of(tmp_path, jobs.trained_on_masks)
    one = jobs.trained_on_masks()
    assert furthest(first["gradients"], one["gradients"]) < 1e-6
    assert first["losses"] == second["losses"] == pytest.approx(one["losses"], rel=1e-5)
    assert first["metrics"][0] == pytest.approx(one["metrics"][0], rel=1e-4)


def test_batch_norms_of_their_own_keep_the_ranks_equal(tmp_path: Path) -> None:
    first, second = values_of(tmp_path, jobs.trained, {"ema": 0.9, "steps": 10}, "batch")
    assert all(torch.equal(value, second["weights"][name]) for name, value in first["weights"].items())
    assert any("running_mean" in name for name in first["weights"])


def test_dropout_differs_by_rank(tmp_path: Path) -> None:
    first, second = values_of(tmp_path, jobs.dropped)
    assert not torch.equal(first, second)
    assert torch.equal(first, jobs.dropped())


def test_three_ranks(tmp_path: Path) -> None:
    found = values_of(tmp_path, jobs.trained, {"batch_size": 32}, "group", count=3)
    one = jobs.alone({"batch_size": 32}, "group")
    assert furthest(found[0]["gradients"], one["gradients"]) < 1e-6
    assert all(each["losses"] == found[0]["losses"] for each in found)


@pytest.mark.parametrize("batch_size", [7, 20, 500])
def test_an_evaluation_is_that_of_one_process(batch_size: int, tmp_path: Path) -> None:
    first, second = values_of(tmp_path, jobs.evaluated, batch_size)
    assert first == jobs.evaluated(batch_size)  # to the last bit
    assert "loss" not in second


def test_a_bad_loss_on_one_rank_ends_all_in_the_same_step(tmp_path: Path) -> None:
    found = values_of(tmp_path, jobs.mishap, 1, 3, "nan")
    for each in found:
        assert each["error"].startswith("NonFiniteLoss: The loss is not finite at step 3")
        assert (each["steps"], each["unchanged"]) == (2, True)


@pytest.mark.parametrize("rank", [0, 1])
def test_an_exception_on_one_rank_ends_all(rank: int, tmp_path: Path) -> None:
    outcomes = RanksOf(tmp_path, jobs.mishap, rank, 3, "it broke").outcomes(AT_MOST_S)
    own, other = outcomes[rank].unwrap(), outcomes[1 - rank].unwrap()
    assert own["error"] == "ValueError: it broke"
    told = "" if rank == 0 else "RankFailed: Rank 1 of 2 failed: ValueError: it broke."
    assert other["error"].startswith(told)
    assert bool(other["error"]) == (rank == 1)  # what the first one has to say it says itself
    assert own["steps"] == other["steps"] == 2


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_ends_all(rank: int, tmp_path: Path) -> None:
    outcomes = RanksOf(tmp_path, jobs.mishap, rank, 3, "kill").outcomes(AT_MOST_S)
    assert outcomes[rank].code == -signal.SIGKILL
    found = outcomes[1 - rank].unwrap()
    assert found["error"].startswith(f"RankFailed: Rank {rank} of 2 (process ")
    assert (found["steps"], found["unchanged"]) == (2, True)


def test_a_rank_that_stands_still_is_ended(tmp_path: Path) -> None:
    group = RanksOf(tmp_path, jobs.mishap, 1, 3, "freeze", RESWORK_RANKS_PATIENCE_S="3")
    outcomes = group.outcomes(AT_MOST_S)
    assert outcomes[1].code == -signal.SIGKILL
    assert outcomes[0].unwrap()["error"].startswith("RankFailed: Rank 1 of 2")
    assert "has given no sign of life for 3 s" in outcomes[0].said


@pytest.mark.parametrize("what", ["pause", "set"])
def test_all_obey_between_two_steps(what: str, tmp_path: Path) -> None:
    first, second = values_of(tmp_path, jobs.steered, what)
    assert (first["paused"], first["state"], first["steps"], second["steps"]) == (10, "STOPPED", 20, 20)
    assert first["rates"] == second["rates"] == [0.05] * 10 + [0.01 if what == "set" else 0.05] * 10
    assert all(torch.equal(value, second["weights"][name]) for name, value in first["weights"].items())
    if what == "pause":
        assert first["still"] == 10


def test_an_evaluation_is_stopped_on_all(tmp_path: Path) -> None:
    first, second = values_of(tmp_path, jobs.stopped_in_evaluation)
    assert first == "EvaluationStopped"
    assert second == "EvaluationStopped"


def test_a_batch_must_be_large_enough(tmp_path: Path) -> None:
    outcomes = RanksOf(tmp_path, jobs.trained, {"batch_size": 3}, "group").outcomes(AT_MOST_S)
    for each in outcomes:
        assert each.error.startswith("InvalidSetting: a batch of 3 images is too small for 2 ranks")


def test_restarts_by_torchrun_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RUN_ID": "1", "MAX_RESTARTS": "3"}.items():
        monkeypatch.setenv(f"TORCHELASTIC_{name}", value)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InvalidSetting, match="--max-restarts 0"), torchrun_ranks():
        pass


def test_one_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")  # of another program
    with torchrun_ranks() as ranks:
        assert ranks is ALONE


@pytest.mark.gpu
@pytest.mark.parametrize("ranks_a_gpu", ["one", "more"])
def test_joined_batch_norms_of_gpus_are_those_of_one_process(
    ranks_a_gpu: str, tmp_path: Path, cuda: str
) -> None:
    gpus = torch.cuda.device_count()
    if ranks_a_gpu == "one" and gpus < 2:
        pytest.skip("NCCL wants a GPU for each rank, and there is one GPU")
    count = 2 if ranks_a_gpu == "one" else gpus + 1  # over NCCL, and over gloo
    settings = {"device": cuda}
    found = values_of(tmp_path, jobs.trained, settings, "batch", count=count)
    one = jobs.alone(settings, "batch")
    assert furthest(found[0]["gradients"], one["gradients"]) < 1e-5
    for name, value in found[0]["weights"].items():
        assert torch.equal(value.cpu(), found[1]["weights"][name].cpu()), name
        torch.testing.assert_close(value.cpu(), one["weights"][name].cpu(), rtol=1e-3, atol=1e-4)
