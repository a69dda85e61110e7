import re

import numpy as np
import pytest

from reswork.reporting.contents import small
from reswork.reporting.page import page_text
from reswork.reporting.report import report

HOSTILE = ("<script>alert(1)</script>", "</style>&amp;$x$", '" onload="x', "dog", "cat")


@pytest.fixture(scope="module")
def page(predictions, images) -> str:
    some = slice(0, 200)
    found = report(
        probabilities=predictions.probabilities[some], labels=predictions.labels[some], images=images,
        embeddings=np.random.default_rng(0).normal(size=(200, 8)), classes=HOSTILE, train_images=images[:3],
    )  # fmt: skip
    return page_text(found)


def test_every_name_is_escaped_and_nothing_is_fetched(page):
    body = page[page.index("<body>") : page.index("<script>")]
    assert "&lt;script&gt;alert(1)" in body and "<script>alert" not in page
    assert '" onload="' not in body and "</style>&amp;" not in body
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", body) and "default-src 'none'" in page
    assert len(page.encode()) < 8e6


def test_every_section_and_figure_says_what_it_is(page):
    for name in ("scores", "calibration", "mistakes", "label_issues", "duplicates", "outliers", "embedding"):
        assert f'<section id="{name}">' in page and f'href="#{name}"' in page
    assert "Worse images: needs the model and its data" in page
    body = page[page.index("<body>") : page.index("<script>")]
    drawn = body.count('class="plot"')
    assert drawn >= 9 and body.count("What is this?") == drawn == body.count('<p class="muted">') - 2


def test_a_report_without_labels_is_a_page_too(predictions, images):
    text = page_text(report(probabilities=predictions.probabilities[:200], images=images))
    assert "Scores: needs one label for each image" in text and '<section id="duplicates">' in text


def test_thumbnails_are_means_of_squares():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 130, 70)).astype(np.uint8)
    found = small(images)
    assert found.shape == (2, 3, 43, 23)
    assert abs(int(found[1, 2, 5, 7]) - images[1, 2, 15:18, 21:24].mean()) <= 0.5
    assert small(images[:, :, :64, :64]).shape == (2, 3, 64, 64)
