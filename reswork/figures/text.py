"""Words and numbers as they appear in figures: escaped, cut to length, with a readable unit."""

import math
from collections.abc import Iterable
from html import escape as escape_html

_CONTROL = {code: " " for code in (*range(32), 127, 0x2028, 0x2029)}


def escape(name: object, length: int | None = None) -> str:
    """A name from data as plotly text that shows exactly that name.

    For every class, run, layer or file name that reaches a figure: plotly reads ``<b>``, ``&amp;``, ``$x$``
    and ``%{x}`` in its texts. Quotes stay: they mean nothing outside a tag.

    Args:
        name: what a person or a file calls the thing.
        length: cut to at most so many characters, the last one ``…``; None leaves it whole.

    Returns:
        Text without ``<``, ``>``, ``$``, ``%{``, bare ``&`` or line breaks.

    Example:
        >>> escape("<b>cat</b> $1")
        '&lt;b&gt;cat&lt;/b&gt; &#36;1'
    """
    text = str(name).translate(_CONTROL)
    if length is not None:
        text = shortened(text, length)
    return escape_html(text, quote=False).replace("$", "&#36;").replace("%{", "&#37;{")


def shortened(text: str, length: int) -> str:
    """The text with at most ``length`` characters; ``…`` stands for what is gone.

    Example:
        >>> shortened("a long class name", 8)
        'a long …'
    """
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def distinct(names: Iterable[object], length: int | None = None) -> list[str]:
    """Escaped names, no two the same: plotly draws equal categories over each other.

    Example:
        >>> distinct(["cat", "cat", "dog"])
        ['cat', 'cat (2)', 'dog']
    """
    seen: dict[str, int] = {}
    found = []
    for name in names:
        text = escape(name, length)
        while text in seen:
            seen[text] += 1
            text = f"{escape(name, length)} ({seen[text]})"
        seen[text] = 1
        found.append(text)
    return found


def amount(number: float, unit: str = "") -> str:
    """A count with three digits: thousands, millions, billions.

    Example:
        >>> amount(269_722), amount(40_813_184, "MACs"), amount(12)
        ('270 k', '40.8 M MACs', '12')
    """
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= factor * 0.9995:
            return f"{_digits(number / factor)} {letter} {unit}".rstrip()
    return f"{number:g} {unit}".rstrip()


def size(count: float) -> str:
    """A number of bytes in KiB, MiB or GiB.

    Example:
        >>> size(1_572_864)
        '1.5 MiB'
    """
    for factor, letters in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if abs(count) >= factor:
            return f"{_digits(count / factor)} {letters}"
    return f"{count:g} bytes"


def number(value: float | None) -> str:
    """A measured value with three digits, thousands to the last one, or "unknown" where there is none.

    Example:
        >>> number(0.123456), number(2412.6), number(float("nan")), number(None)
        ('0.123', '2,413', 'not a number', 'unknown')
    """
    if value is None:
        return "unknown"
    if math.isnan(value):
        return "not a number"
    return f"{value:,.0f}" if 999.5 <= abs(value) < 1e6 else f"{value:.3g}"


def _digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"
