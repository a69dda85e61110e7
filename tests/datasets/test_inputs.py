import numpy as np
import pytest
import torch

from reswork.datasets.augmentation import Augmentation, augment_signals, normalise
from reswork.datasets.conversion import assembled, split_off
from reswork.datasets.dataset import Dataset, Split
from reswork.datasets.inputs import input_kind, input_statistics
from reswork.datasets.preparation import NumberPreparation, Preparation, preparation
from reswork.errors import InvalidSetting

random = torch.Generator().manual_seed(0)
INPUTS = {
    "images": torch.randint(0, 256, (20, 3, 8, 8), dtype=torch.uint8, generator=random),
    "volumes": torch.randn(20, 2, 3, 5, 4, generator=random) * 5 + 40,
    "signals": torch.randn(20, 2, 16, generator=random) * 5 + 40,
    "tables": torch.randn(20, 7, generator=random) * 3 - 2,
    "tokens": torch.randint(0, 30, (20, 12), generator=random),
}
LABELS = torch.arange(20) % 2


def made(kind: str, targets: torch.Tensor = LABELS) -> Dataset:
    train, test = split_off(INPUTS[kind], targets, 0.2, 0)
    names = ["a", "b"] if targets.dtype == torch.int64 else ["a"]
    return assembled(kind, train, test, names, "Made", features=[f"f{i}" for i in range(30)])


@pytest.mark.parametrize("kind", INPUTS)
def test_each_kind_is_known_and_told(kind: str) -> None:
    data = made(kind)
    assert data.input_kind == kind == input_kind(data.test.inputs)
    assert data.input_shape == tuple(INPUTS[kind].shape[1:])
    word = {"images": "image", "volumes": "volume", "signals": "signal", "tables": "row", "tokens": "text"}[
        kind
    ]
    assert f"{word}s" in repr(data) and f"{word}s" in data.summary() and word in repr(data.train)
    if kind == "images":
        assert data.train.images is data.train.inputs
        return
    with pytest.raises(InvalidSetting, match=f"the inputs are {kind}, and this needs images"):
        _ = data.train.images
    with pytest.raises(InvalidSetting, match="needs images"):
        _ = data.decoder


@pytest.mark.parametrize("kind", ["signals", "tables"])
def test_numbers_are_standardised_by_channel_or_column(kind: str) -> None:
    data = made(kind)
    axes = (0, 2) if kind == "signals" else 0
    array = data.train.inputs.numpy().astype(np.float64)
    np.testing.assert_allclose(data.mean, array.mean(axes), rtol=1e-6)
    np.testing.assert_allclose(data.std, array.std(axes), rtol=1e-6)
    found = normalise(data.train.inputs, data.mean, data.std).numpy()
    np.testing.assert_allclose(found.mean(axes), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axes), 1, rtol=1e-4)
    batch = preparation(data.train, data.mean, data.std)(torch.tensor([3, 1]))
    assert torch.equal(batch[0], torch.from_numpy(found)[[3, 1]]) and torch.equal(
        batch[1], data.train.labels[[3, 1]]
    )


def test_tokens_stay_as_they_are() -> None:
    data = made("tokens")
    assert input_statistics(data.train.inputs) == ((), ()) == (data.mean, data.std)
    assert torch.equal(preparation(data.train, (), ())(torch.arange(3))[0], data.train.inputs[:3])


def test_images_have_their_own_preparation() -> None:
    data = made("images")
    assert isinstance(preparation(data.train, data.mean, data.std), Preparation)
    assert isinstance(preparation(made("tables").train, (0,) * 7, (1,) * 7), NumberPreparation)


def test_a_constant_column_stays_constant() -> None:
    assert input_statistics(torch.full((4, 1), 7.0)) == ((7.0,), (1.0,))


@pytest.mark.parametrize(
    "inputs",
    [
        torch.zeros(2, 3).double(),
        torch.zeros(2, 3, 4, 5),
        torch.zeros(2, 3, 4, dtype=torch.uint8),
        torch.zeros(2),
    ],
)
def test_other_inputs_are_refused(inputs: torch.Tensor) -> None:
    with pytest.raises(InvalidSetting, match=r"signals torch.float32 \(N, C, L\)"):
        Split(inputs, torch.zeros(2, dtype=torch.int64))


def test_missing_numbers_and_mixed_kinds_are_refused() -> None:
    bad = INPUTS["tables"].clone()
    bad[3, 2] = torch.nan
    with pytest.raises(InvalidSetting, match=r"1 numbers of the train split are missing"):
        Dataset("t", Split(bad, LABELS), Split(bad, LABELS), ("a", "b"), (0.0,) * 7, (1.0,) * 7, "Made")
    table, signals = Split(INPUTS["tables"], LABELS), Split(INPUTS["signals"], LABELS)
    with pytest.raises(InvalidSetting, match="training inputs are tables and test inputs signals"):
        Dataset("t", table, signals, ("a", "b"), (0.0,) * 7, (1.0,) * 7, "Made")
    with pytest.raises(InvalidSetting, match="tokens below 0"):
        tokens = Split(INPUTS["tokens"] - 5, LABELS)
        Dataset("t", tokens, tokens, ("a", "b"), (), (), "Made")
    with pytest.raises(InvalidSetting, match="only images and volumes have a class for each pixel"):
        Split(INPUTS["signals"], torch.zeros(20, 4, 4, dtype=torch.uint8))


def test_values_go_back_to_their_unit() -> None:
    values = torch.linspace(-1, 1, 20)
    train, test = Split(INPUTS["tables"], values), Split(INPUTS["tables"][:4], values[:4])
    data = assembled("t", train, test, ["price"], "Made", target_scale=((100.0,), (20.0,)))
    assert data.target_kind == "values" and torch.equal(data.test.values, values[:4])
    np.testing.assert_allclose(data.in_units(values), 100 + 20 * np.linspace(-1, 1, 20), rtol=1e-6)
    assert "1 value to be told (price)" in data.summary() and len(data.subset(train=5).train) == 5
    with pytest.raises(InvalidSetting, match="2 names for 1 value"):
        assembled("t", train, test, ["price", "size"], "Made")
    with pytest.raises(InvalidSetting, match="the targets are values, and this needs labels"):
        _ = data.train.labels
    with pytest.raises(InvalidSetting, match="labels, which have no unit"):
        made("tables").in_units(values)


def test_signals_are_shifted_mirrored_and_cut_along_their_moments() -> None:
    signals = torch.arange(1.0, 13.0).repeat(300, 2, 1)
    for chosen in (Augmentation(crop_padding=3), Augmentation(translate=3)):
        seen = set()
        for row in augment_signals(signals, chosen, torch.Generator().manual_seed(0))[:, 0].tolist():
            shift = next(k for k in range(-3, 4) if row[5] == 6 + k)
            beyond = [0.0 if chosen.crop_padding else None] * 3
            wanted = [*beyond, *map(float, range(1, 13)), *beyond][3 + shift :][:12]
            if chosen.translate:
                wanted = [1 + 11 - abs(11 - abs(k + shift)) for k in range(12)]
            assert row == wanted
            seen.add(shift)
        assert seen == set(range(-3, 4))
    mirrored = augment_signals(signals, Augmentation(flip=True), torch.Generator().manual_seed(0))
    assert {tuple(row) for row in mirrored[:, 1].tolist()} == {tuple(range(1, 13)), tuple(range(12, 0, -1))}
    cut = augment_signals(signals, Augmentation(cutout=4), torch.Generator().manual_seed(0))
    assert set((cut == 0).sum(2).flatten().tolist()) == {2, 3, 4} and torch.equal(cut[:, 0], cut[:, 1])


def test_augmentation_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(
        InvalidSetting, match="flip=True is for images and signals, and the inputs are tables"
    ):
        Augmentation(flip=True).check((7,), "tables")
    with pytest.raises(InvalidSetting, match="too much for signals of 16 moments"):
        Augmentation(translate=16).check((2, 16), "signals")
    everything = Augmentation(crop_padding=2, flip=True, cutout=3)
    assert everything.fitting("images") == everything and everything.fitting("tokens") == Augmentation()
    assert everything.fitting("signals") == Augmentation(crop_padding=2, cutout=3)
