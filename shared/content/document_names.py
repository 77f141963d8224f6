"""The names of a package's metadata files: `metadata/<chain>/collection.json`, and those of the tokens' documents.

A token's document is named by the token's number, with and without `.json`: `tokenURI` is often a base URI followed by
the number. ERC-1155 clients write the number in 64 lower-case hexadecimal digits. Packages of early releases have the
first of these names only.
"""

import re
from typing import NamedTuple

FOLDER = "metadata"
COLLECTION = "collection.json"
EXTENSION = ".json"
HEX_DIGITS = 64
HEXADECIMAL = ("ethereum", "base")
"""The chains whose packages have ERC-1155's names."""

_NAME = re.compile(rf"([0-9a-f]{{{HEX_DIGITS}}}|[1-9][0-9]{{0,18}})(\.json)?\Z")


class TokenName(NamedTuple):
    """The name of a token's document: the token's number, and how the name is formed."""

    number: int
    is_hexadecimal: bool
    has_extension: bool


PLAIN = TokenName(0, is_hexadecimal=False, has_extension=True)
"""The form that every package has."""


def other_names(chain: str, number: int) -> list[str]:
    """The names of a token's document in a chain's folder, beside `<number>.json`."""
    hexadecimal = format(number, f"0{HEX_DIGITS}x")
    return [str(number), *([hexadecimal, hexadecimal + EXTENSION] if chain in HEXADECIMAL else [])]


def token_of(name: str) -> TokenName | None:
    """The token that a name in a chain's folder stands for; None if it is no name of a token's document."""
    match = _NAME.match(name)
    if match is None:
        return None
    is_hexadecimal = len(match[1]) == HEX_DIGITS
    return TokenName(int(match[1], 16 if is_hexadecimal else 10), is_hexadecimal, match[2] is not None)
