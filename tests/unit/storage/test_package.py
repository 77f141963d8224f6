"""One attempt at a package: its parts are kept until it is stored, given up or stopped."""

from uuid import UUID

import pytest

from services.storage.domain.package import (
    NOTHING,
    EndPackage,
    NoteProgress,
    Outcome,
    Package,
    TakePart,
    decide,
    evolve,
    package_path,
)
from shared.content.package import contents_of
from shared.contracts.collections import PackagedDocument, PackagePartListed, PackageRequested
from shared.contracts.storage import PackageFailed, PackagePartTaken, PackageProgressed, PackageStopped, PackageStored
from tests.support.specification import Aggregate

ID, USER = UUID(int=1), UUID(int=2)
REQUEST = PackageRequested(ID, UUID(int=3), UUID(int=4), USER, "Tides", 1, 3, "")
STORED = PackageStored(ID, 1, "root", 7, 5000, "f" * 64, "e" * 64)
HALF = PackageProgressed(ID, 1, "writing", 1, 2, 50, 100)
PACKAGE = Aggregate(NOTHING, evolve, decide)


def part(number: int) -> PackagePartListed:
    return PackagePartListed(ID, 1, number, [], [PackagedDocument(f"metadata/base/{number}.json", "{}")])


def taken(number: int) -> PackagePartTaken:
    return PackagePartTaken(ID, 1, number, [], part(number).documents)


def test_a_part_is_kept_once():
    PACKAGE.given().when(TakePart(part(0))).then(taken(0))
    PACKAGE.given(taken(0)).when(TakePart(part(0))).then_nothing_happens()


def test_the_contents_are_those_of_all_parts_in_their_order():
    state = PACKAGE.given(*map(taken, (2, 0, 1))).state
    assert state.missing(REQUEST) == []
    paths = [document.path for document in contents_of(REQUEST, state.listed_parts()).documents]
    assert paths == [f"metadata/base/{number}.json" for number in range(3)]


def test_missing_parts_are_reported():
    assert PACKAGE.given(taken(1)).state.missing(REQUEST) == [0, 2]


OUTCOMES = [STORED, PackageFailed(ID, 1, "An artwork is lost"), PackageStopped(ID, 1)]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=["stored", "given up", "stopped"])
def test_an_attempt_ends_once_and_lets_go_of_its_parts(outcome: Outcome):
    ended = PACKAGE.given(taken(0), HALF).when(EndPackage(outcome)).then(outcome)
    assert ended.state == Package(outcome=outcome)
    ended.when(EndPackage(STORED)).then_nothing_happens()
    ended.when(TakePart(part(1))).then_nothing_happens()
    ended.when(NoteProgress(HALF)).then_nothing_happens()


def test_progress_is_recorded_once():
    noted = PACKAGE.given(taken(0)).when(NoteProgress(HALF)).then(HALF)
    assert noted.state.progress == HALF
    noted.when(NoteProgress(HALF)).then_nothing_happens()


def test_each_attempt_has_a_path_of_its_own():
    assert package_path(USER, ID, 2) == f"packages/{USER}/{ID}/2/package.car"
