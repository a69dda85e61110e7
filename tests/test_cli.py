import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import reswork as rw
from reswork import __version__, cli, datasets, lab
from reswork.store.run_table import runs
from reswork.store.saved_run import load_run
from tests.datasets.image_files import write

SMALL = ["train", "--data", "digits", "--depth", "8", "--width", "4", "--epochs", "1", "--interval", "0.1"]
PLAIN = ["--device", "cpu", "--precision", "fp32", "--compile", "off"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESWORK_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def test_train_prints_progress_and_writes_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*SMALL, *PLAIN, "--name", "mine"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("ResNet-8: ")
    assert "1,297 images to train on" in shown[1]
    assert any(line.startswith("step ") and "/10" in line for line in shown)
    assert shown[-1].startswith("finished after 10 steps")
    assert shown[-1].endswith("run mine")
    assert load_run("mine").recipe.epochs == 1


def test_plan_tells_what_a_training_costs_and_trains_nothing(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    network = ["--data", "digits", "--depth", "8", "--width", "4", *PLAIN]
    table = tmp_path / "plan.csv"
    assert cli.main(["plan", *network, "--steps", "20", "--seconds", "0.01", "--csv", str(table)]) == 0
    shown = capsys.readouterr().out
    assert "ResNet-8 on digits: 20 steps" in shown and "as planned" in shown and "none was measured" in shown
    assert table.read_text().startswith("way,seconds,") and not folder.exists()
    assert cli.main(["plan", *network, "--prices", "nowhere.json"]) == 2
    assert "nowhere.json" in capsys.readouterr().err


def test_train_takes_a_size_for_a_folder_and_tells_what_was_done(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESWORK_CACHE", str(tmp_path / "cache"))
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        write(tmp_path / "own", name)
    chosen = ["--data", str(tmp_path / "own"), "--size", "16", "--depth", "8", "--steps", "1", *PLAIN]
    assert cli.main(["train", *chosen]) == 0
    assert "4 of 4 images had another size and were scaled and cut to 16x16." in capsys.readouterr().out
    assert cli.main(["train", "--data", "digits", "--size", "16"]) == 2
    assert "leave size out" in capsys.readouterr().err


def test_runs_prints_a_table(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert cli.main(["runs"]) == 0
    assert "no runs in" in capsys.readouterr().out
    cli.main([*SMALL, *PLAIN, "--name", "mine", "--plain"])
    (folder / "evil\x1b[2J").mkdir()
    capsys.readouterr()
    assert cli.main(["runs"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    head, *rows = shown.splitlines()
    assert head.split() == ["run", "network", "data", "state", "step", "test", "score", "test", "loss"]
    (row,) = [line for line in rows if line.startswith("mine")]
    assert row.split()[1:5] == ["Plain-8", "digits", "finished", "10/10"]
    assert "evil?[2J: there is no run.json in it" in rows


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--depth", "21"], "depth=21"),
        (["--data", "nowhere"], "nowhere"),
        (["--preset", "slow"], "preset='slow'"),
        (["--learning-rate", "-1"], "learning_rate=-1"),
        (["--name", "../out"], "name='../out'"),
    ],
)
def test_a_wrong_setting_is_one_sentence_and_no_traceback(
    capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert cli.main([*SMALL, *arguments]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("reswork: ")
    assert told in shown
    assert len(shown.splitlines()) == 1
    assert runs() == []


def test_ctrl_c_stops_the_run_and_keeps_it(folder: Path) -> None:
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background
        "from reswork.cli import main\n"  # inherits that it is ignored
        f"sys.exit(main({[*SMALL, *PLAIN, '--epochs', '10000']!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("step ") and not line.startswith("step 0/"):
                break
        child.send_signal(signal.SIGINT)
        rest = child.communicate(timeout=300)[0]
    assert child.returncode == 130
    assert "stopped after" in rest
    (saved,) = runs()
    assert json.loads((saved.directory / "run.json").read_text())["state"] == "STOPPED"
    assert saved.model() is not None


def test_lab_hands_unknown_arguments_to_jupyterlab(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[list[str]] = []
    monkeypatch.setattr(lab, "open_lab", lambda arguments: handed.append(list(arguments)))
    assert cli.main(["lab", "--no-browser", "--port=9000"]) == 0
    assert handed == [["--no-browser", "--port=9000"]]


def test_other_commands_refuse_unknown_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["runs", "--nonsense"])
    assert "--nonsense" in capsys.readouterr().err


def test_version_and_help_need_no_torch() -> None:
    script = "import sys; from reswork.cli import main\ntry: main(['--version'])\n"
    script += "finally: assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"reswork {__version__}"


def test_report_writes_page_and_numbers_and_fails_by_rule(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = datasets.digits().subset(60, 50)
    monkeypatch.setattr(datasets, "load", lambda name, size=None: data)
    run = rw.train(rw.resnet(depth=8, width=2, in_channels=1), data, rw.Recipe(steps=2), name="one")
    run.wait()
    page, numbers = tmp_path / "report.html", tmp_path / "report.json"
    arguments = [
        "report",
        "one",
        "--data",
        "digits",
        "--out",
        str(page),
        "--json",
        str(numbers),
        "--csv",
        str(tmp_path / "lists"),
    ]
    assert cli.main([*arguments, "--fail-if", "top1<0"]) == 0
    shown = capsys.readouterr()
    assert "Calibration" in shown.out and "top1 " in shown.out and not shown.err
    assert page.stat().st_size > 1e6 and "metrics" in json.loads(numbers.read_text())
    assert (tmp_path / "lists" / "mistakes.csv").is_file()
    capsys.readouterr()
    assert cli.main(["report", "one", "--data", "digits", "--fail-if", "top1<=1", "--fail-if", "ece>2"]) == 1
    assert "top1<=1: top1 is" in capsys.readouterr().err
    assert cli.main(["report", "one", "--data", "digits", "--fail-if", "mean_iou<1"]) == 2
    assert "choose one of loss, " in capsys.readouterr().err
    assert cli.main(["report", "one", "--data", "digits", "--fail-if", "top1=1"]) == 2
    assert "write a metric, < or >, and a number" in capsys.readouterr().err


def test_a_run_begins_with_the_weights_of_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*SMALL, *PLAIN, "--name", "first"]) == 0
    tuned = ["train", "--data", "digits", "--steps", "3", "--from", "first", "--interval", "0.1", *PLAIN]
    asked = ["--frozen-to", "layer1", "--norms", "kept", "--head", "extended", "--name", "second"]
    assert cli.main([*tuned, *asked]) == 0
    shown = capsys.readouterr().out
    assert "Begins with the weights of" in shown and "10 of them known" in shown
    saved = load_run("second")
    assert saved.transfer is not None and saved.transfer["source"]["name"] == "first"
    assert saved.recipe.frozen == ("conv1", "bn1", "layer1") and saved.recipe.norm_statistics == "kept"
    assert saved.config == load_run("first").config
    for wrong, words in (
        (["--frozen-to", "layer9"], "is no stage"),
        (["--depth", "14"], "network is the source"),
    ):
        assert cli.main([*tuned, *wrong]) == 2
        assert words in capsys.readouterr().err
