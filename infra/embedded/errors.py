"""The base of all errors of a set."""


class SetError(RuntimeError):
    """Its message says what is wrong and what to do, for a terminal."""
