import pytest

from reswork.figures.network_layout import network_layout


def blocks(layout):
    return [box for row in layout.rows for box in row.boxes if box.kind == "block"]


@pytest.mark.parametrize(("depth", "rows"), [(20, 3), (110, 3), (302, 3), (308, 6), (1202, 12)])
def test_each_stage_takes_one_row_until_it_is_too_long(make_sheet, depth, rows):
    layout = network_layout(make_sheet(depth=depth))
    assert len(layout.rows) == rows + 2  # stem and head
    assert len(blocks(layout)) == (depth - 2) // 2
    assert all(len(row.boxes) <= 50 for row in layout.rows)


@pytest.mark.parametrize("depth", [20, 110, 1202])
def test_boxes_of_a_row_lie_inside_the_page_and_apart(make_sheet, depth):
    for row in network_layout(make_sheet(depth=depth)).rows:
        for box, after in zip(row.boxes, row.boxes[1:], strict=False):
            assert box.x + box.width / 2 < after.x - after.width / 2
        assert row.boxes[0].left >= -1e-6 and row.boxes[-1].right <= 1 + 1e-6


def test_rows_run_down_and_stay_on_the_page(make_sheet):
    layout = network_layout(make_sheet(depth=1202))
    heights = [row.y for row in layout.rows]
    assert heights == sorted(heights, reverse=True) and -layout.height < heights[-1]
    assert layout.height < 800


def test_titles_say_channels_and_size(make_sheet):
    rows = network_layout(make_sheet(depth=20)).rows
    assert [(row.title, row.detail) for row in rows] == [
        ("stem", "16 ch · 32×32"),
        ("stage 1", "16 ch · 32×32"),
        ("stage 2", "32 ch · 16×16"),
        ("stage 3", "64 ch · 8×8"),
        ("head", "64 ch → 10"),
    ]


def test_stem_shows_what_it_is_made_of(make_sheet):
    def stem(**fields):
        return [box.text for box in network_layout(make_sheet((3, 224, 224), **fields)).rows[0].boxes]

    assert stem(depth=50) == ["3×224×224", "conv", "max"]
    assert stem(depth=50, stem="resnet_d") == ["3×224×224", "conv", "conv", "conv", "max"]


def test_a_head_that_gives_pictures_or_scores_says_what_it_is_made_of(make_sheet):
    def head(shape=(3, 32, 32), **fields):
        row = network_layout(make_sheet(shape, depth=8, num_classes=3, **fields)).rows[-1]
        assert row.boxes[0].left >= -1e-6 and row.boxes[-1].right <= 1 + 1e-6
        return [box.text for box in row.boxes]

    assert head(head="edsr", scale=2) == ["conv", "×2", "+", "3×64×64"]
    assert head(head="edsr", scale=2, add_input=False) == ["conv", "×2", "3×64×64"]
    assert head(head="vdsr", scale=2) == ["conv", "3×64×64"]
    assert head(head="fcn") == ["conv", "conv", "conv", "3×32×32"]
    assert head((1, 9, 9, 9), head="fcn", dims=3, in_channels=1)[-1] == "3×9³"


def test_hover_names_shapes_and_costs(make_sheet):
    (box,) = [box for box in blocks(network_layout(make_sheet(depth=20))) if box.name == "layer2.0"]
    assert "layer2.0" in box.hover and "32 × 16 × 16" in box.hover and "stride 2" in box.hover
    assert "zero padding" in box.hover and "parameters" in box.hover and "MACs" in box.hover


@pytest.mark.parametrize("depth", [8, 18, 50, 308])
@pytest.mark.parametrize("stem", ["cifar", "imagenet", "resnet_d"])
def test_a_u_nets_levels_stand_beside_what_they_take(make_sheet, depth, stem):
    layout = network_layout(make_sheet((3, 96, 96), depth=depth, stem=stem, head="unet"))
    for source, target in layout.skips:
        assert source.y == target.y and source.right < target.left
    partners = [source.name for source, _ in layout.skips]
    assert partners == sorted(partners, reverse=True) or stem != "cifar"
    heights = [row.y for row in layout.decoder]
    assert heights == sorted(heights) and heights[-1] == layout.rows[0].y
    assert [box.name for box in layout.decoder[-1].boxes[-2:]] == ["decoder.last", "output"]
    for row in layout.all_rows:
        for box, after in zip(row.boxes, row.boxes[1:], strict=False):
            assert box.x + box.width / 2 < after.x - after.width / 2
        assert row.boxes[0].left >= -1e-6 and row.boxes[-1].right <= 1 + 1e-6
    left = max(box.right for row in layout.rows for box in row.boxes)
    assert left < min(box.left for row in layout.decoder for box in row.boxes)


def test_a_u_nets_names_shapes_and_hovers(make_sheet):
    sheet = make_sheet((3, 64, 48), depth=18, head="unet")
    layout = network_layout(sheet)
    assert [(row.title, row.detail) for row in layout.rows[:3]] == [
        ("image", "3 ch · 64×48"),
        ("stem", "64 ch · 32×24"),
        ("stage 1", "64 ch · 16×12"),
    ]
    names = [box.name for row in layout.decoder for box in row.boxes]
    assert names[:2] == ["decoder.merge3", "decoder.layer3.0"]
    first = layout.decoder[0].boxes[0]
    assert "layer3" in first.hover and "256 × 4 × 3" in first.hover
