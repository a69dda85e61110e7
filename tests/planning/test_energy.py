from pathlib import Path

import pytest

from reswork.planning.energy import PackageEnergy, assumed_watts


def test_joules_of_all_packages_are_added_also_where_a_counter_begins_anew(tmp_path: Path) -> None:
    for name, microjoules in (("intel-rapl:0", 5_000_000), ("intel-rapl:1", 900), ("intel-rapl:0:0", 7)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(str(microjoules))
        (tmp_path / name / "max_energy_range_uj").write_text("1000000000")
    energy = PackageEnergy(tmp_path)
    assert energy.joules() == 0
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("8000000")
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("100")
    assert energy.joules() == pytest.approx(3 + (1_000_000_000 - 800) / 1e6)
    (tmp_path / "intel-rapl:1" / "energy_uj").unlink()
    assert energy.joules() is None


def test_without_counters_nothing_is_told_and_something_is_assumed(tmp_path: Path) -> None:
    assert PackageEnergy(tmp_path).joules() is None
    assert assumed_watts() > 0
