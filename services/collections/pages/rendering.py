"""Makes pages of templates: Jinja with autoescape, and a policy that permits no scripts and nothing of other hosts.

Litestar's `Template` renders a response when it is sent, which is too late for an ETag of the content; so templates are
rendered here.
"""

import base64
import hashlib
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from services.collections.domain.artwork.trait_types import plain
from services.collections.pages import texts

TEMPLATES = "pages/templates"
STYLE = "style.css"


@cache
def environment() -> Environment:
    """The templates. Everything that they show is escaped, and a name that they do not get is an error."""
    templates = Environment(
        loader=PackageLoader("services.collections", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters.update(
        parts=texts.parts,
        plain=plain,
        chain=texts.chain,
        time=texts.time,
        size=texts.size,
        summary=texts.summary,
    )
    templates.globals["style"] = style()
    return templates


@cache
def style() -> str:
    """The style sheet, which is a part of each page."""
    loader = PackageLoader("services.collections", TEMPLATES)
    source, _, _ = loader.get_source(Environment(autoescape=True), STYLE)
    return source


@cache
def policy() -> str:
    """The value of Content-Security-Policy of all pages. Their style is permitted by its sha256."""
    style_hash = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src 'self'; media-src 'self'; style-src 'sha256-{style_hash}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def prepare() -> None:
    """Compiles the templates, so that no request waits for it."""
    for name in environment().list_templates(["html"]):
        environment().get_template(name)


def render(template: str, **names: Any) -> bytes:
    """The page of a template and what it shows."""
    return environment().get_template(template).render(names).encode()
