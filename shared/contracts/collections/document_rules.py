"""How the metadata of a publication is written."""

from typing import Literal

import msgspec

TraitType = Literal["text", "integer", "number"]
"""How the values of a trait are written in metadata."""


class DocumentRules(msgspec.Struct, frozen=True):
    """The rules by which the metadata of a publication is written, also in later releases.

    `version`: 2, or 3: the documents name smaller copies of the images. Those of early releases are of version 1.
    `traits`: the type of each trait, the same for all tokens.
    """

    version: int
    traits: dict[str, TraitType]


def has_renditions(documents: DocumentRules | None) -> bool:
    """Whether documents name smaller copies of the tokens' images."""
    return documents is not None and documents.version >= 3
