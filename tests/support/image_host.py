"""A web server of a stranger, with images, on a loopback address."""

import io
from typing import Any

from PIL import Image

COLORS = ("red", "teal")


def png(color: str) -> bytes:
    """A small image."""
    content = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(content, "PNG")
    return content.getvalue()


class ImageHost:
    """An ASGI application: `/<color>.png` is an image of that color, everything else 404."""

    def __init__(self) -> None:
        self.images = {f"/{color}.png": png(color) for color in COLORS}
        self.requests: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for event in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{event}.complete"})
            return
        self.requests.append(scope["path"])
        body = self.images.get(scope["path"])
        await send({"type": "http.response.start", "status": 404 if body is None else 200, "headers": []})
        await send({"type": "http.response.body", "body": body or b""})
