"""`bundle`: an exported model as a folder that a cloud, a container builder or MLflow takes as it is."""

import inspect
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from reswork.datasets import decoding
from reswork.errors import InvalidSetting
from reswork.shipping.artefact import Artefact, open_artefact
from reswork.shipping.bundle_texts import (
    CONTAINERFILE,
    HEALTH,
    MLFLOW_MODEL,
    azure_conda,
    azure_deployment,
    azure_endpoint,
    azure_mlflow_deployment,
    readme,
    vertex_model,
)  # fmt: skip
from reswork.shipping.check import check_artefact
from reswork.shipping.engines import first_line, require
from reswork.shipping.whole_folder import free_place, whole
from reswork.store.atomic_files import write_json, write_text

Target = Literal["container", "vertex", "azure", "mlflow"]
BUNDLE = "bundle.json"
_NAME = re.compile(r"[a-z][a-z0-9-]{1,30}[a-z0-9]")  # what Azure and Google both take
_NEEDS = ("numpy>=1.26", "pillow>=10.3", "onnxruntime>=1.20")
_SERVER_NEEDS = ("starlette>=0.40", "uvicorn>=0.34")
_CARRIED = Path(__file__).parent / "carried"
_HOME = "reswork.shipping.carried."


@dataclass(frozen=True)
class Bundle:
    """What was written.

    Attributes:
        folder: where.
        target: for what.
        name: of model and endpoint there.
        version: of the artefact in it.
        files: relative paths, without those of the artefact.
    """

    folder: Path
    target: Target
    name: str
    version: str
    files: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Bundle {str(self.folder)!r} for {self.target}: {self.name}, version {self.version}>"


def bundle(
    artefact: str | Path | Artefact,
    folder: str | Path,
    *,
    target: Target,
    name: str | None = None,
    image: str | None = None,
    instance: str | None = None,
) -> Bundle:
    """Write what it takes to run an exported model elsewhere: model, server or scoring script, packages, settings.

    Nothing in the folder needs reswork or torch. Its ``README.md`` says what to do with it, in commands.

    Args:
        artefact: an exported folder, as ONNX; it is checked first.
        folder: a new one; an older bundle in its place is replaced.
        target: ``"container"``, for Docker, Podman and SageMaker; ``"vertex"``, the same container with Google Vertex
            AI's settings; ``"azure"``, a managed online endpoint of Azure ML; ``"mlflow"``, a model of MLflow, needs
            the extra ``mlflow``.
        name: of model and endpoint: 3 to 32 of a-z, 0-9 and -; None: by network and data.
        image: address of the container's image, once it is built; None: one that has to be filled in.
        instance: kind of machine; None: a small one without GPU.

    Raises:
        InvalidSetting: no such target or name, a folder that is no artefact or has changed, a package that is missing.
    """
    if target not in get_args(Target):
        raise InvalidSetting(
            "target", f"target={target!r} is none of {', '.join(map(repr, get_args(Target)))}"
        )
    if target == "mlflow":
        require("target", "mlflow", "pandas")
    found = artefact if isinstance(artefact, Artefact) else open_artefact(artefact)
    found.check_answered()
    if not found.form.is_scores:
        raise InvalidSetting(
            "artefact",
            f"{str(found.folder)!r} is of the task {found.facts['task']!r}, which cannot be bundled yet: rw.serve "
            "answers with it, and its example.py needs no reswork",
        )
    if found.format != "onnx":
        raise InvalidSetting(
            "artefact",
            f"{str(found.folder)!r} is exported as {found.format!r}, and a bundle runs 'onnx': export it so",
        )
    chosen = _checked_name(name) if name is not None else _own_name(found)
    place = free_place(folder, BUNDLE)
    checked = check_artefact(found)
    if not checked.holds:
        told = "; ".join(checked.sentences)
        raise InvalidSetting("artefact", f"{str(found.folder)!r} is not as it was exported: {told}")
    order = _Order(
        found, chosen, image or f"REGION-docker.pkg.dev/PROJECT/REPOSITORY/{chosen}:{found.version}", instance
    )
    with whole(place) as made:
        _WRITERS[target](made, order)
        kinds = {"target": target, "name": chosen, "version": found.version}
        write_text(made / "README.md", readme(target, chosen, found.facts, order.image))
        write_json(made / BUNDLE, {"form": 1, **kinds, "files": _files(made)})
    return Bundle(place, target, chosen, found.version, tuple(_files(place)))


@dataclass(frozen=True)
class _Order:
    artefact: Artefact
    name: str
    image: str
    instance: str | None


def _container(made: Path, order: _Order) -> None:
    shutil.copytree(order.artefact.folder, made / "model")
    _carry(made, "predictor", "server")
    write_text(made / "requirements.txt", "\n".join((*_NEEDS, *_SERVER_NEEDS)) + "\n")
    write_text(made / "health.py", HEALTH)
    write_text(made / "Containerfile", CONTAINERFILE)
    write_text(made / ".dockerignore", "README.md\nbundle.json\nContainerfile\n")


def _vertex(made: Path, order: _Order) -> None:
    _container(made, order)
    lines = (*_NEEDS, *_SERVER_NEEDS, "google-cloud-storage>=2.18")  # where the model is not in the image
    write_text(made / "requirements.txt", "\n".join(lines) + "\n")
    write_json(made / "vertex-model.json", vertex_model(order.name, order.image, order.artefact.version))


def _azure(made: Path, order: _Order) -> None:
    shutil.copytree(order.artefact.folder, made / "model")
    (made / "code").mkdir()
    _carry(made / "code", "predictor", "score")
    (made / "environment").mkdir()
    write_text(
        made / "environment" / "conda.yml", azure_conda((*_NEEDS, "azureml-inference-server-http>=1.4"))
    )
    write_text(made / "endpoint.yml", azure_endpoint(order.name))
    machine = order.instance or "Standard_DS2_v2"
    write_text(made / "deployment.yml", azure_deployment(order.name, order.artefact.version, machine))
    write_text(
        made / "deployment-mlflow.yml", azure_mlflow_deployment(order.name, order.artefact.version, machine)
    )


def _mlflow(made: Path, order: _Order) -> None:
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    source = made / ".source"
    source.mkdir()
    _carry(source, "predictor")
    write_text(source / "pictures.py", MLFLOW_MODEL)
    try:
        mlflow.pyfunc.save_model(
            made / "saved",
            python_model=str(source / "pictures.py"),
            artifacts={"model": str(order.artefact.folder)},
            code_paths=[str(source / "predictor.py"), str(source / "decoding.py")],
            pip_requirements=[*_NEEDS, f"mlflow=={mlflow.__version__}"],
            signature=ModelSignature(
                Schema([ColSpec("binary", "image")]), params=ParamSchema([ParamSpec("top", "integer", 3)])
            ),
            metadata={"network": order.artefact.facts["label"], "version": order.artefact.version},
        )
    except Exception as error:  # whatever MLflow comes up with
        raise InvalidSetting("target", f"MLflow cannot write it: {first_line(error)}") from error
    shutil.rmtree(source)
    for each in (made / "saved").iterdir():
        each.rename(made / each.name)
    (made / "saved").rmdir()


_WRITERS: Mapping[Target, Callable[[Path, _Order], None]] = {
    "container": _container, "vertex": _vertex, "azure": _azure, "mlflow": _mlflow,
}  # fmt: skip


def _carry(folder: Path, *modules: str) -> None:
    """Copy modules and the decoder that they read pictures with, so that they find each other without reswork."""
    for module in modules:
        text = (_CARRIED / f"{module}.py").read_text(encoding="utf-8").replace(f"from {_HOME}", "from ")
        write_text(folder / f"{module}.py", text.replace("from reswork.datasets.", "from "))
    write_text(folder / "decoding.py", decoder_source())


def decoder_source() -> str:
    """The data sets' own decoder as a module of its own: one picture's file to pixels."""
    constants = ("FORMATS", "MOST_PIXELS", "SIXTEEN_BITS")
    pieces = (
        decoding.Unreadable, decoding.pixels, decoding.opened, decoding.scaled, decoding._eight_bits,
        decoding.reason_of,
    )  # fmt: skip
    return "\n".join(
        [
            '"""From a picture\'s file to pixels, as reswork reads them; needs numpy and pillow."""\n',
            "import io\nfrom typing import BinaryIO\n",
            "import numpy as np\nfrom PIL import Image, ImageOps, UnidentifiedImageError\n",
            *(f"{name} = {getattr(decoding, name)!r}" for name in constants),
            "ValueRange = tuple[float, float]",
            *(f"\n\n{inspect.getsource(piece).rstrip()}" for piece in pieces),
            "",
        ]
    )


def _own_name(artefact: Artefact) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", f"{artefact.facts['label']}-{artefact.facts['data']['name']}".lower())
    return f"{'' if plain[:1].isalpha() else 'net-'}{plain}"[:32].strip("-")


def _checked_name(name: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidSetting(
            "name",
            f"name={name!r} is taken by no cloud: 3 to 32 of a-z, 0-9 and -, a letter first, no - at the end",
        )
    return name


def _files(made: Path) -> list[str]:
    own = (path.relative_to(made) for path in sorted(made.rglob("*")) if path.is_file())
    return [
        path.as_posix() for path in own if path.parts[0] not in ("model", "artifacts") and path.name != BUNDLE
    ]


def read_bundle(folder: str | Path) -> Bundle:
    """A bundle on disk.

    Raises:
        InvalidSetting: it is none.
    """
    try:
        known = json.loads((Path(folder) / BUNDLE).read_text(encoding="utf-8"))
        return Bundle(Path(folder), known["target"], known["name"], known["version"], tuple(known["files"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidSetting("folder", f"{str(folder)!r} is no bundle: {first_line(error)}") from error
