"""The command line: ``reswork lab | worlds | plan | train | runs | report | smaller | export | check`` ..."""

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from reswork import __version__
from reswork.errors import InvalidSetting

if TYPE_CHECKING:
    from reswork.datasets.dataset import Dataset
    from reswork.models.config import ResNetConfig
    from reswork.training.live_run import LiveRun
    from reswork.training.ranks import Ranks
    from reswork.training.recipe import Recipe
    from reswork.training.run import Run

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = _parser()
    given = list(sys.argv[1:] if arguments is None else arguments)
    mark = given.index("--") if given[:1] == ["job"] and "--" in given else len(given)
    chosen, rest = parser.parse_known_args(given[:mark])
    if rest and chosen.command != "lab":
        parser.error(f"unknown arguments: {' '.join(rest)}")
    try:
        if chosen.command == "lab":
            from reswork.lab import open_lab

            open_lab([*rest])
            return 0
        if chosen.command == "worlds":
            return _worlds()
        if chosen.command == "doctor":
            return _doctor(chosen)
        if chosen.command == "report":
            return _report(chosen)
        if chosen.command == "plan":
            return _plan(chosen)
        if chosen.command == "smaller":
            return _smaller(chosen)
        if chosen.command == "export":
            return _export(chosen)
        if chosen.command == "check":
            return _check(chosen)
        if chosen.command == "bundle":
            return _bundle(chosen)
        if chosen.command == "job":
            return _cloud_job(chosen, given[mark + 1 :])
        if chosen.command == "serve":
            return _serve(chosen)
        if chosen.command == "cache":
            return _cache(chosen)
        if chosen.command == "answer":
            return _answer(chosen)
        return _train(chosen) if chosen.command == "train" else _runs(chosen)
    except InvalidSetting as error:
        print(f"reswork: {error.message}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # reswork runs | head
        sys.stderr.close()
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="reswork", description="A workbench for residual networks.")
    parser.add_argument("--version", action="version", version=f"reswork {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "lab",
        help="open JupyterLab on the start notebook",
        description="Open JupyterLab on the start notebook; other arguments go to it, such as --no-browser.",
    )
    commands.add_parser("worlds", help="list what a network can be trained for, with data sets and recipes")
    _add_plan(commands.add_parser("plan", help="what a training will cost: time, memory, energy, money"))
    _add_train(commands.add_parser("train", help="train a network and write its run"))
    _add_runs(commands.add_parser("runs", help="list the runs in a folder"))
    _add_report(
        commands.add_parser("report", help="say what a trained model gets wrong, as a page or as numbers")
    )
    _add_smaller(
        commands.add_parser(
            "smaller", help="make a trained network smaller in several ways, and compare them"
        )
    )
    _add_export(
        commands.add_parser("export", help="write a trained network as a folder that needs no reswork")
    )
    check = commands.add_parser(
        "check", help="look whether an exported folder is still as it was; the exit status is 1 if it is not"
    )
    check.add_argument("folder", metavar="FOLDER", help="that reswork export wrote")
    _add_bundle(commands.add_parser("bundle", help="write what it takes to run an exported folder elsewhere"))
    _add_job(commands.add_parser("job", help="write a training in several processes as a job of a cloud"))
    _add_serve(commands.add_parser("serve", help="answer over HTTP with a trained network, until Ctrl+C"))
    answer = commands.add_parser("answer", help="what the network of a run says about pictures")
    answer.add_argument("run", metavar="RUN", help="name or folder of a run")
    answer.add_argument("pictures", metavar="PICTURE", nargs="+", help="a file")
    cache = commands.add_parser("cache", help="list the decoded images that are kept, or delete them")
    cache.add_argument("--delete", action="store_true", help="delete all of them")
    cache.add_argument(
        "--place", metavar="FOLDER", help="that was told as cache= (~/.cache/reswork, or $RESWORK_CACHE)"
    )
    told = "look whether this environment is fit; the exit status is 1 if something is bad"
    _add_folder(commands.add_parser("doctor", help=told))
    return parser


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs", metavar="FOLDER", help="folder of all runs (default: runs, or $RESWORK_RUNS)"
    )


def _add_runs(parser: argparse.ArgumentParser) -> None:
    _add_folder(parser)
    parser.add_argument("--search", default="", metavar="WORDS", help="only rows with all these words")
    parser.add_argument("--sort", default="created", metavar="COLUMN",
                        help="created, name, state, network, data, step, score, loss, seed, note")  # fmt: skip
    parser.add_argument("--reverse", action="store_true", help="the other way round")


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="a file of weights, or a run by its name or folder")
    parser.add_argument(
        "--data", required=True, help="name of a data set, or a folder, zip or npz; its test images count"
    )
    parser.add_argument(
        "--size", type=int, help="height and width of the images of a folder or a zip, in pixels"
    )
    parser.add_argument("--out", metavar="FILE", help="write a page (.html) that needs no network")
    parser.add_argument("--json", metavar="FILE", help="write the numbers (.json)")
    parser.add_argument(
        "--csv", metavar="FOLDER", help="write the lists: label issues, duplicates, mistakes ..."
    )
    parser.add_argument(
        "--against", metavar="FILE",
        help="the JSON of an older report on the same images: say what got better and worse, in the files too",
    )  # fmt: skip
    parser.add_argument(
        "--fail-if", action="append", default=[], metavar="RULE",
        help="such as 'top1<0.9' or 'ece>0.05': the exit status is then 1; may be given several times",
    )  # fmt: skip


def _add_smaller(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a run by its name or folder, or a file of weights")
    parser.add_argument(
        "folder", metavar="FOLDER", help="for the exported folders and weights of all that is tried"
    )
    parser.add_argument("--data", help="what it learned from, as for export")
    parser.add_argument(
        "--size", type=int, help="height and width of the images of a folder or a zip, in pixels"
    )
    parser.add_argument("--max-megabytes", type=float, metavar="MB", help="largest file")
    parser.add_argument(
        "--max-ms", type=float, metavar="MS", help="largest middle time of a call with one image"
    )
    parser.add_argument("--epochs", type=int, help="of training after something was taken (2)")


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a run by its name or folder, or a file of weights")
    parser.add_argument("folder", metavar="FOLDER", help="to be written; an older export in it is replaced")
    parser.add_argument(
        "--format", default="onnx", help="onnx, torch, script, keras, tensorflow or litert (onnx)"
    )
    parser.add_argument(
        "--data",
        help="name of a data set, or a folder, zip or npz; a run knows its own if it is a built-in one",
    )
    parser.add_argument(
        "--size", type=int, help="height and width of the images of a folder or a zip, in pixels"
    )
    parser.add_argument("--opset", type=int, default=20, help="of ONNX, from 18 (20)")
    parser.add_argument("--licence", metavar="TEXT", help="what the model card says of it")


def _add_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artefact", metavar="EXPORTED", help="a folder that reswork export wrote, as onnx")
    parser.add_argument("folder", metavar="FOLDER", help="to be written; an older bundle in it is replaced")
    parser.add_argument("--target", required=True, help="container, vertex, azure or mlflow")
    parser.add_argument("--name", help="of model and endpoint (by network and data)")
    parser.add_argument("--image", help="address of the container's image, once it is built")
    parser.add_argument("--instance", help="kind of machine (a small one)")


def _add_job(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", help="to be written; an older job in it is replaced")
    parser.add_argument("cloud", metavar="CLOUD", help="azure or vertex")
    parser.add_argument("--ranks", type=int, default=1, help="processes, one for each GPU (1)")
    parser.add_argument("--name", default="train", help="of job and run (train)")
    parser.add_argument(
        "--data-in", metavar="ADDRESS", help="azureml:... or gs://..., in the cloud's storage"
    )
    parser.add_argument("--machine", help="Azure's compute target, or Vertex AI's kind of machine")
    parser.add_argument("--image", help="address of the container's image, for Vertex AI")
    parser.add_argument("--bucket", default="BUCKET", help="of Google Cloud Storage that gets the run")
    parser.epilog = "Behind -- stand the arguments of reswork train, such as -- --depth 20 --epochs 30."


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="an exported folder, a run, or a file of weights")
    parser.add_argument("--data", help="what a file of weights learned from, as for export")
    parser.add_argument(
        "--size", type=int, help="height and width of the images of a folder or a zip, in pixels"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="to listen on; another one than this needs a token"
    )
    parser.add_argument("--port", type=int, default=8000, help="0: any that is free (8000)")
    parser.add_argument("--token", help="that requests must have (none here, a new one for another host)")
    parser.add_argument("--threads", type=int, help="of one answer (as many as torch takes)")
    parser.add_argument("--batch", type=int, default=32, help="images that are answered together (32)")
    parser.add_argument("--queue", type=int, default=128, help="images that may wait; more get 429 (128)")
    parser.add_argument("--timeout", type=float, default=10.0, metavar="S", help="of a request (10)")


def _add_plan(parser: argparse.ArgumentParser) -> None:
    _add_training(parser)
    parser.add_argument("--prices", metavar="FILE", help="a table of prices, as rw.prices().save writes it")
    parser.add_argument("--seconds", type=float, default=3.0, help="of steps that are measured (3)")
    parser.add_argument("--csv", metavar="FILE", help="write the table (.csv)")


def _add_training(parser: argparse.ArgumentParser) -> None:
    """What is trained on what, and how."""
    parser.add_argument(
        "--data", help="name of a data set, or a path, of a folder, zip, npz, CSV or .ts file (fashion)"
    )
    parser.add_argument(
        "--world", help="what to read a path for, see reswork worlds: a CSV as table, text or signals ..."
    )
    parser.add_argument("--target", metavar="COLUMN", help="that is to be told, of a CSV file; needs --world")
    parser.add_argument(
        "--horizon", type=int, metavar="N", help="next steps of one long series; needs --world signals"
    )
    parser.add_argument("--season", type=int, metavar="N", help="moments of a season, with --horizon")
    parser.add_argument(
        "--read",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what else a world asks of your own data, see reswork worlds: scale=3, by=words, pairs=pairs.txt",
    )
    parser.add_argument(
        "--size", type=int, help="height and width of the images of a folder or a zip, in pixels"
    )
    parser.add_argument(
        "--cache",
        metavar="PLACE",
        help="disk, or a folder: decoded images stay there and are read batch by batch",
    )
    parser.add_argument(
        "--labels", metavar="FILE", help="table of files and classes of a folder or a zip, such as labels.csv"
    )
    parser.add_argument(
        "--targets",
        help="labels, masks or boxes: what to read a folder or a zip for that has several (found)",
    )
    network = parser.add_argument_group("network")
    network.add_argument(
        "--depth",
        type=int,
        help="weighted layers: 6n+2, or 18, 34, 50, 101, 152 (20; 8 where inputs are no pictures)",
    )
    network.add_argument("--width", type=int, help="channels of the first stage")
    network.add_argument("--plain", action="store_true", help="the same layers without shortcuts")
    trained = parser.add_argument_group("trained weights to begin with; the network is then theirs")
    trained.add_argument(
        "--from",
        dest="source",
        metavar="SOURCE",
        help="a run by its name or folder, a file of weights, torchvision/resnet18 or timm/resnet18.a1_in1k",
    )
    trained.add_argument("--download", action="store_true", help="fetch published weights that are not here")
    trained.add_argument("--head", default="new", help="new, kept or extended (new)")
    trained.add_argument("--stem", default="kept", help="for other channels: averaged or new (kept: refused)")
    trained.add_argument("--norms", default="batch", help="statistics: batch, kept or reestimated (batch)")
    trained.add_argument("--frozen-to", metavar="STAGE", help="stem, layer2, layer2.0 ... or body (nothing)")
    trained.add_argument(
        "--rate-decay", type=float, default=1.0, metavar="F", help="factor from stage to stage (1)"
    )
    trained.add_argument(
        "--unfreeze-every", type=float, metavar="E", help="epochs until one more stage joins (never)"
    )
    recipe = parser.add_argument_group("recipe")
    recipe.add_argument(
        "--preset",
        help="name of a recipe, see reswork worlds (the first, or with --from fine-tuning); the rest changes it",
    )
    recipe.add_argument("--epochs", type=int, help="passes over the training images")
    recipe.add_argument("--steps", type=int, help="updates, instead of epochs")
    recipe.add_argument("--batch-size", type=int)
    recipe.add_argument("--learning-rate", type=float)
    recipe.add_argument("--class-weights", metavar="W", help="balanced, or a number for each class: 1,2,1")
    recipe.add_argument("--seed", type=int)
    recipe.add_argument("--device", help="auto, cpu, cuda, mps ...")
    recipe.add_argument("--precision", help="auto, fp32, bf16 or fp16")
    recipe.add_argument("--compile", help="auto, on or off")


def _add_train(parser: argparse.ArgumentParser) -> None:
    _add_training(parser)
    place = parser.add_argument_group("where the run is written")
    place.add_argument("--name", help="of the run's folder")
    place.add_argument("--directory", help="a folder for this run alone")
    place.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with a run that ended early, by its name or folder, as if it had never stopped; network and recipe "
        "are its own",
    )
    parser.add_argument(
        "--interval", type=float, default=1.0, metavar="S", help="seconds between two lines (1)"
    )


def _worlds() -> int:
    from reswork.experiment.worlds import worlds

    for world in worlds().values():
        print(f"{world.name}: {world}")
        print(f"  data: {', '.join(world.data.values())}")
        print(f"  presets: {', '.join(world.presets)}")
        print(f"  your own: {world.own}")
        print(f"  asks for: {', '.join(world.asks)}")
        print(f"  to be beaten: {world.baseline}")
    return 0


def _train(chosen: argparse.Namespace) -> int:
    from reswork.training.ranks import torchrun_ranks

    with torchrun_ranks() as ranks:
        if not ranks.is_first:
            return _train_with_others(ranks)
        run, loaded = _new_or_resumed(chosen)
        if ranks.count > 1:
            ranks.agree({**_job(run), "data": loaded, "how": _how(chosen)})
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # torchrun ends its ranks by it
            run.join(ranks)
        run.start()
        return _follow(run, max(0.05, chosen.interval))


def _new_or_resumed(chosen: argparse.Namespace) -> tuple["Run", str]:
    """The run, before its start, and what its data are loaded by."""
    from reswork.experiment.launch import train
    from reswork.experiment.worlds import world_of
    from reswork.models.network import resnet
    from reswork.models.sheet import spec_sheet
    from reswork.store.saved_run import load_run

    if chosen.resume:
        saved = load_run(chosen.resume)
        given = _loaded(chosen.data, _how(chosen)) if chosen.data else None
        return saved.resume(data=given, start=False), chosen.data or saved.dataset_name
    data = _loaded(chosen.data or "", _how(chosen))
    world = world_of(data)
    if chosen.source is not None:
        return _fine_tuned(chosen, data, _recipe(chosen, "fine-tuning", data)), chosen.data or ""
    config, recipe = _config(chosen, data), _recipe(chosen, world.presets[0], data)
    sheet = spec_sheet(config, data.input_shape)
    one = world.unit.removesuffix("s")
    print(
        f"{config.label}: {sheet.parameters:,} parameters, {sheet.macs / 1e6:,.1f} million MACs "
        f"{'an' if one[0] in 'aeiou' else 'a'} {one}"
    )
    _tell_data(data)
    run = train(resnet(config), data, recipe, directory=chosen.directory, name=chosen.name, start=False)
    return cast("Run", run), chosen.data or ""  # the engine is a thread


def _config(chosen: argparse.Namespace, data: "Dataset") -> "ResNetConfig":
    """The network that is asked for, of the world of the data."""
    from reswork.experiment.worlds import world_of

    told = {"depth": chosen.depth, "width": chosen.width}
    given = {name: value for name, value in told.items() if value is not None}
    return world_of(data).config(data, residual=not chosen.plain, **given)


def _plan(chosen: argparse.Namespace) -> int:
    from reswork.environment.report import plain
    from reswork.experiment.worlds import world_of
    from reswork.planning.plan import plan

    if chosen.source is not None:
        raise InvalidSetting("source", "--from is for reswork train: a plan is for new networks")
    data = _loaded(chosen.data or "", _how(chosen))
    recipe = _recipe(chosen, world_of(data).presets[0], data)
    made = plan(_config(chosen, data), data, recipe, prices=chosen.prices, seconds=chosen.seconds)
    print(*map(plain, str(made).splitlines()), sep="\n")
    if chosen.csv:
        print(plain(f"written: {made.save(chosen.csv)}"))
    return 0


def _fine_tuned(chosen: argparse.Namespace, data: "Dataset", recipe: "Recipe") -> "Run":
    """A run that begins with trained weights, before its start."""
    from reswork.transfer.fine_tuning import fine_tune

    for name, usual in (("depth", None), ("width", None), ("plain", False)):
        if getattr(chosen, name) != usual:
            raise InvalidSetting(
                name, f"--{name} is for new networks; with --from the network is the source's"
            )
    run = fine_tune(
        chosen.source,
        data,
        recipe,
        head=chosen.head,
        stem=chosen.stem,
        norms=chosen.norms,
        frozen_to=chosen.frozen_to,
        rate_decay=chosen.rate_decay,
        unfreeze_every=chosen.unfreeze_every,
        download=chosen.download,
        directory=chosen.directory,
        name=chosen.name,
        start=False,
    )
    print(next(str(note.details["sentence"]) for note in run.history.notes if note.kind == "transferred"))
    _tell_data(data)
    return cast("Run", run)  # the engine is a thread


def _tell_data(data: "Dataset") -> None:
    from reswork.experiment.worlds import world_of

    print(f"{data.name}: {len(data.train):,} {world_of(data).unit} to train on, {len(data.test):,} to test")
    for note in data.notes:
        print(note)


def _loaded(name: str, how: dict[str, Any]) -> "Dataset":
    """A data set by its name or path; a world says what a path is read for."""
    from reswork import datasets
    from reswork.experiment.worlds import world_named

    how = dict(how)
    world, read = how.pop("world"), how.pop("read")
    if world is not None:
        return world_named(world).load(name, **{**how, **read})
    for key in (*read, "target", "horizon", "season"):
        if key in read or how.pop(key) is not None:
            raise InvalidSetting(key, f"--{key} needs --world, such as --world signals: see reswork worlds")
    return datasets.load(name or "fashion", **how)


def _how(chosen: argparse.Namespace) -> dict[str, Any]:
    """How the data are to be read."""
    names = ("world", "target", "horizon", "season", "size", "targets", "labels")
    how = {name: getattr(chosen, name) for name in names}
    read: dict[str, Any] = {}
    for each in chosen.read:
        key, equals, value = each.partition("=")
        if not (key and equals and value):
            raise InvalidSetting(
                "read", f"--read {each}: write KEY=VALUE, such as scale=3; see reswork worlds"
            )
        read[key] = int(value) if value.isdecimal() else tuple(value.split(",")) if "," in value else value
    return how | {"read": read} | ({} if chosen.cache is None else {"cache": chosen.cache})


def _job(run: "Run") -> dict[str, Any]:
    """What the other ranks need to train along."""
    config = getattr(run.model, "config", None)
    if config is None:
        raise InvalidSetting("model", "only networks of rw.resnet can be trained by several ranks")
    return {"config": config.to_dict(), "recipe": run.recipe.to_dict(), "hash": run.data.fingerprint}


def _train_with_others(ranks: "Ranks") -> int:
    """What the ranks do that are not the first: the same steps, without record, folder and words.

    They end with the first one, whatever anybody asks of them, and it tells what went wrong.
    """
    from reswork.models.config import ResNetConfig
    from reswork.models.network import resnet
    from reswork.training.loop import train_along
    from reswork.training.ranks import disregard_signals
    from reswork.training.recipe import Recipe

    disregard_signals()
    try:
        job = ranks.agree(dict[str, Any]())
    except RuntimeError:  # the first one could not begin, and says why
        return 0
    data = _loaded(job["data"], job["how"])
    if data.fingerprint != job["hash"]:
        raise RuntimeError(f"{data.name!r} holds other images here than for the first rank")
    model = resnet(ResNetConfig.from_dict(job["config"]))
    return train_along(model, data, Recipe.from_dict(job["recipe"]), ranks)


def _recipe(chosen: argparse.Namespace, preset_name: str, data: "Dataset") -> "Recipe":
    from dataclasses import replace

    from reswork.experiment.presets import preset

    names = ("epochs", "steps", "batch_size", "learning_rate", "seed", "device", "precision", "compile")
    changes: dict[str, Any] = {
        name: getattr(chosen, name) for name in names if getattr(chosen, name) is not None
    }
    if "epochs" in changes and "steps" not in changes:
        changes["steps"] = None
    if chosen.class_weights is not None:
        try:
            changes["class_weights"] = tuple(float(part) for part in chosen.class_weights.split(","))
        except ValueError:  # a word; the recipe says what is wrong with it
            changes["class_weights"] = chosen.class_weights
    recipe = preset(chosen.preset or preset_name).recipe
    return replace(recipe, augmentation=recipe.augmentation.fitting(data.input_kind), **changes)


def _follow(run: "LiveRun", interval_s: float) -> int:
    """Print a line now and then until the run ends; Ctrl+C stops the run."""
    import time

    status = 0
    try:
        while not run.done:
            time.sleep(interval_s)
            print(_progress_line(run), flush=True)
    except KeyboardInterrupt:
        print("stopping ...", flush=True)
        run.stop()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun asks more than once
        status = _INTERRUPTED
    try:
        run.wait()
    except Exception as error:
        print(f"reswork: {error}", file=sys.stderr)
        status = 1
    for note in run.history.notes:
        if note.kind == "not_saved":
            print(f"reswork: the run was not saved: {note.details.get('reason')}", file=sys.stderr)
        if note.kind == "not_compiled":
            told = f"the compiler failed in step {note.step}, the run went on without it"
            print(f"reswork: {told}: {note.details.get('reason')}", file=sys.stderr)
    metric, score = run.headline, run.history.last(run.headline.test)
    scored = "" if score is None else f", test {metric.label} {metric.told(score)}"
    print(f"{run.state.name.lower()} after {run.steps_done} steps{scored}; run {run.name}", flush=True)
    return status


def _progress_line(run: "LiveRun") -> str:
    from reswork.experiment.worlds import world_of
    from reswork.training.remarks import waiting_for

    history = run.history
    parts = [f"step {run.steps_done}/{run.total_steps}"]
    for label, name, form in (
        ("loss", "loss/train", ".3f"),
        (f"test {run.headline.label}", run.headline.test, run.headline.form),
        (f"{world_of(run).unit}/s", "images_per_second", ",.0f"),
    ):
        value = history.last(name)
        if value is not None:
            parts.append(f"{label} {value:{form}}")
    if not run.done and (waits := waiting_for(history)):
        parts.append(waits)
    if run.seconds_left is not None and not run.done:
        parts.append(f"{run.seconds_left:,.0f} s left")
    return "  ".join(parts)


def _report(chosen: argparse.Namespace) -> int:
    from reswork import datasets
    from reswork.environment.report import plain
    from reswork.reporting.report import report
    from reswork.reporting.rules import Rule

    rules = [Rule.of(text) for text in chosen.fail_if]
    wanted = [(path, ending) for path, ending in ((chosen.out, ".html"), (chosen.json, ".json")) if path]
    for path, ending in wanted:
        if Path(path).suffix.lower() != ending:
            raise InvalidSetting("path", f"{path!r} does not end with {ending}; name the file so")
    data = datasets.load(chosen.data, chosen.size)
    found = report(_opened(chosen.model), data)
    for rule in rules:
        rule.check(found.metrics)
    if wanted or chosen.csv:
        titles = {each.name: each.title for each in found.plan()}
        for name in found.fill():
            print(titles[name], flush=True)
    compared = found.against(chosen.against) if chosen.against else None
    for path in [path for path, _ in wanted] + ([chosen.csv] if chosen.csv else []):
        print(f"written: {found.save(path, against=compared)}")
    print("  ".join(f"{name} {value:.4f}" for name, value in found.metrics.items() if "/" not in name))
    if compared is not None:
        print(*map(plain, str(compared).splitlines()), sep="\n")
    broken = [rule for rule in rules if rule.holds(found.metrics)]
    for rule in broken:
        print(f"reswork: {rule.text}: {rule.name} is {found.metrics[rule.name]:.4f}", file=sys.stderr)
    return 1 if broken else 0


def _opened(model: str) -> Any:
    """A file of weights, or a run by its name or folder."""
    from reswork.store.checkpoint import open_checkpoint
    from reswork.store.saved_run import load_run

    return open_checkpoint(model) if Path(model).is_file() else load_run(model)


def _smaller(chosen: argparse.Namespace) -> int:
    from reswork import datasets
    from reswork.compression.search import Search
    from reswork.compression.tuning import TUNING
    from reswork.environment.report import plain

    search = Search(
        _opened(chosen.model),
        datasets.load(chosen.data, chosen.size) if chosen.data else None,
        max_megabytes=chosen.max_megabytes,
        max_ms=chosen.max_ms,
        recipe=None if chosen.epochs is None else replace(TUNING, epochs=chosen.epochs),
        folder=chosen.folder,
    )
    print(f"about {search.seconds():.0f} s", flush=True)
    for said in search.steps():
        if said and not said.endswith("%"):
            print(plain(said), flush=True)
    print(*map(plain, str(search.found).splitlines()), sep="\n")
    return 0 if search.found.best is not None else 1


def _export(chosen: argparse.Namespace) -> int:
    from reswork import datasets
    from reswork.environment.report import plain
    from reswork.shipping.export import export

    data = datasets.load(chosen.data, chosen.size) if chosen.data else None
    made = export(
        _opened(chosen.model),
        chosen.folder,
        format=chosen.format,
        data=data,
        opset=chosen.opset,
        licence=chosen.licence,
    )
    print(plain(f"written: {made.folder}: {made.facts['told']}"))
    print(plain(made.facts["proof"]["sentence"]))
    return 0


def _bundle(chosen: argparse.Namespace) -> int:
    from reswork.environment.report import plain
    from reswork.shipping.bundle import bundle

    made = bundle(
        chosen.artefact,
        chosen.folder,
        target=chosen.target,
        name=chosen.name,
        image=chosen.image,
        instance=chosen.instance,
    )
    print(plain(f"written: {made.folder} for {made.target}; README.md says what to do with it"))
    return 0


def _cloud_job(chosen: argparse.Namespace, arguments: list[str]) -> int:
    from reswork.environment.report import plain
    from reswork.experiment.cloud_job import cloud_job

    _parser().parse_args(["train", *arguments])  # says what is wrong with them, and ends
    made = cloud_job(
        chosen.folder,
        chosen.cloud,
        arguments,
        ranks=chosen.ranks,
        name=chosen.name,
        data=chosen.data_in,
        machine=chosen.machine,
        image=chosen.image,
        bucket=chosen.bucket,
    )
    print(plain(f"written: {made.folder} for {made.cloud}; README.md says what to do with it"))
    print(plain(f"it runs: {made.command}"))
    return 0


def _check(chosen: argparse.Namespace) -> int:
    from reswork.environment.report import plain
    from reswork.shipping.check import check_artefact

    checked = check_artefact(chosen.folder)
    print(*map(plain, str(checked).splitlines()), sep="\n")
    return 0 if checked.holds else 1


def _serve(chosen: argparse.Namespace) -> int:
    import time

    from reswork import datasets
    from reswork.shipping.artefact import FACTS
    from reswork.shipping.server_settings import Limits
    from reswork.shipping.serving import serve

    data = datasets.load(chosen.data, chosen.size) if chosen.data else None
    is_folder = (Path(chosen.model) / FACTS).is_file()
    server = serve(
        chosen.model if is_folder else _opened(chosen.model),
        data=data,
        host=chosen.host,
        port=chosen.port,
        token=chosen.token,
        most_batch=chosen.batch,
        threads=chosen.threads,
        limits=Limits(most_waiting=chosen.queue, timeout_s=chosen.timeout),
    )
    print(f"{server.url} answers with version {server.version}; Ctrl+C ends it", flush=True)
    if server.token:
        print(f"token: {server.token}", flush=True)
    asked: list[str] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda _number, _frame: asked.append("reload"))
    try:
        while server.process is not None and server.process.poll() is None:
            time.sleep(0.2)
            if asked:
                asked.clear()
                try:
                    print(f"answers with version {server.reload()}", flush=True)
                except InvalidSetting as error:
                    print(f"reswork: {error.message}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("stopping ...", flush=True)
        return server.stop() or 0
    finally:
        server.stop()


def _runs(chosen: argparse.Namespace) -> int:
    from reswork.environment.report import plain
    from reswork.store.directory import runs_folder
    from reswork.store.run_table import FALLING, runs

    falling = (chosen.sort in FALLING) != chosen.reverse
    found = runs(chosen.runs, search=chosen.search, sort=chosen.sort, falling=falling)
    if not found and chosen.search:
        print(f"no run in {runs_folder(chosen.runs)} has all the words of {plain(chosen.search)!r}")
        return 0
    if not found:
        print(f"no runs in {runs_folder(chosen.runs)}; 'reswork train' or a notebook makes the first one")
        return 0
    rows = [("run", "network", "data", "state", "step", "test score", "test loss")]
    for run in found:
        summary = run.summary()
        rows.append(
            (
                plain(summary["name"]),
                plain(summary["network"]),
                plain(summary["data"]),
                summary["state"],
                f"{summary['step']}/{summary['total_steps']}" if not run.unreadable else "",
                run.told_score,
                "" if summary["loss/test"] is None else f"{summary['loss/test']:.3f}",
            )
        )
    print(_table(rows))
    for run in found:
        if problem := run.unreadable or run.error:
            print(f"{plain(run.name)}: {plain(problem)}")
    return 0


def _answer(chosen: argparse.Namespace) -> int:
    """Print the answer for each picture, read as the data of the run were."""
    import torch

    from reswork.environment.report import plain
    from reswork.store.saved_run import load_run
    from reswork.tasks import task_of_kind

    saved = load_run(chosen.run)
    if saved.decoder is None:
        raise InvalidSetting(
            "run",
            f"run {plain(saved.name)!r} does not say how its pictures are read: it has none, or is too old",
        )
    model, task, status = saved.model(), task_of_kind(saved.task_kind), 0
    for picture in chosen.pictures:
        try:
            inputs = saved.decoder.inputs(picture)
        except InvalidSetting as error:  # the others are answered
            print(f"reswork: {plain(error.message)}", file=sys.stderr)
            status = 2
            continue
        with torch.no_grad():
            answers = task.answers(task.call(model, inputs))
        sure = getattr(answers, "sure", None)  # values have none
        told = "" if sure is None else f" ({float(sure[0]):.1%})"
        print(plain(f"{picture}: {answers.told(0, saved.classes)}{told}"))
    return status


def _cache(chosen: argparse.Namespace) -> int:
    from reswork.datasets import cached, clear_cache
    from reswork.environment.report import plain

    if chosen.delete:
        print(f"deleted {clear_cache(chosen.place) / 1024**3:,.2f} GiB of decoded images")
        return 0
    found = cached(chosen.place)
    for entry in found:
        print(plain(str(entry)))
    if not found:
        print("no decoded images are kept")
    return 0


def _doctor(chosen: argparse.Namespace) -> int:
    from reswork.environment.checkup import doctor

    checkup = doctor(chosen.runs)
    print(checkup)
    return 0 if checkup.fit else 1


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
