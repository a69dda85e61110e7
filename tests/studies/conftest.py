from pathlib import Path

import pytest

from reswork.studies.shelf import Shelf


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "studies"


@pytest.fixture
def shelf(folder: Path) -> Shelf:
    return Shelf(folder, "some", {})
