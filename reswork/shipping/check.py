"""`check_artefact`: whether an exported folder is still what was exported, and still answers as it did."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reswork.errors import InvalidSetting
from reswork.shipping.artefact import EXAMPLES, FACTS, PICTURES, Artefact, open_artefact
from reswork.shipping.engines import Engine, open_engine
from reswork.shipping.proof import COARSE, TOLERANCE, Proof, compare


@dataclass(frozen=True)
class ArtefactCheck:
    """What a check found.

    Attributes:
        folder: that was looked at.
        version: of the artefact.
        changed: files that are missing or changed, each with what is wrong.
        problem: why it could not be computed; empty where it could.
        proof: how its answers compare with those that were kept; None where they were not computed.
    """

    folder: str
    version: str
    changed: tuple[str, ...]
    problem: str
    proof: Proof | None

    @property
    def holds(self) -> bool:
        """Whether every file is what was exported and every answer what it was."""
        return not self.changed and not self.problem and self.proof is not None and self.proof.holds

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, a line each."""
        said = [f"{each}" for each in self.changed]
        said += [self.problem] if self.problem else []
        said += [self.proof.sentence] if self.proof is not None else []
        return tuple(said)

    def __repr__(self) -> str:
        word = "as it was exported" if self.holds else "NOT as it was exported"
        return "\n".join(
            [f"{self.folder} ({self.version}): {word}", *(f"  {each}" for each in self.sentences)]
        )


def check_artefact(
    folder: str | Path | Artefact,
    *,
    threads: int | None = None,
    opens: Callable[[Path, int | None], Engine] = open_engine,
) -> ArtefactCheck:
    """Compare every file with its hash, and the answers for the kept examples with those that were kept.

    A hash tells damage and change, not who made the folder: somebody who changes a file can change its hash, too.

    Args:
        folder: that `reswork.export` wrote.
        threads: for the engine; None: as many as torch takes here.
        opens: gives the engine for a model's file, once the file is known to be what was exported.

    Returns:
        What was found; ``.holds`` in one word, and the files that changed in ``.changed``.

    Raises:
        InvalidSetting: it is no exported folder.
    """
    found = folder if isinstance(folder, Artefact) else open_artefact(folder)
    changed = found.changed()
    needed = (found.path.name, EXAMPLES, FACTS)  # the first may be a folder
    if any(
        each.split(" ")[0].partition("/")[0] in needed for each in changed
    ):  # it is something else: not run
        return ArtefactCheck(str(found.folder), found.version, changed, "", None)
    proof, problem = None, ""
    try:
        examples = found.examples
        coarse = found.facts["precision"] != "fp32"
        proof = compare(
            opens(found.path, threads),
            found.inputs(examples.pixels),
            examples.outputs,
            COARSE if coarse else TOLERANCE,
            "what it said itself" if coarse else "the network",
            is_scores=found.form.is_scores,
        )
        _look_at_pictures(found, examples.pixels)
    except InvalidSetting as error:
        problem = error.message
    return ArtefactCheck(str(found.folder), found.version, changed, problem, proof)


def picture_name(index: int) -> str:
    """Of one kept example within the folder."""
    return f"{PICTURES}/{index:02}.png"


def _look_at_pictures(found: Artefact, pixels: np.ndarray) -> None:
    for index, each in enumerate(pixels):
        path = found.folder / picture_name(index)
        if path.is_file() and not np.array_equal(found.decoder(path).numpy(), each):
            raise InvalidSetting(
                "folder",
                f"{picture_name(index)} is read as other pixels than those that were kept with it: another version of "
                "pillow, or another picture",
            )
