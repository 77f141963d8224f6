"""The public pages' templates, and the filters that they use. Images and media are of the pages' own host."""

from collections.abc import Callable, Mapping
from typing import Any

from services.collections.domain.artwork.trait_types import plain
from services.collections.pages import texts
from shared.http.pages import Pages

FILTERS: Mapping[str, Callable[..., Any]] = {
    "parts": texts.parts,
    "plain": plain,
    "chain": texts.chain,
    "time": texts.time,
    "size": texts.size,
    "summary": texts.summary,
}
PAGES = Pages("services.collections", "pages/templates", FILTERS, ("img-src 'self'", "media-src 'self'"))
