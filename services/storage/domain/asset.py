"""A stored file and the data of the generation that made it. The bytes at its path never change."""

from typing import Any, assert_never
from uuid import UUID, uuid5

import msgspec

from shared.contracts.event import Event
from shared.contracts.problem import Problem
from shared.contracts.storage import AssetDescribed, AssetStored, ImageScaled

NAMESPACE = UUID("97ac7f65-ee67-529d-95cf-055a084b8f10")


def asset_stream(path: str) -> UUID:
    """The stream of the asset at a path: one path, one asset."""
    return uuid5(NAMESPACE, path)


# State


class Asset(msgspec.Struct, frozen=True):
    """`gen_out_data` is None until the generation that made the file has ended."""

    stored: AssetStored
    gen_in_data: dict[str, Any] | None = None
    gen_out_data: dict[str, Any] | None = None
    scaled: ImageScaled | None = None
    """What smaller copies there are, once that is decided."""


# Events


def evolve(asset: Asset | None, event: Event) -> Asset | None:
    match event:
        case AssetStored():
            return Asset(event)
        case AssetDescribed():
            assert asset is not None, "an asset is described after it was stored"
            return Asset(asset.stored, event.gen_in_data, event.gen_out_data, asset.scaled)
        case ImageScaled():
            assert asset is not None, "an image is scaled after it was stored"
            return msgspec.structs.replace(asset, scaled=event)
        case _:
            raise AssertionError(f"{event!r} is not an event of an asset")


# Commands


class StoreAsset(msgspec.Struct, frozen=True):
    """Record a file whose bytes were checked. Its `asset_id` is used only if the path has no asset yet."""

    stored: AssetStored


class DescribeAsset(msgspec.Struct, frozen=True):
    """Record the input and output data of the generation that made an asset."""

    asset_id: int
    user_id: UUID
    job_id: UUID
    gid: UUID
    gen_in_data: dict[str, Any]
    gen_out_data: dict[str, Any]


class ScaleImage(msgspec.Struct, frozen=True):
    """Record the smaller copies of an image, which are stored."""

    scaled: ImageScaled


Command = StoreAsset | DescribeAsset | ScaleImage

# Decisions


def decide(command: Command, asset: Asset | None) -> list[Event]:
    """Idempotent: no events if the state already matches, nor for a file that another generation made.

    Raises CONFLICT for other bytes at a path that has an asset.
    """
    match command:
        case StoreAsset(stored):
            if asset is None:
                return [stored]
            refuse_other_bytes(asset, stored.sha256)
            return []
        case DescribeAsset():
            if asset is None or not _made_by(command, asset.stored):
                return []
            described = AssetDescribed(command.asset_id, command.gen_in_data, command.gen_out_data)
            return [] if evolve(asset, described) == asset else [described]
        case ScaleImage(scaled):
            return [] if asset is None or asset.scaled is not None else [scaled]
        case _:
            assert_never(command)


def refuse_other_bytes(asset: Asset, sha256: str) -> None:
    """Raises CONFLICT if the asset at this path has another sha256."""
    if asset.stored.sha256 != sha256:
        raise Problem(
            "CONFLICT", f"There is another file at {asset.stored.path}, and stored files never change: use another name"
        )


def _made_by(command: DescribeAsset, stored: AssetStored) -> bool:
    """Workers report the ids of their outputs, so they are compared with the asset's own job and generation."""
    claimed = (command.asset_id, command.user_id, command.job_id, command.gid)
    return claimed == (stored.asset_id, stored.user_id, stored.job_id, stored.gid)
