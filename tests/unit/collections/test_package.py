"""Requests of packages: their parts, further attempts, and outcomes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.collections.domain.artwork.tokens import Token
from services.collections.domain.chains import CHAINS, Chain
from services.collections.domain.chains.offer import Offer
from services.collections.domain.package import contents
from services.collections.domain.package.commands import (
    CancelPackage,
    RecordOutcome,
    RequestPackage,
    decide,
    package_request,
)
from services.collections.domain.package.contents import StoredFile
from services.collections.domain.package.state import NOTHING, Package, evolve, package_id
from shared.content.package import Contents, plan, size_of_files
from shared.contracts.collections import (
    ArtworkFile,
    PackageCancelled,
    PackageCancelRequested,
    PackageDelivered,
    PackageGivenUp,
    PackagePartListed,
    PackageRequested,
    Trait,
)
from shared.contracts.problem import Problem
from shared.contracts.storage import PackageFailed, PackageStopped, PackageStored

COLLECTION, JOB, USER = UUID(int=1), UUID(int=2), UUID(int=3)
ID = package_id(COLLECTION, JOB)
MESSAGE_LIMIT = 1024 * 1024
STORED = PackageStored(ID, 1, "root", 7, 5000, "f" * 64, "e" * 64)
FAILED = PackageFailed(ID, 1, "An artwork is lost")


def file(asset_id: int, mime_type: str = "image/png") -> ArtworkFile:
    return ArtworkFile(asset_id, f"https://x.test/{asset_id}", f"generations/{asset_id}", mime_type, "a" * 64, 10)


def token(number: int, *files: ArtworkFile) -> Token:
    return Token(
        number=number,
        gid=UUID(int=number),
        hash=f"{number:064x}",
        traits=[Trait("mood", "calm"), Trait("size", number)],
        files=list(files) or [file(number)],
        cids={number: f"cid-{number}"},
        made_at=datetime(2026, 11, 22, tzinfo=UTC),
    )


def known(*files: ArtworkFile) -> dict[int, StoredFile]:
    return {
        item.asset_id: StoredFile(
            item.asset_id, f"at/{item.asset_id}", item.mime_type, 10, "b" * 64, f"cid-{item.asset_id}"
        )
        for item in files
    }


def request(
    tokens: list[Token], title: str = "Tides", chains: Sequence[Chain] = CHAINS, *, published: bool = False
) -> RequestPackage:
    stored = known(*(item for token in tokens for item in token.files))
    offer = Offer(title=title, description="Many of them")
    return package_request(
        COLLECTION,
        JOB,
        USER,
        title,
        contents.artworks(tokens, stored),
        contents.displays(tokens, stored),
        contents.documents(offer, tokens, stored, chains),
        chains=chains,
        published=published,
    )


def after(*commands: Any) -> Package:
    def then(state: Package, command: Any) -> Package:
        return reduce(evolve, decide(command, state), state)

    return reduce(then, commands, NOTHING)


def test_a_request_is_its_parts_and_then_the_request():
    *parts, requested = decide(request([token(1), token(2)]), NOTHING)
    assert [type(part) for part in parts] == [PackagePartListed]
    assert (requested.package_id, requested.attempt, requested.parts) == (ID, 1, 1)
    assert [artwork.path for artwork in parts[0].artworks] == ["artworks/1.png", "artworks/2.png"]
    assert len(parts[0].documents) == 3 * (1 + 2)


def test_parts_for_ten_thousand_tokens_fit_into_messages():
    command = request([token(number) for number in range(1, 10_001)])
    *parts, requested = decide(command, NOTHING)
    assert [part.number for part in parts] == list(range(requested.parts))
    assert max(len(msgspec.json.encode(part)) for part in parts) < MESSAGE_LIMIT * 0.9
    assert [part.artworks for part in parts] == [part.artworks for part in command.parts]
    assert [part.documents for part in parts] == [part.documents for part in command.parts]
    assert [artwork.token for part in parts for artwork in part.artworks] == list(range(1, 10_001))
    assert sum(len(part.documents) for part in parts) == 3 * (1 + 10_000)


@pytest.mark.parametrize("before", [(), (RecordOutcome(STORED),)], ids=["while it is made", "when it is stored"])
def test_a_request_is_idempotent(before: tuple[Any, ...]):
    command = request([token(1)])
    assert decide(command, after(command, *before)) == []


@pytest.mark.parametrize(
    ("before", "again"),
    [((RecordOutcome(FAILED),), request([token(1)])), ((RecordOutcome(STORED),), request([token(1)], "Ebb"))],
    ids=["after a failure", "when the collection says something else"],
)
def test_changed_contents_or_a_failure_allow_another_attempt(before: tuple[Any, ...], again: RequestPackage):
    *_, requested = decide(again, after(request([token(1)]), *before))
    assert (requested.package_id, requested.attempt) == (ID, 2)


def test_a_package_has_the_chains_that_are_named_or_else_the_collections_own():
    assert contents.chains_of(None, "TEZOS") == ["TEZOS"]
    assert contents.chains_of(["TEZOS", "BASE", "BASE"], "ETHEREUM") == ["BASE", "TEZOS"]
    assert contents.chains_of(None, None) == list(CHAINS), "of a draft without a blockchain"
    *parts, requested = decide(request([token(1)], chains=["BASE"]), NOTHING)
    assert requested.chains == ["BASE"]
    assert [document.path for document in parts[0].documents] == [
        "metadata/base/collection.json",
        "metadata/base/1.json",
    ]


def test_other_chains_make_another_attempt():
    state = after(request([token(1)]), RecordOutcome(STORED))
    *_, requested = decide(request([token(1)], chains=["TEZOS"]), state)
    assert (requested.attempt, requested.chains) == (2, ["TEZOS"])


def test_a_tokens_document_has_the_names_that_contracts_and_marketplaces_use():
    """`baseURI` and the number, with and without `.json`; on EVM chains also ERC-1155's digits."""
    [part] = request([token(12)], chains=["BASE", "TEZOS"]).parts
    names = {document.path: document.names for document in part.documents}
    digits = "0" * 63 + "c"
    assert names["metadata/base/12.json"] == [f"metadata/base/{name}" for name in ("12", digits, f"{digits}.json")]
    assert names["metadata/tezos/12.json"] == ["metadata/tezos/12"]
    assert names["metadata/base/collection.json"] == []
    planned = plan(Contents(COLLECTION, JOB, "Tides", [], [], part.documents))
    assert planned.texts["metadata/base/12"] == planned.texts["metadata/base/12.json"]
    assert f"metadata/base/{digits}" in planned.texts


def test_the_root_of_a_draft_is_not_published_and_its_package_is_made_again_afterwards():
    draft = after(request([token(1)]), RecordOutcome(STORED))
    assert draft.published == ()
    *_, requested = decide(request([token(1)], published=True), draft)
    assert (requested.attempt, requested.published) == (2, True)
    again = msgspec.structs.replace(STORED, attempt=2)
    state = after(request([token(1)]), RecordOutcome(STORED), request([token(1)], published=True), RecordOutcome(again))
    assert [package.root for package in state.published] == ["root"]
    assert decide(request([token(1)], published=True), state) == []


def test_a_package_keeps_the_revision_that_it_was_requested_at():
    """A later one with equal documents, such as after another price, needs no other package."""
    first = msgspec.structs.replace(request([token(1)], published=True), revision=2)
    state = after(first, RecordOutcome(STORED))
    assert state.request is not None
    assert (state.request.revision, [package.revision for package in state.published]) == (2, [2])
    assert decide(msgspec.structs.replace(first, revision=3), state) == []


def test_published_roots_stay_listed_whatever_is_requested_later():
    first, second = request([token(1)], published=True), request([token(1)], "Ebb", published=True)
    other = msgspec.structs.replace(STORED, attempt=2, root="other", provenance="d" * 64)
    failed = PackageFailed(ID, 3, "An artwork is lost")
    third = request([token(1)], "Flood", published=True)
    state = after(first, RecordOutcome(STORED), second, RecordOutcome(other), third, RecordOutcome(failed))
    assert [(package.root, package.provenance) for package in state.published] == [
        ("root", "e" * 64),
        ("other", "d" * 64),
    ]
    back = msgspec.structs.replace(STORED, attempt=4)
    state = reduce(evolve, decide(first, state), state)
    state = reduce(evolve, decide(RecordOutcome(back), state), state)
    assert [package.root for package in state.published] == ["other", "root"], "each once, the newest last"


def test_packages_of_early_releases_are_listed():
    """They did not record whether the collection was published, nor the chains: all three."""
    early = PackageRequested(ID, COLLECTION, JOB, USER, "Tides", 1, 1, request([token(1)]).digest)
    state = reduce(evolve, [early, *decide(RecordOutcome(STORED), evolve(NOTHING, early))], NOTHING)
    assert [(package.root, package.chains) for package in state.published] == [("root", None)]
    assert decide(request([token(1)], published=True), state) == []


def test_documents_have_the_cids_of_the_artworks():
    """Also if the tokens were read before storage reported the files, and the files after that."""
    early = msgspec.structs.replace(token(1), cids={})
    [part] = request([early]).parts
    assert part.artworks[0].cid == "cid-1"
    documents = [msgspec.json.decode(document.text) for document in part.documents if document.path.endswith("/1.json")]
    assert len(documents) == 3
    assert all(f"ipfs://{part.artworks[0].cid}" in str(item) for item in documents)
    assert request([early]).digest == request([token(1)]).digest


def test_the_outcome_of_an_attempt_is_recorded_once():
    requested = after(request([token(1)]))
    assert decide(RecordOutcome(STORED), requested) == [PackageDelivered(ID, 1, "root", 7, 5000, "f" * 64, "e" * 64)]
    assert decide(RecordOutcome(FAILED), requested) == [PackageGivenUp(ID, 1, "An artwork is lost")]
    assert decide(RecordOutcome(STORED), after(request([token(1)]), RecordOutcome(STORED))) == []
    assert decide(RecordOutcome(msgspec.structs.replace(STORED, attempt=2)), requested) == []
    assert decide(RecordOutcome(STORED), NOTHING) == []


def test_a_package_is_cancelled_when_storage_has_stopped_it():
    cancelling = after(request([token(1)]), CancelPackage())
    assert decide(CancelPackage(), after(request([token(1)]))) == [PackageCancelRequested(ID, 1)]
    assert (cancelling.status, decide(CancelPackage(), cancelling)) == ("cancelling", [])
    assert decide(RecordOutcome(PackageStopped(ID, 1)), cancelling) == [PackageCancelled(ID, 1)]
    cancelled = after(request([token(1)]), CancelPackage(), RecordOutcome(PackageStopped(ID, 1)))
    assert (cancelled.status, decide(CancelPackage(), cancelled)) == ("cancelled", [])
    assert decide(RecordOutcome(STORED), cancelled) == [], "it comes again"


@pytest.mark.parametrize(("outcome", "status"), [(STORED, "stored"), (FAILED, "failed")])
def test_a_cancellation_may_come_too_late(outcome: PackageStored | PackageFailed, status: str):
    ended = after(request([token(1)]), CancelPackage(), RecordOutcome(outcome))
    assert ended.status == status
    with pytest.raises(Problem) as refused:
        decide(CancelPackage(), ended)
    assert refused.value.code == "CONFLICT"


@pytest.mark.parametrize("more", [(), (RecordOutcome(PackageStopped(ID, 1)),)], ids=["cancelling", "cancelled"])
def test_a_cancelled_package_can_be_requested_again(more: tuple[Any, ...]):
    state = after(request([token(1)]), CancelPackage(), *more)
    *_, requested = decide(request([token(1)]), state)
    assert requested.attempt == 2
    assert decide(RecordOutcome(PackageStopped(ID, 1)), evolve(state, requested)) == []


def test_a_failure_keeps_its_code():
    failed = PackageFailed(ID, 1, "It is too large", "PACKAGE_TOO_LARGE")
    assert after(request([token(1)]), RecordOutcome(failed)).code == "PACKAGE_TOO_LARGE"


def test_equal_artworks_count_once_in_the_size_of_a_package():
    twice = request([token(1), msgspec.structs.replace(token(2), files=[file(1)], cids={1: "cid-1"})])
    once = request([token(1)])
    documents = [
        sum(len(item.text.encode()) for part in command.parts for item in part.documents) for command in (twice, once)
    ]
    assert size_of_files(twice.parts) - documents[0] == size_of_files(once.parts) - documents[1] == 10


def test_a_package_has_the_image_of_an_artwork_that_is_a_video():
    [command] = request([token(1, file(5), file(1, "video/mp4")), token(2)]).parts
    assert [artwork.path for artwork in command.artworks] == ["artworks/1.mp4", "artworks/2.png"]
    assert [(display.path, display.asset_id) for display in command.displays] == [("displays/1.png", 5)]


def test_files_are_described_by_storage_not_by_the_worker():
    (artwork,) = request([token(1)]).parts[0].artworks
    assert (artwork.source, artwork.sha256, artwork.cid) == ("at/1", "b" * 64, "cid-1")


@pytest.mark.parametrize(
    ("tokens", "stored", "code"),
    [
        ([msgspec.structs.replace(token(1), files=[])], {}, "CONFLICT"),
        ([token(1)], {}, "UNAVAILABLE"),
        ([token(1)], {1: msgspec.structs.replace(known(file(1))[1], cid=None)}, "CONFLICT"),
    ],
    ids=["no artwork", "not heard of yet", "from before CIDs"],
)
def test_a_token_without_a_stored_artwork_is_refused(tokens: list[Token], stored: dict[int, Any], code: str):
    with pytest.raises(Problem) as refused:
        contents.artworks(tokens, stored)
    assert refused.value.code == code
