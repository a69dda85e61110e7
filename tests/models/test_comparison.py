import pytest

from reswork.errors import InvalidSetting
from reswork.models.comparison import spec_table
from reswork.models.config import ResNetConfig
from reswork.models.sheet import spec_sheet

CONFIGS = {"plain": ResNetConfig(depth=8, residual=False), "a deep one": ResNetConfig(depth=1202)}


def test_a_row_is_the_networks_own_sheet():
    table = spec_table(CONFIGS)
    assert table.names == ("plain", "a deep one")
    assert table.sheets == tuple(spec_sheet(config) for config in CONFIGS.values())


def test_without_names_a_network_has_its_label():
    assert spec_table(config for config in CONFIGS.values()).names == ("Plain-8", "ResNet-1202")


def test_the_text_shows_the_sheets_numbers():
    sheet = spec_sheet(CONFIGS["a deep one"])
    row = repr(spec_table(CONFIGS)).splitlines()[2]
    assert row.startswith("a deep one  19,421,274  ")
    assert [float(number.replace(",", "")) for number in row.split()[3:]] == pytest.approx(
        [
            sheet.parameters,
            sheet.macs / 1e6,
            sheet.activation_bytes / 1024**2,
            sheet.inference_bytes / 1024**2,
            sheet.receptive_field,
        ],
        rel=0.02,
    )


def test_columns_stand_under_each_other():
    lines = repr(spec_table(CONFIGS)).splitlines()
    assert len(lines) == 3 and len({len(line) for line in lines}) == 1
    assert lines[0].index("parameters") + len("parameters") == lines[1].index("75,290") + len("75,290")


def test_no_network_is_a_heading():
    assert repr(spec_table([])).split() == spec_table(CONFIGS).__repr__().splitlines()[0].split()


def test_a_network_that_does_not_fit_says_so():
    with pytest.raises(InvalidSetting, match="in_channels=3 does not fit images of 1 channels"):
        spec_table(CONFIGS, input_shape=(1, 32, 32))
