"""What can hinder a set."""


class SetError(RuntimeError):
    """Its sentence says what is wrong and what to do, fit for a terminal."""
