"""Settings from JSON text."""

import json
from typing import Any

from reswork.errors import InvalidSetting


def settings_from(text: str, field: str, what: str) -> dict[str, Any]:
    """The object that a JSON text holds.

    Args:
        text: from a person or a file.
        field: that the error names.
        what: the text should describe, with its article, such as ``"a recipe"``.

    Raises:
        InvalidSetting: for a text that is no JSON, or holds something else than an object.

    Example:
        >>> settings_from('{"depth": 20}', "config", "a network")
        {'depth': 20}
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidSetting(field, f"{text[:40]!r} is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise InvalidSetting(field, f"{text[:40]!r} is not {what}'s JSON; it must be an object")
    return values
