"""Addresses of the chains: EVM with its checksum (EIP-55), Tezos in base58check.

Sources: EIP-55 (mixed-case checksum address encoding); Tezos' base58check prefixes (`src/lib_crypto/base58.ml`).
"""

import hashlib
import re

from Crypto.Hash import keccak

_EVM = re.compile(r"0[xX][0-9a-fA-F]{40}")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_TEZOS = {
    "tz1": bytes([6, 161, 159]),
    "tz2": bytes([6, 161, 161]),
    "tz3": bytes([6, 161, 164]),
    "tz4": bytes([6, 161, 166]),
    "KT1": bytes([2, 90, 121]),
}
_HASH_BYTES = 20
_CHECKSUM_BYTES = 4
MAX_LENGTH = 64
EVM_CHAINS = ("ETHEREUM", "BASE")


def checked_address(address: str, blockchain: str | None = None) -> str:
    """The address in canonical form. Raises ValueError, with the reason, if it is not an address of `blockchain`.

    Without a blockchain, an address of any chain is accepted. An EVM address in one case only has no checksum; it is
    returned with one.
    """
    if len(address) > MAX_LENGTH:
        raise ValueError(f"an address has at most {MAX_LENGTH} characters")
    if blockchain != "TEZOS" and _EVM.fullmatch(address):
        return _evm(address)
    if blockchain in EVM_CHAINS:
        raise ValueError("an EVM address is 0x and 40 hexadecimal digits")
    if address[:3] in _TEZOS:
        return _tezos(address)
    if blockchain == "TEZOS":
        raise ValueError(f"a Tezos address begins with {', '.join(_TEZOS)}")
    raise ValueError("this is neither an EVM address (0x…) nor a Tezos address (tz1…, KT1…)")


def is_address(address: str, blockchain: str) -> bool:
    """Whether it is an address on this chain."""
    try:
        checked_address(address, blockchain)
    except ValueError:
        return False
    return True


def _evm(address: str) -> str:
    digits = address[2:]
    canonical = _checksummed(digits.lower())
    if digits not in (digits.lower(), digits.upper()) and f"0x{digits}" != canonical:
        raise ValueError(f"the checksum is wrong: a letter is mistyped, or the address is {canonical}")
    if not int(digits, 16):
        raise ValueError("the zero address is not accepted: what is sent to it is lost")
    return canonical


def _checksummed(digits: str) -> str:
    """EIP-55: a letter is a capital if the digit at its index in the hash is 8 or more."""
    hash_digits = keccak.new(digest_bits=256, data=digits.encode()).hexdigest()
    return "0x" + "".join(
        digit.upper() if int(hash_digit, 16) >= 8 else digit
        for digit, hash_digit in zip(digits, hash_digits, strict=False)
    )


def _tezos(address: str) -> str:
    """Decoded here: the library `base58` has had no release since 2021, and accepts spaces after an address."""
    prefix = _TEZOS[address[:3]]
    number = 0
    for character in address:
        digit = _BASE58.find(character)
        if digit < 0:
            raise ValueError(f"{character!r} is not in a Tezos address")
        number = number * 58 + digit
    length = len(prefix) + _HASH_BYTES + _CHECKSUM_BYTES
    if number >= 1 << (8 * length):
        raise ValueError("the address is too long")
    raw = number.to_bytes(length, "big")
    payload, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    if not payload.startswith(prefix):
        raise ValueError("the address is too short, or too long")
    if hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:_CHECKSUM_BYTES] != checksum:
        raise ValueError("the checksum is wrong: a character is mistyped")
    return address
