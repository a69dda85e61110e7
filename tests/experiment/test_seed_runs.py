from pathlib import Path

import pytest
import torch
from torch import nn

import reswork as rw
from reswork.experiment.seed_runs import fresh_network

DATA = rw.datasets.digits()
RECIPE = rw.Recipe(steps=4, batch_size=16, seed=5, device="cpu", compile="off", precision="fp32")
LONG = rw.Recipe(steps=10**6, batch_size=16, device="cpu", compile="off", precision="fp32")
NET = {"depth": 8, "width": 4, "in_channels": 1}


@pytest.fixture(autouse=True)
def runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))


def losses(run: rw.Run | rw.SavedRun) -> list[float]:
    return run.history.series("loss/train").values.tolist()


def test_three_seeds_are_three_runs_as_one_would_train_them_by_hand() -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state()
    model = rw.resnet(**NET)
    weights = [each.clone() for each in model.parameters()]
    state = torch.get_rng_state()
    found = rw.train_seeds(model, DATA, RECIPE, seeds=3, name="mine")
    assert found.wait(300) == (rw.RunState.FINISHED,) * 3
    assert found.done and found.error is None and len(found.histories) == 3
    assert torch.equal(torch.get_rng_state(), state) and not torch.equal(before, state)
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True)), (
        "it is a pattern only"
    )
    assert [run.name for run in found.runs] == ["mine-seed-5", "mine-seed-6", "mine-seed-7"]
    assert [rw.load_run(run.name).recipe.seed for run in found.runs] == [5, 6, 7]
    torch.manual_seed(6)
    by_hand = rw.train(rw.resnet(**NET), DATA, rw.Recipe(**{**RECIPE.to_dict(), "seed": 6,
                       "augmentation": RECIPE.augmentation}), name="hand")  # fmt: skip
    by_hand.wait(300)
    assert losses(by_hand) == losses(found.runs[1]) != losses(found.runs[0])
    (name,) = rw.seed_groups(rw.runs(search="mine"))
    assert name == "mine"
    assert "3 of 3: seed 5 finished" in repr(found)
    assert rw.compare_seeds(found, found).names == ("the first", "the second")


def test_a_folder_of_ones_own_holds_a_folder_for_each_seed(tmp_path: Path) -> None:
    rw.train_seeds(rw.resnet(**NET), DATA, RECIPE, seeds=2, directory=tmp_path / "own").wait(300)
    assert [run.name for run in rw.runs(tmp_path / "own", sort="name")] == ["seed-5", "seed-6"]


def test_a_function_makes_networks_that_were_not_built_here() -> None:
    made: list[nn.Module] = []

    def make() -> nn.Module:
        made.append(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
        return made[-1]

    found = rw.train_seeds(make, DATA, RECIPE, seeds=2)
    found.wait(300)
    assert [run.model for run in found.runs] == made
    assert len({losses(run)[0] for run in found.runs}) == 2


@pytest.mark.parametrize(
    ("model", "seeds", "sentence"),
    [
        (nn.Linear(2, 2), 2, "how a Linear is made is not known here; give a function"),
        (lambda: "net", 2, "gave 'net'; it must return a network"),
        (rw.resnet(**NET), 0, "seeds=0 must be a whole number"),
        (rw.resnet(**NET), True, "seeds=True must be a whole number"),
    ],
)
def test_what_cannot_be_trained_again_is_refused_before_anything_is_made(
    model: object, seeds: int, sentence: str
) -> None:
    with pytest.raises(rw.InvalidSetting, match=sentence):
        rw.train_seeds(model, DATA, RECIPE, seeds=seeds)
    assert rw.runs() == []


def test_a_function_that_makes_a_network_is_for_train_seeds() -> None:
    with pytest.raises(rw.InvalidSetting, match=r"is for rw\.train_seeds"):
        rw.train(lambda: rw.resnet(**NET), DATA, RECIPE)


def test_a_run_that_fails_keeps_no_other_from_being_trained() -> None:
    class Fails(nn.Module):
        def __init__(self, fails: bool) -> None:
            super().__init__()
            self.fails, self.net = fails, nn.Linear(64, 10)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if self.fails:
                raise ValueError("made to fail")
            return self.net(images.flatten(1))

    made: list[Fails] = []

    def make() -> nn.Module:
        made.append(Fails(fails=len(made) == 1))
        return made[-1]

    found = rw.train_seeds(make, DATA, RECIPE, seeds=3)
    with pytest.raises(ValueError, match="made to fail"):
        found.wait(300)
    assert [run.state.value for run in found.runs] == ["finished", "failed", "finished"]


def test_a_network_that_cannot_be_made_again_is_told_by_wait() -> None:
    made: list[nn.Module] = []

    def make() -> nn.Module:
        if made:
            raise MemoryError("no room")
        made.append(rw.resnet(**NET))
        return made[-1]

    found = rw.train_seeds(make, DATA, RECIPE, seeds=3)
    with pytest.raises(MemoryError, match="no room"):
        found.wait(300)
    assert found.done and len(found.runs) == 1


@pytest.mark.parametrize("by", ["series", "run"])
def test_a_stop_ends_the_series(by: str) -> None:
    found = rw.train_seeds(rw.resnet(**NET), DATA, LONG, seeds=3)
    (found if by == "series" else found.current).stop()
    assert found.wait(300) == (rw.RunState.STOPPED,)
    assert found.done and len(rw.runs()) == 1


def test_nothing_runs_before_the_start_and_a_stop_before_it_is_the_end() -> None:
    found = rw.train_seeds(rw.resnet(**NET), DATA, RECIPE, seeds=2, start=False)
    with pytest.raises(RuntimeError, match="call start"):
        found.wait()
    assert found.wait.__self__.current.state is rw.RunState.READY
    found.stop()
    found.start()
    assert found.done and found.wait(1) == (rw.RunState.STOPPED,)


def test_a_seed_gives_the_weights_of_manual_seed() -> None:
    torch.manual_seed(9)
    expected = rw.resnet(**NET)
    found = fresh_network(rw.resnet(**NET), 9)
    assert all(torch.equal(a, b) for a, b in zip(found.parameters(), expected.parameters(), strict=True))
