import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from reswork.environment.context import Context, look_around
from reswork.environment.versions import misfits, version_findings

NEEDED = (
    "torch>=2.9",
    "ipykernel>=6.29,!=6.30.0,!=7.0.*",
    "pytest>=8; extra == 'dev'",
    "wincon>=1; sys_platform == 'win32'",
)


def verdicts(python: str = "3.12.1", **installed: str) -> dict[str, str]:
    context = Context(python=python, python_needed=">=3.11", needed=NEEDED, installed=installed)
    return {finding.name: f"{finding.verdict}: {finding.told}" for finding in version_findings(context)}


def test_everything_as_it_should_be() -> None:
    assert verdicts(torch="2.14.1+cu130", ipykernel="7.4.0") == {
        "Python": "good: 3.12.1",
        "packages": "good: 2 of 2 that reswork needs are here in a version that it works with",
    }


@pytest.mark.parametrize("version", ["6.30.0", "7.0.0", "7.0.3"])
def test_versions_known_not_to_work(version: str) -> None:
    found = verdicts(torch="2.10", ipykernel=version)
    assert found["packages"].startswith("bad: 1 of 2")
    assert found["ipykernel"].startswith(f"bad: {version} is known not to work")


def test_too_old_and_missing() -> None:
    found = verdicts(python="3.10.9", torch="2.4")
    assert found["Python"] == "bad: 3.10.9; reswork needs >=3.11"
    assert found["torch"] == "bad: 2.4; needed is >=2.9"
    assert found["ipykernel"].startswith("bad: not installed")


def test_each_bad_line_says_what_to_type() -> None:
    context = Context(python="3.10", python_needed=">=3.11", needed=NEEDED)
    assert all(finding.remedy for finding in version_findings(context))
    assert 'pip install "torch>=2.9"' in [finding.remedy for finding in version_findings(context)]


def test_a_source_tree_that_was_never_installed() -> None:
    (found,) = version_findings(Context())
    assert found.verdict == "look" and "not installed" in found.told


def test_other_packages_requirements_are_compared_too() -> None:
    assert misfits(["b~=3.0", "c>=1; extra == 'x'", "%%%"], {"b": "3.1"}) == ()
    assert misfits(["b~=3.0"], {"b": "1.0"}) == ("b 1.0; needed is ~=3.0",)


def test_the_list_is_the_installed_metadata() -> None:
    context = look_around()
    assert set(context.needed) == set(metadata.requires("reswork") or ())
    assert context.python_needed == metadata.metadata("reswork")["Requires-Python"]
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert context.python_needed == project["requires-python"]
    assert {Requirement(each).name for each in context.needed} >= {"torch", "ipykernel", "plotly"}
    assert not context.in_kernel and "torch" in context.installed
