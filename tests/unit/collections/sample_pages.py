"""Public pages of samples, as they are made from what they show."""

from datetime import UTC, datetime
from uuid import UUID

from services.collections.domain.artwork.tokens import Token
from services.collections.domain.chains.offer import Creator
from services.collections.pages import rendering, views
from services.collections.pages.addresses import Addresses
from services.collections.views.package import PinView, Provenance, PublishedPackageView
from shared.contracts.collections import ArtworkFile, Trait
from tests.unit.collections.html_page import HtmlPage

COLLECTION = UUID("3f1c2d4e-7b8a-5e6f-9a0b-1c2d3e4f5a6b")
HOST = "https://nft.example"
ROOT = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
AT = datetime(2026, 11, 3, 12, tzinfo=UTC)
PNG = ArtworkFile(71, "https://cdn.example/71.png", "generations/a/71.png", "image/png", "ab" * 32, 2048)
CALM = Trait("mood", "Calm")
OTHERS = {
    kind: ArtworkFile(72, f"https://cdn.example/72.{kind}", f"generations/a/72.{kind}", mime_type, "cd" * 32, 4096)
    for kind, mime_type in (("mp4", "video/mp4"), ("mp3", "audio/mpeg"), ("html", "text/html"))
}
PACKAGE = PublishedPackageView(
    root=ROOT,
    provenance=Provenance("ef" * 32, "sha256"),
    job_id=COLLECTION,
    chains=["BASE"],
    revision=2,
    size=4096,
    pins=[
        PinView(service=f"https://{name}.example/psa", status=status, reported_at=AT)
        for name, status in (("keeps", "pinned"), ("failed", "failed"))
    ],
)


def addresses(**changes) -> Addresses:
    fields = {"collection_id": COLLECTION, "public_url": HOST, "has_files": True, "roots": [ROOT]}
    return Addresses(**{**fields, **changes})


def facts(**changes) -> views.CollectionFacts:
    fields = {
        "title": "Tides",
        "description": "Seen from the pier",
        "creators": [Creator("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "Ada")],
        "chain": "Base",
        "price": "0.015 ETH",
        "license": "CC-BY-NC-4.0",
        "license_url": "https://creativecommons.org/licenses/by-nc/4.0/",
        "rights": "(c) Ada",
        "tags": ["sea", "ink"],
        "tokens": 3,
        "published_at": AT,
        "revision": 1,
        "job_id": COLLECTION,
        "packages": [PACKAGE],
        "addresses": addresses(),
    }
    return views.CollectionFacts(**{**fields, **changes})


def token(number=1, files=(PNG,), traits=(CALM,), **changes) -> Token:
    fields = {"gid": COLLECTION, "hash": "dawn", "cids": {}, "made_at": AT}
    return Token(number=number, files=list(files), traits=list(traits), **{**fields, **changes})


def of_collection(some_facts=None, tokens=None, number=1) -> HtmlPage:
    some_facts = some_facts or facts()
    listed = [token(1), token(2)] if tokens is None else tokens
    pages = views.pages_of(some_facts.tokens)
    cards = [views.card(one, some_facts.addresses) for one in listed]
    page = views.CollectionPage(
        facts=some_facts,
        cards=cards,
        preview=cards[0].picture if cards else None,
        number=number,
        pages=pages,
        others=views.pages_around(number, pages),
    )
    return HtmlPage(rendering.PAGES.render("collection.html", page=page))


def of_token(some_facts=None, a_token=None) -> HtmlPage:
    some_facts, a_token = some_facts or facts(), a_token or token(2)
    page = views.token_page(some_facts, a_token, f"{some_facts.title} #{a_token.number}")
    return HtmlPage(rendering.PAGES.render("token.html", page=page))


def of_problem() -> HtmlPage:
    return HtmlPage(rendering.PAGES.render("problem.html", title="No such page", sentence="It does not exist"))


NOTHING = {
    **dict.fromkeys(("price", "chain", "license", "license_url", "rights", "revision", "job_id")),
    "description": "",
    "creators": [],
    "packages": [],
    "tags": [],
}
PAGES = {
    "collection": of_collection,
    "token": of_token,
    "problem": of_problem,
    "empty": lambda: of_collection(facts(**NOTHING), []),
    "many": lambda: of_collection(facts(tokens=10_000, packages=[PACKAGE, PACKAGE]), number=100),
    "no picture": lambda: of_token(a_token=token(files=(), traits=())),
    "early": lambda: of_token(facts(revision=None, packages=[], addresses=addresses(has_files=False, roots=[]))),
    **{kind: lambda file=file: of_token(a_token=token(files=(PNG, file))) for kind, file in OTHERS.items()},
}
