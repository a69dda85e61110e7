"""Whose change of a widget it is: our code's, or a person's that comes while our code changes another one."""

import threading


class ByCode(threading.local):
    """True within ``with``, in the thread that is there, and in no other.

    A panel that sets its own widgets from a thread does so within; its observers ask, and do nothing where it is true.
    A flag that all threads share would be true for a person's click as well, which then were lost.

    Example:
        >>> by_code = ByCode()
        >>> with by_code:
        ...     bool(by_code)
        True
        >>> bool(by_code)
        False
    """

    _depth = 0

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_error: object) -> None:
        self._depth -= 1

    def __bool__(self) -> bool:
        return self._depth > 0
