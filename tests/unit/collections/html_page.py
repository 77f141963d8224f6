"""A page as a browser reads it: its elements and its text. Refuses elements that are not closed in their order."""

import re
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "link", "img", "br", "input"}
HEADING = re.compile(r"h[1-6]")


class HtmlPage(HTMLParser):
    """`elements` in their order, with their attributes; `shape`: the same without what the attributes say."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._places: list[tuple[str, ...]] = []
        self._open: list[str] = []
        self.feed(content.decode())
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        self._places.append(tuple(self._open))

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def within(self, tag: str) -> list[str]:
        """The texts in elements of this kind."""
        return [text for text, place in zip(self.texts, self._places, strict=True) if tag in place]

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(attributes)) for tag, attributes in self.elements]

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def values(self, attribute: str) -> list[str]:
        return [value for _, attributes in self.elements if (value := attributes.get(attribute)) is not None]

    @property
    def headings(self) -> list[int]:
        return [int(tag[1]) for tag, _ in self.elements if HEADING.fullmatch(tag)]
