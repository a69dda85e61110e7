import numpy as np

from reswork.figures import film_strip
from reswork.results import Frame
from reswork.results.answers import ClassAnswers


def frames(count: int, pictures: int = 2) -> list[Frame]:
    maps = np.ones((pictures, 8, 8), np.float32)
    return [
        Frame(10 * k, maps, ClassAnswers((np.eye(pictures, 9) * 0.5).astype(np.float32)))
        for k in range(1, count + 1)
    ]


def test_a_row_for_each_picture_and_a_column_for_each_moment() -> None:
    figure = film_strip(np.zeros((2, 1, 8, 8), np.uint8), frames(3), ("cat", "<b>dog"))
    titles = [note.text for note in figure.layout.annotations]
    assert len(titles) == 8
    assert titles[0] == titles[4] == "picture"
    assert titles[5] == "10: &lt;b&gt;dog"
    assert figure.layout.meta["summary"] == (
        "3 moments from step 10 to 30; now the answers are cat (50 %); <b>dog (50 %)."
    )


def test_no_moments_are_an_empty_figure() -> None:
    assert film_strip(np.zeros((2, 1, 8, 8), np.uint8), []).layout.meta["summary"] == "No moments yet."
