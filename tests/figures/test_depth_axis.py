from reswork.figures.depth_axis import depth_axis, depth_groups


def test_neighbours_with_one_beginning_form_a_group():
    assert depth_groups(["conv1", "a.0", "a.1", "b", "a.2"]) == (
        ("conv1", 1, 1),
        ("a", 2, 3),
        ("b", 4, 4),
        ("a", 5, 5),
    )
    assert depth_groups([]) == ()


def test_ticks_stand_in_the_middle_of_their_group():
    axis, borders = depth_axis((("conv1", 1, 1), ("layer1", 2, 5)), 1)
    assert axis["tickvals"] == [1, 3.5] and axis["ticktext"] == ["conv1", "layer1"]
    assert [border["x0"] for border in borders] == [1.5]


def test_narrow_groups_keep_their_border_but_not_their_name():
    axis, borders = depth_axis((("a", 1, 50), ("thin", 51, 51), ("b", 52, 100)), 1)
    assert axis["ticktext"] == ["a", "b"] and len(borders) == 2


def test_one_group_or_very_many_give_a_plain_axis():
    for groups in ((), (("a", 1, 9),), tuple((str(i), i, i) for i in range(1, 40))):
        axis, borders = depth_axis(groups, 1)
        assert "tickvals" not in axis and borders == []


def test_sharing_is_said_in_the_title():
    assert "5 neighbours" in depth_axis((), 5)[0]["title"]["text"]
