"""Refusals: what was wrong with an input, in a form that both a person and a program can use."""

import msgspec


class Detail(msgspec.Struct, frozen=True):
    """One fault: `pointer` is the JSON pointer (RFC 6901) of the value that is wrong."""

    pointer: str
    message: str


class Problem(Exception):  # noqa: N818 - it is the word of RFC 9457, and of the API
    """Raised by deciders and handlers; the HTTP layer turns it into the one error body.

    `code` is one of domain codes such as VALIDATION_FAILED; `shared.http.problems` knows each one's status.
    """

    def __init__(self, code: str, detail: str, *details: Detail) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.details = list(details)


def invalid(detail: str, *details: Detail) -> Problem:
    return Problem("VALIDATION_FAILED", detail, *details)


def not_found(what: str) -> Problem:
    return Problem("NOT_FOUND", f"{what} does not exist, or is not yours")
