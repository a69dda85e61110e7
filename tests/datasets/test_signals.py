import struct
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from reswork.datasets import load, pulses, signals, traffic, windows
from reswork.errors import InvalidSetting

random = np.random.RandomState(0)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_csv_has_gaps_filled_and_short_signals_continued(tmp_path: Path) -> None:
    rows = [
        "label,a,b,c,d",
        "up,1,2,3,4",
        "down,4,,2,1",
        "up,1,2,,",
        "down,4,3,2,1",
        "up,0,1,2,3",
        "down,3,2,1,0",
    ]
    data = signals(written(tmp_path / "s.csv", "\n".join(rows)))
    found = {tuple(each) for part in (data.train, data.test) for each in part.inputs[:, 0].tolist()}
    assert (4, 3, 2, 1) in found and (1, 2, 2, 2) in found
    assert data.classes == ("down", "up") and data.input_shape == (1, 4)
    assert "1 missing numbers were filled" in data.summary() and "1 signals are shorter" in data.summary()


def test_semicolons_decimal_commas_and_values(tmp_path: Path) -> None:
    rows = ["y;a;b"] + [f"{k},5;{k},25;{k + 1}" for k in range(30)]
    data = signals(written(tmp_path / "s.csv", "\n".join(rows)))
    assert data.target_kind == "values" and len(data.train) + len(data.test) == 30
    np.testing.assert_allclose(
        data.in_units(data.test.values), data.test.inputs[:, 0, 0].numpy() + 0.25, rtol=1e-5
    )
    np.testing.assert_allclose(data.train.values.mean(), 0, atol=1e-6)


def test_a_file_as_windows_wrote_it_is_read_and_that_is_told(tmp_path: Path) -> None:
    text = "größe,b,c\n" + "".join(f"{row % 7},{row},{row + 1}\n" for row in range(60))
    for encoding, told in (("cp1252", True), ("utf-8", False)):
        path = tmp_path / f"{encoding}.csv"
        path.write_bytes(text.encode(encoding))
        whole, series = signals(path), signals(path, horizon=2, window=4)
        assert series.features == ("größe", "b", "c", "place")
        for data in (whole, series):
            assert (f"{path.name} is no UTF-8 and read as Windows-1252" in data.summary()) is told


def test_npz_and_ts_hold_several_channels_and_waves_lie_by_class(tmp_path: Path) -> None:
    numbers = random.normal(size=(8, 2, 10))
    np.savez(tmp_path / "s.npz", signals=numbers, labels=np.arange(8) % 2)
    assert load(tmp_path / "s.npz").input_shape == (2, 10)
    lines = [":".join(",".join(f"{x:.6f}" for x in channel) for channel in each) for each in numbers]
    text = "@problemName x\n@classLabel true a b\n@data\n"
    text += "\n".join(f"{line}:{'ab'[at % 2]}" for at, line in enumerate(lines))
    data = load(written(tmp_path / "s.ts", text))
    assert data.input_shape == (2, 10) and data.classes == ("a", "b")
    both = torch.cat([data.train.inputs, data.test.inputs]).numpy()
    assert all(np.abs(both - each).max((1, 2)).min() < 1e-5 for each in numbers)
    for name in ("low", "high"):
        for at in range(2):
            (tmp_path / "waves" / name).mkdir(parents=True, exist_ok=True)
            with wave.open(str(tmp_path / "waves" / name / f"{at}.wav"), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes((np.sin(np.arange(100 + at)) * 32767).astype("<i2").tobytes())
    data = load(tmp_path / "waves")
    assert data.input_shape == (1, 101) and data.classes == ("high", "low")
    np.testing.assert_allclose(data.train.inputs[0, 0, :100].numpy(), np.sin(np.arange(100)), atol=1e-4)


def test_a_set_of_the_ucr_archive_keeps_its_own_test(tmp_path: Path) -> None:
    """Published figures are of the archive's own split; gaps and unequal lengths are filled in both alike."""
    head = "@problemName x\n@equalLength false\n@classLabel true a b\n@data\n"
    written(tmp_path / "x_TRAIN.ts", head + "1,2,3:a\n4,?,6,7:b\n1,2:a\n4,5,6:b\n")
    alone = load(tmp_path / "x_TRAIN.ts")
    assert len(alone.train) + len(alone.test) == 4
    written(tmp_path / "x_TEST.ts", head + "9,9,9,9,9:a\n8,8:b\n")
    data = load(tmp_path / "x_TRAIN.ts")
    assert (len(data.train), len(data.test)) == (4, 2) and "The test is x_TEST.ts" in data.summary()
    assert data.input_shape == (1, 5) and data.train.inputs[1, 0].tolist() == [4, 5, 6, 7, 7]
    assert data.test.inputs[1, 0].tolist() == [8] * 5 and data.test.labels.tolist() == [0, 1]


def test_long_wave_files_are_averaged_alike(tmp_path: Path) -> None:
    """A second is as many moments in a short file as in a long one."""
    for name, length in (("a", 9_000), ("b", 3_000)):
        (tmp_path / name).mkdir()
        for at in range(2):
            _write_wave(tmp_path / name / f"{at}.wav", np.arange(length) // 3 % 7 * 1_000)
    data = signals(tmp_path)
    assert data.input_shape == (1, 3_000)
    short = next(
        part.inputs[part.labels == 1][0, 0] for part in (data.train, data.test) if (part.labels == 1).any()
    )
    np.testing.assert_allclose(short[:1_000], np.arange(1_000) % 7 * 1_000 / 2**15, atol=1e-6)
    assert (short[1_000:] == short[999]).all()
    _write_wave(tmp_path / "b" / "3.wav", np.arange(50), rate=44_100)
    with pytest.raises(InvalidSetting, match="8,000 to 44,100 numbers a second"):
        signals(tmp_path)


def riff(kind: int, bits: int, numbers: bytes, more: bytes = b"", said: int | None = None) -> bytes:
    """A wave file of one channel, byte by byte."""
    head = struct.pack("<HHIIHH", kind, 1, 8_000, 8_000 * bits // 8, bits // 8, bits) + more
    size = struct.pack("<I", len(numbers) if said is None else said)
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + size + numbers
    return b"RIFF" + struct.pack("<I", len(body)) + body


PCM = struct.pack("<HHIIHH", 22, 16, 4, 1, 0, 16) + bytes.fromhex(
    "800000aa00389b71"
)  # which kind, in the longer form


@pytest.mark.parametrize(
    ("kind", "bits", "to_bytes", "step", "more"),
    [
        (1, 8, lambda x: (x * 128 + 128).astype("u1").tobytes(), 2**-7, b""),
        (1, 16, lambda x: (x * 2**15).astype("<i2").tobytes(), 2**-15, b""),
        (
            1,
            24,
            lambda x: b"".join(int(each * 2**23).to_bytes(3, "little", signed=True) for each in x),
            2**-23,
            b"",
        ),
        (1, 32, lambda x: (x * 2**31).astype("<i4").tobytes(), 2**-31, b""),
        (3, 32, lambda x: x.astype("<f4").tobytes(), 1e-7, b""),
        (3, 64, lambda x: x.astype("<f8").tobytes(), 1e-15, b""),
        (0xFFFE, 16, lambda x: (x * 2**15).astype("<i2").tobytes(), 2**-15, PCM),
    ],
)
def test_wave_files_of_recorders_and_editors_are_read_alike(
    kind: int, bits: int, to_bytes: Callable[[np.ndarray], bytes], step: float, more: bytes, tmp_path: Path
) -> None:
    curve = 0.9 * np.sin(np.arange(60) / 3)
    whole = riff(kind, bits, to_bytes(curve), more)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for at in range(3):
            (tmp_path / name / f"{at}.wav").write_bytes(whole)
    found = signals(tmp_path)
    assert found.input_shape == (1, 60)
    for each in found.train.inputs:
        np.testing.assert_allclose(each[0], curve, atol=step + 1e-7)
    if kind == 1:  # the recorder's battery was empty: what is there counts, and the last number is filled up
        (tmp_path / "a" / "0.wav").write_bytes(
            riff(kind, bits, to_bytes(curve), said=2**32 - 1)[: -bits // 8 - 1]
        )
        cut = signals(tmp_path)
        assert cut.input_shape == (1, 60) and torch.isfinite(cut.train.inputs).all()


def _write_wave(path: Path, numbers: np.ndarray, rate: int = 8_000, width: int = 2) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, width, rate, 0, "NONE", ""))
        file.writeframes(numbers.astype("<i2").tobytes())


def test_windows_tell_the_next_steps_and_the_test_is_the_end() -> None:
    series = np.arange(100.0)
    data = windows(series, 3, 10)
    for part in (data.train, data.test):
        last = part.inputs[:, 0, -1].numpy()
        np.testing.assert_allclose(data.in_units(part.values), last[:, None] + [1, 2, 3], rtol=1e-5)
    assert data.in_units(data.train.values).max() < 80 <= data.in_units(data.test.values).min()
    assert data.features == ("channel 0", "place") and data.classes == ("+1", "+2", "+3")
    away = windows(series, 3, 10, season=5)
    np.testing.assert_allclose(away.in_units(away.test.values), 5, atol=1e-5)


def test_a_long_csv_is_cut_into_windows_of_the_chosen_channel(tmp_path: Path) -> None:
    rows = ["time,cars,rain"] + [f"2026-01-01 {k}h,{k},{k * 10}" for k in range(60)]
    data = signals(written(tmp_path / "s.csv", "\n".join(rows)), horizon=2, window=6, target="rain")
    assert data.features == ("rain", "cars", "place")
    np.testing.assert_allclose(
        data.in_units(data.test.values)[0], data.test.inputs[0, 0, -1].item() + np.array([10, 20]), rtol=1e-5
    )


def test_simulated_sets_say_so_and_repeat() -> None:
    for make in (pulses, traffic):
        assert "Simulated by reswork" in make().summary() and make().fingerprint == make().fingerprint
        assert make(seed=1).fingerprint != make().fingerprint
    assert load("pulses").input_shape == (1, 128)


BROKEN = {
    "one class": ("s.csv", "label,a,b\nx,1,1\nx,2,1\nx,3,1\nx,4,1", {}, "all answers are 'x'"),
    "a word": ("s.csv", "label,a\nx,1\ny,two\nx,3\ny,4", {}, "line 3 of s.csv has a word"),
    "an odd row": ("s.csv", "label,a\nx,1\ny,2,3\nx,3", {}, "line 3 of s.csv has 3 columns and the header 2"),
    "no rows": ("s.csv", "label,a", {}, "give a header and rows"),
    "no column": ("s.csv", "label,a\nx,1\ny,2", {"target": "z"}, "target='z' is no column"),
    "no class": ("s.csv", "label,a,b\nx,1,1\n,2,1\nx,3,1\ny,4,1\ny,5,1", {}, "1 answers are missing"),
    "no number": ("s.csv", "label,a,b\nx,,\ny,2,3\nx,3,4", {}, "has no number"),
    "too short": ("s.csv", "a\n1\n2\n3\n4", {"horizon": 3}, "too short for windows"),
    "only words": ("s.csv", "a\nx\ny\nz", {"horizon": 1}, "s.csv has no column of numbers"),
    "a channel of words": (
        "s.csv",
        "a,b\n1,x\n2,y",
        {"horizon": 1, "target": "b"},
        "target='b' is no column of num",
    ),
    "long season": (
        "s.csv",
        "a\n" + "1\n2\n" * 30,
        {"horizon": 2, "season": 99},
        "season=99 moments, and 14 are seen",
    ),
    "no horizon": ("s.csv", "a\n1\n2\n3", {"horizon": 0}, "horizon=0"),
    "no data": ("s.ts", "@problemName x\n1,2:a", {}, "has no line @data"),
    "no colon": ("s.ts", "@data\n1,2,3", {}, "line 2 of s.ts is no signal"),
    "word in ts": ("s.ts", "@data\n1,2:a\n1,x:b", {}, "line 3 of s.ts is no signal"),
    "times": ("s.ts", "@timestamps true\n@data\n1:a", {}, "has a time beside each number"),
    "no labels": ("s.ts", "@classLabel false\n@data\n1", {}, "have no class"),
    "channels": ("s.ts", "@data\n1,2:1,2:a\n1,2:b\n1,2:a\n1,2:b", {}, "signals have .* channels"),
    "other file": ("s.doc", "x", {}, "is no CSV, npz"),
    "binary": ("s.csv", "a\0b", {}, "is no text"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_told_in_one_sentence(case: str, tmp_path: Path) -> None:
    name, content, settings, sentence = BROKEN[case]
    with pytest.raises(InvalidSetting, match=sentence):
        signals(written(tmp_path / name, content), **settings)


def test_broken_npz_and_waves_are_told_in_one_sentence(tmp_path: Path) -> None:
    cases = {
        "it needs signals and labels": {"signals": np.zeros((4, 5))},
        "give numbers": {"signals": np.zeros((4, 5, 6, 7)), "labels": np.zeros(4)},
        "give one for each": {"signals": np.zeros((4, 5)), "labels": np.zeros(3)},
        "give at least 4": {"signals": np.zeros((2, 5)), "labels": np.arange(2)},
        "the limit is 16,384": {"signals": np.zeros((4, 20_000)), "labels": np.arange(4) % 2},
    }
    for sentence, members in cases.items():
        np.savez(tmp_path / "s.npz", **members)
        with pytest.raises(InvalidSetting, match=sentence):
            signals(tmp_path / "s.npz")
    (tmp_path / "s.npz").write_bytes(b"PK nothing")
    with pytest.raises(InvalidSetting, match="cannot be read as npz"):
        signals(tmp_path / "s.npz")
    with pytest.raises(InvalidSetting, match="with a horizon it needs series"):
        np.savez(tmp_path / "t.npz", x=np.zeros(3))
        signals(tmp_path / "t.npz", horizon=2)
    with pytest.raises(InvalidSetting, match="give \\(L,\\) or \\(L, C\\)"):
        np.savez(tmp_path / "t.npz", series=np.zeros((9, 2, 2)))
        signals(tmp_path / "t.npz", horizon=2)
    with pytest.raises(InvalidSetting, match="too short for windows"):
        np.savez(tmp_path / "t.npz", series=np.zeros(9))
        signals(tmp_path / "t.npz", horizon=2)
    (tmp_path / "waves" / "a").mkdir(parents=True)
    with pytest.raises(InvalidSetting, match=r"no folders with \.wav files"):
        signals(tmp_path / "waves")
    (tmp_path / "waves" / "a" / "x.wav").write_bytes(b"RIFF")
    with pytest.raises(InvalidSetting, match="no wave file that can be read"):
        signals(tmp_path / "waves")
    (tmp_path / "waves" / "a" / "x.wav").write_bytes(b"not a wave file at all")
    with pytest.raises(InvalidSetting, match="no wave file that can be read"):
        signals(tmp_path / "waves")
    (tmp_path / "waves" / "a" / "x.wav").write_bytes(riff(7, 8, b"\xff" * 60))
    with pytest.raises(InvalidSetting, match=r"x\.wav is no wave file .*MULAW\): write it as PCM"):
        signals(tmp_path / "waves")
    (tmp_path / "waves" / "a" / "x.wav").write_bytes(b"ID3\x03 music under another name")
    with pytest.raises(InvalidSetting, match="no wave file that can be read"):
        signals(tmp_path / "waves")
    (tmp_path / "waves" / "a" / "x.wav").write_bytes(riff(1, 16, b""))
    with pytest.raises(InvalidSetting, match=r"x\.wav holds no sound: leave it out"):
        signals(tmp_path / "waves")
    _write_wave(tmp_path / "waves" / "a" / "x.wav", np.arange(60))
    with pytest.raises(InvalidSetting, match="give at least 4"):
        signals(tmp_path / "waves")
    _write_wave(tmp_path / "waves" / "a" / "x.wav", np.arange(1))
    for at in range(3):
        _write_wave(tmp_path / "waves" / "a" / f"{at}.wav", np.arange(60))
    with pytest.raises(InvalidSetting, match=r"a signal has 1 moment\(s\)"):
        signals(tmp_path / "waves")
