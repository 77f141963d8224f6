"""Unsigned varints: seven bits a byte, the low ones first (https://github.com/multiformats/unsigned-varint)."""

MAX_BYTES = 9


class BadVarint(ValueError):  # noqa: N818 - named for what the data is not
    """Not a varint in its shortest form, of at most nine bytes; the message says why."""


def encode(number: int) -> bytes:
    """The bytes of a number from 0 to 2^63 - 1."""
    assert 0 <= number < 1 << 63, f"{number} is not an unsigned integer of 63 bits"
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def decode(data: bytes, offset: int = 0) -> tuple[int, int]:
    """The number at `offset`, and the offset after it. Raises BadVarint."""
    number = 0
    for index in range(MAX_BYTES):
        if offset + index >= len(data):
            raise BadVarint("a number is truncated")
        byte = data[offset + index]
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if byte == 0 and index:
                raise BadVarint("a number is not in its shortest form")
            return number, offset + index + 1
    raise BadVarint(f"a number has more than {MAX_BYTES} bytes")
