"""Compression and encryption of stored bytes, with the library's compressors and ciphers."""

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
def test_open_reverses_close(seal: Seal) -> None:
    assert seal.open(seal.close(DATA)) == DATA


def test_compression_makes_data_smaller() -> None:
    assert len(Seal(ZlibCompressor()).close(DATA)) < 100


def test_encrypted_data_is_not_readable() -> None:
    assert b"sheep" not in Seal(cipher=cipher()).close(DATA)


def test_data_is_compressed_before_it_is_encrypted() -> None:
    """Encrypted bytes can't be compressed."""
    assert len(Seal(ZlibCompressor(), cipher()).close(DATA)) < 150


def test_another_key_is_rejected() -> None:
    """Is refused, not read as something else."""
    with pytest.raises(ValueError, match="damaged"):
        Seal(cipher=cipher()).open(Seal(cipher=cipher()).close(DATA))


@pytest.mark.parametrize("seal", [Seal(ZlibCompressor()), Seal(cipher=cipher()), Seal(ZlibCompressor(), cipher())])
def test_damaged_bytes_raise_value_error(seal: Seal) -> None:
    """Whichever library detects the damage: readers treat the event as unreadable."""
    with pytest.raises(ValueError, match="sealed with another key, or damaged"):
        seal.open(b"?" + seal.close(DATA)[1:])
