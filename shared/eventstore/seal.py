"""How a store compresses and encrypts its data, with the `eventsourcing` library's compressors and ciphers."""

from dataclasses import dataclass

from eventsourcing.persistence import Cipher, Compressor


@dataclass(frozen=True)
class Seal:
    """Events and snapshots are compressed first, then encrypted; reading from the store gives them plain again.

    So the relay publishes plain JSON, which consumers read without the key. Types, metadata and read tables are not
    sealed.
    """

    compressor: Compressor | None = None
    cipher: Cipher | None = None

    def close(self, data: bytes) -> bytes:
        if self.compressor:
            data = self.compressor.compress(data)
        if self.cipher:
            data = self.cipher.encrypt(data)
        return data

    def open(self, data: bytes) -> bytes:
        """Raises ValueError for bytes that were sealed with another key, or damaged since."""
        if self.cipher:
            data = self.cipher.decrypt(data)
        if self.compressor:
            data = self.compressor.decompress(data)
        return data


PLAIN = Seal()
