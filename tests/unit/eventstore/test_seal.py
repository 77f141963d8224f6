"""The library's hooks, on the bytes that a store keeps."""

import pytest
from eventsourcing.cipher import AESCipher
from eventsourcing.compressor import ZlibCompressor
from eventsourcing.utils import Environment

from shared.eventstore import Seal

DATA = b"sheep " * 100


def cipher() -> AESCipher:
    return AESCipher(Environment(env={"CIPHER_KEY": AESCipher.create_key(16)}))


@pytest.mark.parametrize(
    "seal", [Seal(), Seal(ZlibCompressor()), Seal(cipher=cipher()), Seal(ZlibCompressor(), cipher())]
)
def test_what_is_closed_can_be_opened(seal: Seal) -> None:
    assert seal.open(seal.close(DATA)) == DATA


def test_compressed() -> None:
    """What is stored is smaller."""
    assert len(Seal(ZlibCompressor()).close(DATA)) < 100


def test_encrypted() -> None:
    """Nothing can be read without the key."""
    assert b"sheep" not in Seal(cipher=cipher()).close(DATA)


def test_compressed_before_it_is_encrypted() -> None:
    """The other way round nothing would be gained: encrypted bytes don't shrink."""
    assert len(Seal(ZlibCompressor(), cipher()).close(DATA)) < 150


def test_another_key() -> None:
    """Is refused, not read as something else."""
    with pytest.raises(ValueError, match="damaged"):
        Seal(cipher=cipher()).open(Seal(cipher=cipher()).close(DATA))


@pytest.mark.parametrize("seal", [Seal(ZlibCompressor()), Seal(cipher=cipher()), Seal(ZlibCompressor(), cipher())])
def test_damaged_bytes(seal: Seal) -> None:
    """One kind of error, whichever library finds the damage: readers treat the event as unreadable."""
    with pytest.raises(ValueError, match="sealed with another key, or damaged"):
        seal.open(b"?" + seal.close(DATA)[1:])
