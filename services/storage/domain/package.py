"""One attempt to build a publish package: its parts arrive, then it is stored, or has failed, or was stopped."""

from typing import assert_never
from uuid import UUID, uuid5

import msgspec

from shared.contracts.collections import PackagePartListed, PackageRequested
from shared.contracts.event import Event
from shared.contracts.storage import (
    BuildPhase,
    PackageFailed,
    PackagePartTaken,
    PackageProgressed,
    PackageStopped,
    PackageStored,
)
from shared.persistent import Map


def package_stream(package_id: UUID, attempt: int) -> UUID:
    """The stream of one attempt; each has its own, so parts of an earlier attempt never count."""
    return uuid5(package_id, str(attempt))


Outcome = PackageStored | PackageFailed | PackageStopped

# State


class Package(msgspec.Struct, frozen=True):
    """`parts`, by number, and `progress` are dropped when the attempt has ended."""

    parts: Map[int, PackagePartTaken] = Map()
    progress: PackageProgressed | None = None
    outcome: Outcome | None = None

    def listed_parts(self) -> list[PackagePartTaken]:
        """The parts that have arrived, by their numbers."""
        return [self.parts[number] for number in sorted(self.parts)]

    def missing(self, request: PackageRequested) -> list[int]:
        """The numbers of the parts that have not arrived, from 0."""
        return sorted(set(range(request.parts)).difference(self.parts))


NOTHING = Package()

# Events


def evolve(state: Package, event: Event) -> Package:
    match event:
        case PackagePartTaken():
            return msgspec.structs.replace(state, parts=state.parts.set(event.number, event))
        case PackageProgressed():
            return msgspec.structs.replace(state, progress=event)
        case PackageStored() | PackageFailed() | PackageStopped():
            return Package(outcome=event)
        case _:
            raise AssertionError(f"{event!r} is not an event of a package")


class Count(msgspec.Struct, frozen=True):
    """How far a phase has come: `files` of `of`, and `bytes` of `size`."""

    phase: BuildPhase
    files: int
    of: int
    bytes: int
    size: int


# Commands


class TakePart(msgspec.Struct, frozen=True):
    listed: PackagePartListed


class EndPackage(msgspec.Struct, frozen=True):
    """Record that the package is stored, why it failed, or that it was stopped."""

    outcome: Outcome


class NoteProgress(msgspec.Struct, frozen=True):
    progress: PackageProgressed


Command = TakePart | NoteProgress | EndPackage

# Decisions


def decide(command: Command, state: Package) -> list[Event]:
    """Idempotent: no events once the attempt has ended, nor for a part that was taken before."""
    if state.outcome is not None:
        return []
    match command:
        case TakePart(listed):
            if listed.number in state.parts:
                return []
            return [PackagePartTaken(**{name: getattr(listed, name) for name in listed.__struct_fields__})]
        case NoteProgress(progress):
            return [] if progress == state.progress else [progress]
        case EndPackage(outcome):
            return [outcome]
        case _:
            assert_never(command)


def package_path(user_id: UUID, package_id: UUID, attempt: int) -> str:
    """The path of the CAR file: one folder per attempt, since a stored file never changes."""
    return f"packages/{user_id}/{package_id}/{attempt}/package.car"
