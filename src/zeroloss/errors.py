"""The one exception that reaches a user as a sentence instead of a traceback."""


class UserError(Exception):
    """Something the user can mend: the message says what is wrong, where, and what is allowed.

    The command line prints it on one line and exits with status 2; nothing has been written by then.
    """
