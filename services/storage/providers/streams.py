"""Moves bytes between stores."""

from services.storage.providers.file_store import FileStore, Upload


async def copy_bytes(source: FileStore, path: str, size: int, upload: Upload) -> None:
    """Reads a file and writes it to an upload, piece by piece. Raises NoSuchFile, UNAVAILABLE."""
    try:
        if size:
            async for piece in await source.read(path, 0, size):
                await upload.write(piece)
        await upload.complete()
    finally:
        await upload.abort()
