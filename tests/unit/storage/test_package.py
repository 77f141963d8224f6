"""One attempt at a package: its parts are kept until it is stored or given up."""

from functools import reduce
from typing import Any
from uuid import UUID

import pytest

from services.storage.domain.package import NOTHING, EndPackage, Package, TakePart, decide, evolve, package_path
from shared.contracts.collections import PackagedDocument, PackagePartListed, PackageRequested
from shared.contracts.storage import PackageFailed, PackagePartTaken, PackageStored

ID, USER = UUID(int=1), UUID(int=2)
REQUEST = PackageRequested(ID, UUID(int=3), UUID(int=4), USER, "Tides", 1, 3, "")
STORED = PackageStored(ID, 1, "root", 7, 5000, "f" * 64, "e" * 64)


def part(number: int) -> PackagePartListed:
    return PackagePartListed(ID, 1, number, [], [PackagedDocument(f"metadata/base/{number}.json", "{}")])


def after(*commands: Any) -> Package:
    return reduce(lambda state, command: reduce(evolve, decide(command, state), state), commands, NOTHING)


def test_a_part_is_kept_once():
    (taken,) = decide(TakePart(part(0)), NOTHING)
    assert isinstance(taken, PackagePartTaken)
    assert (taken.number, taken.documents) == (0, part(0).documents)
    assert decide(TakePart(part(0)), after(TakePart(part(0)))) == []


def test_the_contents_are_those_of_all_parts_in_their_order():
    state = after(*(TakePart(part(number)) for number in (2, 0, 1)))
    assert state.missing(REQUEST) == []
    paths = [document.path for document in state.contents(REQUEST).documents]
    assert paths == [f"metadata/base/{number}.json" for number in range(3)]


def test_parts_that_have_not_come_are_told():
    assert after(TakePart(part(1))).missing(REQUEST) == [0, 2]


@pytest.mark.parametrize("outcome", [STORED, PackageFailed(ID, 1, "An artwork is lost")], ids=["stored", "given up"])
def test_an_attempt_ends_once_and_lets_go_of_its_parts(outcome: PackageStored | PackageFailed):
    state = after(TakePart(part(0)), EndPackage(outcome))
    assert state == Package(outcome=outcome)
    assert decide(EndPackage(STORED), state) == []
    assert decide(TakePart(part(1)), state) == []


def test_each_attempt_has_a_path_of_its_own():
    assert package_path(USER, ID, 2) == f"packages/{USER}/{ID}/2/package.car"
