"""The manifest of `emprops-package.v1` and `.v2`: its members and their types. Other members are allowed."""

import re
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import msgspec

from shared.content.package import canonical

Text = Annotated[str, msgspec.Meta(min_length=1)]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Size = Annotated[int, msgspec.Meta(ge=0)]
TokenNumber = Annotated[int, msgspec.Meta(ge=1)]
Form = TypeVar("Form", bound=msgspec.Struct)


class ListedFile(msgspec.Struct, frozen=True):
    """A file that the manifest lists."""

    path: Text
    size: Size
    sha256: Sha256
    cid: Text


class ListedArtwork(ListedFile, frozen=True):
    """A token's artwork, or the image that represents it. `hash`: that of its generation."""

    token: TokenNumber
    mime_type: Text
    hash: Text
    generation: UUID


class ListedRendition(ListedArtwork, frozen=True):
    """A smaller copy of the image that shows a token, with its size in pixels."""

    kind: Literal["display", "thumbnail"]
    width: Annotated[int, msgspec.Meta(ge=1)]
    height: Annotated[int, msgspec.Meta(ge=1)]


class ListedCollection(msgspec.Struct, frozen=True):
    id: UUID
    title: str


class ListedProvenance(msgspec.Struct, frozen=True):
    algorithm: str
    hash: Sha256


class Manifest(msgspec.Struct, frozen=True):
    """What a package says that it holds."""

    format: str
    profile: dict[str, Any]
    collection: ListedCollection
    job_id: UUID
    provenance: ListedProvenance
    artworks: Annotated[list[ListedArtwork], msgspec.Meta(min_length=1)]
    displays: list[ListedArtwork]
    metadata: Annotated[list[ListedFile], msgspec.Meta(min_length=1)]
    renditions: list[ListedRendition] = []


class NotOfForm(Exception):  # noqa: N818 - names the condition
    """A document is not JSON, not canonical, or a member is not of its type. `pointer`: JSON pointer of the member."""

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.message, self.pointer = message, pointer


def read(text: bytes, form: type[Form]) -> Form:
    """The document of a form, from its canonical JSON. Raises NotOfForm."""
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotOfForm(f"this is not JSON: {error}") from error
    except RecursionError as error:
        raise NotOfForm("this JSON is nested too deeply") from error
    try:
        converted = msgspec.convert(document, form)
    except msgspec.ValidationError as error:
        sentence, _, path = str(error).partition(" - at `$")
        raise NotOfForm(sentence[:1].lower() + sentence[1:], _pointer(path.rstrip("`"))) from error
    if canonical(document) != text:
        raise NotOfForm("this is not canonical JSON: sorted members, each once, no spaces")
    return converted


def _pointer(path: str) -> str:
    """A JSON pointer from a path such as `.artworks[0].token`; up to the first name that the path does not tell."""
    return re.sub(r"\.|\[(\d+)\]", lambda place: f"/{place[1] or ''}", path.partition("[...]")[0])
