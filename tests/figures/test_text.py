import pytest

from reswork.figures.text import amount, distinct, escape, number, shortened, size


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain name", "plain name"),
        ("<b>bold</b>", "&lt;b&gt;bold&lt;/b&gt;"),
        ("<a href='javascript:x'>y", "&lt;a href='javascript:x'&gt;y"),
        ("R&D &amp; co", "R&amp;D &amp;amp; co"),
        ("$x^2$", "&#36;x^2&#36;"),
        ("%{x} 5%", "&#37;{x} 5%"),
        ("two\nlines\x00", "two lines "),
        ('"quoted"', '"quoted"'),
        (7, "7"),
    ],
)
def test_escape_shows_the_very_name(name, text):
    assert escape(name) == text


def test_escape_cuts_before_it_escapes():
    assert escape("a<<<<<", 4) == "a&lt;&lt;…"


def test_names_that_become_equal_stay_distinct():
    assert distinct(["cat", "cat", "cat"]) == ["cat", "cat (2)", "cat (3)"]
    assert distinct(["cat", "cat (2)", "cat"]) == ["cat", "cat (2)", "cat (3)"]
    assert distinct(["long name A", "long name B"], 8) == ["long na…", "long na… (2)"]
    assert distinct([]) == []


def test_shortened_keeps_what_fits():
    assert shortened("abcd", 4) == "abcd"
    assert shortened("abcde", 4) == "abc…"
    assert shortened("abc", 1) == "…"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1 k"),
        (269_722, "270 k"),
        (999_700, "1 M"),
        (19_421_274, "19.4 M"),
        (4e9, "4 G"),
    ],
)
def test_amount(count, text):
    assert amount(count) == text


def test_size_in_powers_of_1024():
    assert (size(512), size(2048), size(3 * 2**20), size(2**30)) == ("512 bytes", "2 KiB", "3 MiB", "1 GiB")


def test_number_names_what_is_missing():
    assert number(None) == "unknown"
    assert number(float("nan")) == "not a number"
    assert number(1234.5) == "1,234" and number(-2e7) == "-2e+07"
