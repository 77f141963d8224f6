"""HTML pages made of a package's templates: Jinja with autoescape, and a policy that permits no scripts.

Litestar's `Template` renders a response when it is sent, which is too late for an ETag of the content; so templates are
rendered here.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

STYLE = "style.css"


class Pages:
    """The templates in a folder of a package; they get its style sheet as `style`.

    Everything that they show is escaped, and a name that they do not get is an error. `sources`: directives of the
    policy beside those for the style, such as `img-src 'self'`.
    """

    def __init__(
        self, package: str, folder: str, filters: Mapping[str, Callable[..., Any]], sources: tuple[str, ...] = ()
    ) -> None:
        self._loader = PackageLoader(package, folder)
        self._filters, self._sources = filters, sources

    @cached_property
    def style(self) -> str:
        """The style sheet, which is a part of each page."""
        source, _, _ = self._loader.get_source(Environment(autoescape=True), STYLE)
        return source

    @cached_property
    def policy(self) -> str:
        """The value of Content-Security-Policy of all pages. Their style is permitted by its sha256."""
        style_hash = base64.b64encode(hashlib.sha256(self.style.encode()).digest()).decode()
        directives = ("default-src 'none'", *self._sources, f"style-src 'sha256-{style_hash}'")
        return "; ".join([*directives, "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"])

    @cached_property
    def _templates(self) -> Environment:
        templates = Environment(
            loader=self._loader,
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        templates.filters.update(self._filters)
        templates.globals["style"] = self.style
        return templates

    def prepare(self) -> None:
        """Compiles the templates, so that no request waits for it."""
        for name in self._templates.list_templates(["html"]):
            self._templates.get_template(name)

    def render(self, template: str, **names: Any) -> bytes:
        """The page of a template and what it shows."""
        return self._templates.get_template(template).render(names).encode()
