"""The faults of a series that prevent its publication, and the warnings about possible mistakes.

The rules: one artwork is one token, and `editions` is the number of tokens; a token with texts only is not sold.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from services.collections.domain.artwork.tokens import Token
from services.collections.domain.collection.royalties import chain_warnings, receiver_warnings
from services.collections.domain.collection.state import Collection
from shared.contracts.collections import ChosenSeries
from shared.contracts.problem import Detail


def edition_faults(state: Collection, series: ChosenSeries) -> Iterator[Detail]:
    """`editions` equals the number of artworks, so that each token that is minted has one."""
    artworks, editions = len(series.gids), state.fields.editions
    if editions is None or editions == artworks:
        return
    more = "choose fewer with `generations`, or set" if artworks > editions else "generate more, or set"
    message = f"{editions} editions need {editions} artworks, and the series has {artworks}: {more} editions to"
    yield Detail("/editions", f"{message} {artworks}")


def token_faults(tokens: Sequence[Token]) -> Iterator[Detail]:
    """Tokens without anything that can be shown: without a file, or with nothing but texts."""
    for token in tokens:
        artifact = token.artifact
        if artifact is None:
            yield _about(token, "has no file: its steps made texts only, and a picture is required")
        elif token.image is None and _is_text(artifact.mime_type):
            yield _about(token, f"is a text ({artifact.mime_type}) without an image: a picture is required")


def warnings(state: Collection, tokens: Sequence[Token], public_url: str) -> list[Detail]:
    """What can be published and may be a mistake, with pointers into the collection and its series."""
    return [
        *_fields_warnings(state),
        *_token_warnings(tokens),
        *_cover_warnings(state, tokens),
        *_address_warnings(state, tokens, public_url),
    ]


def is_private_host(url: str) -> bool:
    """Whether a URL's host is a loopback or private address, `localhost`, or a name without a dot."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"}:
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        is_local = "." not in host or host.endswith((".localhost", ".local", ".internal"))
        return bool(host) and is_local
    return not address.is_global


def _fields_warnings(state: Collection) -> Iterator[Detail]:
    if not state.fields.description.strip():
        yield Detail("/description", "is empty: marketplaces show it with the collection and each token")
    yield from receiver_warnings(state)
    if state.fields.blockchain is not None:
        yield from chain_warnings(state.fields.blockchain, state)


def _token_warnings(tokens: Sequence[Token]) -> Iterator[Detail]:
    yield from _repeated("hash", Counter(token.hash for token in tokens if token.hash))
    files = Counter(token.artifact.sha256 for token in tokens if token.artifact and token.artifact.sha256)
    yield from _repeated("file", files)
    if count := sum(token.image is None for token in tokens):
        yield Detail("/generations", f"{count} tokens have no image: many marketplaces show nothing for them")


def _cover_warnings(state: Collection, tokens: Sequence[Token]) -> Iterator[Detail]:
    cover = state.fields.cover_token
    if any(token.number == cover and token.image is None for token in tokens):
        yield Detail("/cover_token", f"token {cover} has no image, so the collection has no cover")


def _repeated(what: str, counts: Counter[str]) -> Iterator[Detail]:
    repeated = [count for count in counts.values() if count > 1]
    if repeated:
        yield Detail("/generations", f"{sum(repeated)} tokens share their {what} with another token")


def _address_warnings(state: Collection, tokens: Sequence[Token], public_url: str) -> Iterator[Detail]:
    for name in ("cover_image_url", "banner_image_url"):
        url = getattr(state.fields, name) or ""
        if is_private_host(url):
            message = "is on a private host, which other machines or networks can't read: use a public URL"
            yield Detail(f"/{name}", message)
        elif public_url and url.startswith(f"{public_url.rstrip('/')}/assets/"):
            message = "is a stored file, which only its owner can read: use a public URL, or an artwork as cover_token"
            yield Detail(f"/{name}", message)
    if public_url and is_private_host(public_url):
        yield Detail("/metadata", f"links to {public_url}, which only this machine or network can read: set PUBLIC_URL")
    files = [(token, token.image or token.artifact) for token in tokens]
    local = [token for token, file in files if file and is_private_host(token.uri(file))]
    if local:
        yield Detail("/metadata", f"names the files of {len(local)} tokens by URLs on a private host: set PUBLIC_URL")


def _about(token: Token, message: str) -> Detail:
    return Detail(f"/generations/{token.number - 1}", f"token {token.number} (generation {token.gid}) {message}")


def _is_text(mime_type: str) -> bool:
    return (mime_type.startswith("text/") and mime_type != "text/html") or mime_type == "application/json"
