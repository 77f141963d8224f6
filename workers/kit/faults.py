"""Why an attempt failed, and whether another attempt may succeed."""

from shared.contracts.generation import StepError


class StepFault(Exception):  # noqa: N818 - of the step, not of the worker
    """Ends an attempt. Code and message reach the user, so they must not contain secrets."""

    def __init__(self, code: str, message: str, *, retryable: bool) -> None:
        super().__init__(code, message)
        self.error = StepError(code=code, message=message, retryable=retryable)

    @property
    def retryable(self) -> bool:
        """Whether another attempt may succeed."""
        return self.error.retryable


def transient(code: str, message: str) -> StepFault:
    """A fault that may not recur in another attempt: of a network, a server, a limit."""
    return StepFault(code, message, retryable=True)


def permanent(code: str, message: str) -> StepFault:
    """A fault that would recur in every attempt: a wrong input, a rejection."""
    return StepFault(code, message, retryable=False)


def is_transient(error: Exception) -> bool:
    """Whether it is a StepFault that may not recur."""
    return isinstance(error, StepFault) and error.retryable
