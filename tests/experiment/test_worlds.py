"""What is declared of a world holds: its data, its networks, its recipes."""

import pytest
import torch

import reswork as rw
from reswork import cli
from reswork.errors import InvalidSetting
from reswork.experiment.presets import PRESETS
from reswork.experiment.worlds import WORLDS, world_named, world_of

QUICK = {
    "classification": rw.datasets.digits,
    "segmentation": lambda: rw.datasets.scenes(train=4, test=2, size=32),
    "volumes": lambda: rw.datasets.solids(train=4, test=2, size=12),
    "restoration": lambda: rw.datasets.photographs(patches=4, patch=16),
    "verification": lambda: rw.datasets.drawn_faces(identities=3, test_identities=2, images=2, size=24),
    "anomalies": lambda: rw.datasets.defects(train=4, test=8, size=24),
    "signals": lambda: rw.worlds()["signals"].load("pulses"),
    "tables": lambda: rw.worlds()["tables"].load(),
    "text": lambda: rw.worlds()["text"].load(""),
}


def test_each_is_declared_whole() -> None:
    assert list(rw.worlds()) == [world.name for world in WORLDS]
    for world in WORLDS:
        assert {*world.data.values()} <= {*rw.datasets.NAMES}
        assert {*world.presets} <= {*PRESETS} and list(world.recipes) == list(world.presets)
        assert {*world.tasks} <= {*rw.tasks.TASKS}
        assert world.panels and world.own.endswith(".") and world.explanation in str(world)
        assert "look at them first" not in world.explanation or "simple methods" in world.panels
    everywhere = [name for world in WORLDS for name in world.data.values()]
    assert len(everywhere) == len({*everywhere})
    assert {*PRESETS} == {name for world in WORLDS for name in world.presets}


@pytest.mark.parametrize("name", QUICK)
def test_its_data_are_its_own_and_its_network_and_recipes_take_them(name: str) -> None:
    world = rw.worlds()[name]
    data = QUICK[name]()
    assert world_of(data) is world and world.fits(data)
    config = world.config(data, width=2)
    model = rw.resnet(config, input_shape=data.input_shape).eval()
    task = rw.tasks.task_for(data)
    batch = rw.datasets.normalise(data.train.inputs[:2], data.mean, data.std)
    with torch.no_grad():
        task.check_output(model, task.call(model, batch), data)
    for preset in world.recipes.values():
        task.check_recipe(preset.recipe)


def test_a_run_from_disk_tells_its_world(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = rw.datasets.pulses(train=16, test=8, length=16)
    recipe = rw.Recipe(steps=1, batch_size=8, device="cpu", precision="fp32", compile="off")
    run = rw.train(rw.resnet(rw.config_for(data, depth=8, width=2)), data, recipe)
    assert world_of(run) is world_named("signals")
    run.wait()
    assert world_of(rw.load_run(run.directory)) is world_named("signals")


def test_what_does_not_fit_is_told_in_a_sentence(tmp_path) -> None:
    with pytest.raises(InvalidSetting, match="choose 'classification', 'segmentation'"):
        world_named("poems")
    with pytest.raises(InvalidSetting, match="Tables: a class or a value for each row is its world"):
        world_named("text").load("cancer")
    with pytest.raises(InvalidSetting, match=r"horizon=3 means nothing .* asks for target"):
        world_named("tables").load("cancer", horizon=3)
    with pytest.raises(InvalidSetting, match="horizon is for data of one's own; 'pulses' is as it is"):
        world_named("signals").load("pulses", horizon=3)


def test_the_same_file_is_read_as_the_world_says(tmp_path) -> None:
    file = tmp_path / "words.csv"
    file.write_text(
        "text,length,label\n"
        + "".join(f"a{'b' * (row % 3)} c{row},{row},{'yn'[row % 2]}\n" for row in range(40))
    )
    assert rw.worlds()["text"].load(file).input_kind == "tokens"
    words = rw.worlds()["text"].load(file, by="words")
    assert words.are_words
    chosen = cli._parser().parse_args(["train", "--world", "text", "--data", str(file), "--read", "by=words"])
    assert cli._loaded(chosen.data, cli._how(chosen)).fingerprint == words.fingerprint
    for read, sentence in ((["by=words"], "--by needs --world"), (["by"], "write KEY=VALUE")):
        chosen = cli._parser().parse_args(["train", "--data", str(file), "--read", *read])
        with pytest.raises(InvalidSetting, match=sentence):
            cli._loaded(chosen.data, cli._how(chosen))
    assert rw.worlds()["tables"].load(file, target="label").input_kind == "tables"
    with pytest.raises(InvalidSetting, match="has a word where a number should be"):
        rw.worlds()["signals"].load(file)
