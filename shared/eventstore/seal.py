"""Compresses and encrypts a store's data, with the compressors and ciphers of the `eventsourcing` library."""

from dataclasses import dataclass

from eventsourcing.persistence import Cipher, Compressor


@dataclass(frozen=True)
class Seal:
    """Compresses events and snapshots, then encrypts them; the store opens them when it reads.

    So the relay publishes plain JSON, which consumers read without the key. Types, metadata and read tables are not
    sealed (decision 14).
    """

    compressor: Compressor | None = None
    cipher: Cipher | None = None

    def close(self, data: bytes) -> bytes:
        """Compresses and encrypts."""
        if self.compressor:
            data = self.compressor.compress(data)
        if self.cipher:
            data = self.cipher.encrypt(data)
        return data

    def open(self, data: bytes) -> bytes:
        """Reverses `close`. Raises ValueError for bytes that another key has sealed, or that are damaged."""
        try:
            if self.cipher:
                data = self.cipher.decrypt(data)
            if self.compressor:
                data = self.compressor.decompress(data)
        except Exception as error:  # each library has its own: zlib's is no ValueError
            raise ValueError(f"sealed with another key, or damaged: {error!r}") from error
        return data


PLAIN = Seal()
