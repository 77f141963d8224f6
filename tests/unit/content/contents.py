"""The content of test files, by the formula that the vectors were made with."""

from collections.abc import Iterator

MIB = 1024 * 1024


def chunk(number: int, seed: int, length: int) -> bytes:
    """Byte i of a file is (7 i + 13 floor(i / 2^20) + seed) mod 256; this is its chunk of 1 MiB with that number."""
    period = bytes((7 * place + 13 * number + seed) % 256 for place in range(256))
    return (period * (length // 256 + 1))[:length]


def pieces(size: int, seed: int) -> Iterator[bytes]:
    """A file's content in chunks of 1 MiB."""
    for number in range((size + MIB - 1) // MIB):
        yield chunk(number, seed, min(MIB, size - number * MIB))


def content(size: int, seed: int) -> bytes:
    return b"".join(pieces(size, seed))
