from reswork.history import History
from reswork.training.remarks import remarks_of


def test_what_is_frozen_is_told_with_what_joined_since() -> None:
    history = History()
    assert remarks_of(history) == ""
    history.note(0, "frozen", layers=["conv1", "bn1", "layer1"], weights=99, norms=["bn1"], untrained=["bn1"])
    assert remarks_of(history) == (
        "conv1, bn1 and layer1 are frozen. The statistics of bn1 would have followed the images and stay as they came. "
        "bn1 has never followed an image, so what stays is mean 0 and variance 1: freeze layers of a trained network."
    )
    history.note(40, "unfrozen", layers=["layer1"])
    assert remarks_of(history).endswith("From step 40 on layer1 learns again.")


def test_several_processes_are_told() -> None:
    history = History()
    history.note(0, "ranks", count=2, told="2 ranks")
    assert remarks_of(history) == "From step 1 on trained by 2 ranks."


def test_statistics_that_move_under_frozen_weights_are_told() -> None:
    history = History()
    history.note(0, "statistics_move", norms=[f"layer1.{block}.bn1" for block in range(6)])
    assert remarks_of(history) == (
        "layer1.0.bn1, layer1.1.bn1, layer1.2.bn1 and 3 more are frozen by requires_grad_(False), but the statistics "
        "still follow the images, so what the layer gives changes; name it in the recipe's frozen to keep both."
    )


def test_notes_that_somebody_changed_do_no_harm() -> None:
    history = History()
    history.note(0, "frozen", layers="conv1", norms=3)
    history.note(0, "statistics_move")
    history.note(0, "unfrozen", layers=[1, None])
    assert "From step 0 on 1 and None learn again." in remarks_of(history)
