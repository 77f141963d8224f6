"""The public pages as they are made: for any text that a creator writes, for each kind of artwork, readable by all."""

import base64
import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collections.domain.artwork.trait_types import plain
from services.collections.domain.chains.offer import Creator
from services.collections.pages import rendering, texts, views
from shared.contracts.collections import Trait
from tests.support.examples import examples
from tests.unit.collections.sample_pages import (
    AT,
    CID,
    COLLECTION,
    HOST,
    PAGES,
    ROOT,
    addresses,
    facts,
    of_collection,
    of_token,
    token,
)


@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES.keys())
def test_each_page_can_be_read_aloud_and_by_keyboard(make):
    """One main heading and no level left out, a text for each picture, a name for each section and navigation."""
    page = make()
    assert page.all("html")[0]["lang"] == "en"
    assert page.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert all(image["alt"] for image in page.all("img"))
    assert all(player["aria-label"] and "controls" in player for player in page.all("video") + page.all("audio"))
    names = [navigation["aria-label"] for navigation in page.all("nav")]
    assert len(names) == len(set(names))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert set(page.values("aria-labelledby")) <= set(ids)
    assert "#main" in page.values("href")
    assert "main" in ids
    assert len(page.all("main")) == 1


@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES.keys())
def test_no_page_has_a_script_or_loads_anything_from_another_host(make):
    page = make()
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "iframe", "object", "embed", "form", "base"})
    attributes = {name for _, names in page.shape for name in names}
    assert not [name for name in attributes if name.startswith("on") or name in {"style", "srcset", "srcdoc"}]
    loaded = page.values("src") + page.values("poster")
    loaded += [link["href"] or "" for link in page.all("link") if link["rel"] == "icon"]
    assert all(re.match(r"/(?:c|collections|ipfs)/", address) for address in loaded), loaded


@pytest.mark.parametrize("make", PAGES.values(), ids=PAGES.keys())
def test_the_policy_permits_the_pages_own_style_and_nothing_else(make):
    content = re.search(rb"<style>(.*)</style>", _source(make), re.DOTALL)
    assert content is not None
    style = base64.b64encode(hashlib.sha256(content[1]).digest()).decode()
    directives = dict(part.strip().partition(" ")[::2] for part in rendering.PAGES.policy.split(";"))
    assert directives == {
        "default-src": "'none'",
        "img-src": "'self'",
        "media-src": "'self'",
        "style-src": f"'sha256-{style}'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def _source(make) -> bytes:
    """The content of a page as it is sent."""
    sources = []
    render = rendering.PAGES.render

    def keep(*template, **names):
        sources.append(render(*template, **names))
        return sources[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering.PAGES, "render", keep)
        make()
    return sources[0]


ODD = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-->]]></style></title><b>",
    "{{ 7 * 7 }}{% raw %}&amp;&#60;",
    "javascript:alert(1)",
    "\u202egnp.exe",
    "木" * 60,
]
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60).filter(str.strip)
TEXTS = st.sampled_from(ODD) | WORDS


@given(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)
@examples(60)
def test_no_text_changes_what_a_page_is_made_of(title, description, name, trait, value):
    """Titles, descriptions, names and traits are shown as they were written, and are never elements."""
    text = description.replace("://", ":")  # a link is an element of its own: see below
    changes = {"license": name, "rights": trait, "tags": [value, name]}
    some_facts = facts(title=title, description=text, creators=[Creator("tz1", name)], **changes)
    traits = [Trait(trait, value)]
    for make, ordinary in (
        (lambda a, b: of_collection(a, [b]), of_collection(tokens=[token()])),
        (of_token, of_token(a_token=token())),
    ):
        page = make(some_facts, token(traits=traits, hash=value))
        assert page.shape == ordinary.shape
        assert all(words in page.text for words in (title, text, name))
        assert f"Artwork 1: {trait} {value}" in page.values("alt")
    assert trait in page.text
    assert value in page.text


def test_links_of_a_text_are_https_or_ipfs_only():
    text = f"See https://a.example/tides?x=1&y=(2). Or (ipfs://{CID}), http://b.example, javascript:alert(1)//https:"
    page = of_collection(facts(description=text))
    links = [link for link in page.all("a") if (link.get("rel") or "").startswith("nofollow")]
    assert [link["href"] for link in links] == ["https://a.example/tides?x=1&y=(2", f"ipfs://{CID}"]
    assert all(link["rel"] == "nofollow ugc noopener noreferrer" for link in links)
    assert text in page.text
    assert not any(link["href"].startswith(("http:", "javascript:")) for link in page.all("a"))


@given(st.text(max_size=80) | st.from_regex(r"(?:(?:https?|ipfs|x)://[a-z@:/.)]{0,12}[ \n]?){1,4}", fullmatch=True))
def test_the_parts_of_a_text_are_the_text(text):
    parts = list(texts.parts(text))
    assert "".join(part.text for part in parts) == text
    assert all(part.link is None or re.match(r"(?:https|ipfs)://[^/]", part.link) for part in parts)


def test_an_artwork_that_is_no_image_can_be_played_or_opened():
    path = f"/collections/{COLLECTION}/tokens/1"
    video = PAGES["mp4"]()
    assert video.all("video")[0]["src"] == f"{path}/animation"
    assert video.all("video")[0]["poster"] == f"{path}/image"
    sound = PAGES["mp3"]()
    assert (sound.all("audio")[0]["src"], sound.all("img")[0]["src"]) == (f"{path}/animation", f"{path}/image")
    document = PAGES["html"]()
    assert f"{path}/animation" in [link["href"] for link in document.all("a")]
    assert document.all("img")[0]["src"] == f"{path}/image"
    for page in (video, sound, document):
        assert "sha256 of the artwork" in page.text
        assert "sha256 of the image" in page.text
        assert f"curl -s '{HOST}{path}/animation' | sha256sum" in page.text
    assert not PAGES["no picture"]().all("img")


def test_tokens_of_early_releases_are_shown_by_their_cids():
    """Their files are not at their numbers; and at their CIDs only if a package has been published."""
    early = addresses(has_files=False)
    page = of_token(facts(addresses=early), token(cids={71: CID}))
    assert page.all("img")[0]["src"] == f"/ipfs/{CID}"
    assert of_collection(facts(addresses=early), [token(cids={71: CID})]).all("img")[0]["src"] == f"/ipfs/{CID}"
    assert not of_token(facts(addresses=early), token()).all("img")
    unpackaged = facts(packages=[], addresses=addresses(has_files=False, roots=[]))
    assert not of_token(unpackaged, token(cids={71: CID})).all("img")


def test_links_keep_the_path_of_the_public_url():
    page = of_token(facts(addresses=addresses(public_url=f"{HOST}/art")))
    assert page.all("img")[0]["src"] == f"/art/collections/{COLLECTION}/tokens/2/image"
    assert page.all("link")[0]["href"] == f"{HOST}/art/c/{COLLECTION}/2"
    assert f"curl -s '{HOST}/art/collections/{COLLECTION}/tokens/2/image'" in page.text
    assert all(link["href"].startswith(("/art/", "#")) for link in page.all("a") if "rel" not in link)


def test_how_to_verify_names_the_package_and_the_collection():
    for page in (of_collection(), of_token()):
        assert f"curl -o package.car '{HOST}/ipfs/{ROOT}?format=car'" in page.text
        assert f"--root {ROOT} \\\n  --collection {HOST}/collections/{COLLECTION}" in page.text
        assert "ef" * 32 in page.text
        assert "https://keeps.example/psa" in page.texts
        assert "https://failed.example/psa" not in page.text
    assert "ab" * 32 in of_token().text


@pytest.mark.parametrize(
    ("number", "pages", "expected"),
    [
        (1, 1, [1]),
        (1, 2, [1, 2]),
        (3, 5, [1, 2, 3, 4, 5]),
        (4, 9, [1, 2, 3, 4, 5, None, 9]),
        (1, 209, [1, 2, None, 209]),
        (100, 209, [1, None, 99, 100, 101, None, 209]),
        (209, 209, [1, None, 208, 209]),
    ],
)
def test_from_each_page_its_neighbours_and_both_ends_can_be_reached(number, pages, expected):
    assert views.pages_around(number, pages) == expected


def test_the_list_is_in_pages_of_48():
    assert [views.pages_of(tokens) for tokens in (0, 1, 48, 49, 10_000)] == [1, 1, 1, 2, 209]
    page = of_collection(facts(tokens=97), number=2)
    pages = [link for link in page.all("a") if "?page=" in (link["href"] or "") or link.get("rel") in ("prev", "next")]
    assert [link["href"] for link in pages if link.get("rel") == "prev"] == [f"/c/{COLLECTION}"]
    assert [link["href"] for link in pages if link.get("rel") == "next"] == [f"/c/{COLLECTION}?page=3"]
    back = of_token(facts(tokens=97), token(49)).all("nav")
    assert back, "a token's page leads back"
    assert f"/c/{COLLECTION}?page=2" in of_token(facts(tokens=97), token(49)).values("href")


def test_numbers_times_and_prices_in_words():
    assert [plain(value) for value in ("1e-7", 1e-7, 20, 0.5, 1e21)] == [
        "1e-7",
        "0.0000001",
        "20",
        "0.5",
        "1000000000000000000000",
    ]
    assert texts.time(AT) == "3 November 2026, 12:00 UTC"
    assert [texts.size(count) for count in (0, 1023, 1024, 4_181_204, 5 * 1024**3)] == [
        "0 bytes",
        "1023 bytes",
        "1 KiB",
        "3.99 MiB",
        "5 GiB",
    ]
    assert views.price_of("0", "BASE") == "Free"
    assert views.price_of("12.5", "TEZOS") == "12.5 tez"
    assert views.price_of(None, None) is None
    assert texts.summary("a\n b " + "c" * 300) == "a b " + "c" * 195 + "…"


COLOUR = re.compile(r"--(\w+): #([0-9a-f]{3,6});")


def test_all_texts_stand_out_from_what_is_behind_them_in_light_and_in_dark():
    """WCAG 2.2, success criterion 1.4.3: a contrast of 4.5 at least."""
    light, _, dark = rendering.PAGES.style.partition("prefers-color-scheme: dark")
    for scheme in (light, dark):
        colours = dict(COLOUR.findall(scheme))
        for front in ("text", "quiet", "link"):
            for ground in ("ground", "raised", "sunk"):
                assert contrast(colours[front], colours[ground]) >= 4.5, (front, ground, colours)


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    digits = colour if len(colour) == 6 else "".join(digit * 2 for digit in colour)
    channels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
