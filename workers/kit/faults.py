"""Why an attempt failed, and whether another one may succeed."""

from shared.contracts.generation import StepError


class StepFault(Exception):  # noqa: N818 - of the step, not of the worker
    """Ends an attempt; `error` goes into its result, so it names no secret."""

    def __init__(self, code: str, message: str, *, retryable: bool) -> None:
        super().__init__(code, message)
        self.error = StepError(code=code, message=message, retryable=retryable)


def passing(code: str, message: str) -> StepFault:
    """What may be over at the next attempt: a network, a server, a limit."""
    return StepFault(code, message, retryable=True)


def lasting(code: str, message: str) -> StepFault:
    return StepFault(code, message, retryable=False)
