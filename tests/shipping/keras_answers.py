"""Several networks built and answered by Keras, TensorFlow or LiteRT in one process: importing them takes seconds.

A process of its own, without torch but where that is Keras' backend:
``python -m tests.shipping.keras_answers JOB``. The job is JSON: ``build``, pairs of a folder with layers and a path to
be written; ``answer``, triples of such a path, a file with images (N, H, W, C), and a file for the answers.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from reswork.shipping.engines import quiet_environment
from reswork.shipping.keras_build import build
from reswork.shipping.keras_engines import opened

ROOT = Path(__file__).parents[2]
SIZES = (1,)  # of batches; then the rest


def done(folder: Path, backend: str, **job: list[tuple[Path, ...]]) -> None:
    """Do a job with a backend of Keras, in a process of its own."""
    file = folder / "job.json"
    file.write_text(json.dumps({"build": [], "answer": [], **job}, default=str))
    ended = subprocess.run(
        [sys.executable, "-m", "tests.shipping.keras_answers", file],
        cwd=ROOT, env=quiet_environment(backend), capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]


def main(job: dict[str, list[list[str]]]) -> None:
    """Build what is to be built, then answer."""
    for folder, path in job["build"]:
        build(Path(folder), Path(path))
    for path, images, answers in job["answer"]:
        answered = opened(Path(path), 1)[3]
        parts = np.split(np.load(images), np.cumsum(SIZES))
        np.save(answers, np.concatenate([answered(part) for part in parts]))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
