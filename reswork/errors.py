"""Errors that a person can act on: each names the setting, the value, what is accepted and what to do."""

_LONGEST = 900  # characters of a message


class InvalidSetting(ValueError):
    """A setting has a value that cannot be used; the message is shown under the control that set it.

    A message that quotes a huge value is cut in its middle.

    Args:
        field: name of the setting as it is spelt in code, such as ``"depth"``.
        message: one sentence with the value, what is accepted and the remedy.

    Example:
        >>> error = InvalidSetting("depth", "depth=21 is not a ResNet depth; choose 6n+2 (20, 32, 44, ...)")
        >>> error.field
        'depth'
    """

    def __init__(self, field: str, message: str) -> None:
        if len(message) > _LONGEST:
            message = f"{message[: _LONGEST * 2 // 3]} … {message[-_LONGEST // 3 :]}"
        super().__init__(message)
        self.field = field
        self.message = message
