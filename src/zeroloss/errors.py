"""The one exception that reaches a user as a sentence instead of a traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can mend: the message says what is wrong, where, and what is allowed.

    The command line prints it on one line and exits with status 2; nothing has been written by then.
    """


def closest(name: str, allowed: Iterable[str]) -> str:
    """Which of ``allowed`` was perhaps meant, in brackets for the middle of a sentence; nothing where none is close.

    >>> closest("du2018", ["du2018a", "jacot2018"])
    ' (did you mean du2018a?)'
    >>> closest("kernel", ["du2018a", "jacot2018"])
    ''
    """
    found = difflib.get_close_matches(name, list(allowed), n=1)
    return f" (did you mean {found[0]}?)" if found else ""
