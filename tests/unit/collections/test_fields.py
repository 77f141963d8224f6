"""The accepted values of the publishing fields."""

from decimal import Decimal

import pytest

from services.collections.domain.collection.fields import FieldChanges, Fields, decimal_text, with_changes
from shared.contracts.problem import Problem


def refused(**changes) -> list[str]:
    with pytest.raises(Problem) as problem:
        with_changes(Fields(), FieldChanges(**changes))
    assert problem.value.code == "VALIDATION_FAILED"
    return [detail.pointer for detail in problem.value.details]


def test_a_missing_field_is_unchanged():
    before = Fields(title="Birds", editions=10)
    assert with_changes(before, FieldChanges(description="Many")) == Fields(
        title="Birds", editions=10, description="Many"
    )


def test_null_resets_a_field_to_its_default():
    before = Fields(title="Birds", editions=10, batch_mint_enabled=True)
    after = with_changes(before, FieldChanges(title=None, editions=None, batch_mint_enabled=None))
    assert after == Fields()


@pytest.mark.parametrize(
    ("price", "canonical_form"),
    [
        ("0.05", "0.05"),
        ("0.0500", "0.05"),
        ("1E+3", "1000"),
        ("0", "0"),
        ("-0.0", "0"),
        ("1e-18", "0.000000000000000001"),
    ],
)
def test_prices_are_exact_and_in_canonical_form(price, canonical_form):
    assert with_changes(Fields(), FieldChanges(price=Decimal(price))).price == canonical_form


@pytest.mark.parametrize("price", ["-1", "NaN", "Infinity", "1e12", "0.0000000000000000001"])
def test_prices_out_of_bounds_are_refused(price):
    assert refused(price=Decimal(price)) == ["/price"]


def test_decimal_text_never_rounds():
    assert decimal_text(Decimal("123456789.123456789123456789")) == "123456789.123456789123456789"


@pytest.mark.parametrize("editions", [0, -1, 1_000_000_001])
def test_quantities_are_positive(editions):
    assert refused(editions=editions) == ["/editions"]
    assert refused(batch_max_tokens=editions) == ["/batch_max_tokens"]


def test_a_batch_is_not_larger_than_the_collection():
    assert refused(editions=5, batch_max_tokens=6) == ["/batch_max_tokens"]
    before = with_changes(Fields(), FieldChanges(editions=6, batch_max_tokens=6))
    with pytest.raises(Problem, match="more than the collection's 5 editions"):
        with_changes(before, FieldChanges(editions=5))


@pytest.mark.parametrize("url", ["https://example.com/a.png", "ipfs://bafkreiabc/1.png"])
def test_https_and_ipfs_urls_are_accepted(url):
    assert with_changes(Fields(), FieldChanges(cover_image_url=url)).cover_image_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.png",
        "javascript:alert(1)",
        "https://",
        "https:///a.png",
        "https://user:secret@example.com/",
        "https://[::1",
        "/a.png",
        "https://example.com/a b",
        "https://example.com/\n",
        "https://example.com/" + "a" * 2048,
        "",
    ],
)
def test_other_urls_are_refused(url):
    assert refused(cover_image_url=url) == ["/cover_image_url"]


def test_texts_are_bounded_and_printable():
    assert refused(title="x" * 201, description="a\0b") == ["/title", "/description"]


def test_images_are_any_json_that_can_be_stored():
    images = [{"url": "https://example.com/a.png", "alt": None}, "b"]
    assert with_changes(Fields(), FieldChanges(images=images)).images == images
    assert refused(images=[{"alt": "\0"}]) == ["/images/0/alt"]


def test_an_image_with_another_url_is_refused():
    assert refused(images=["b", {"url": "http://example.com/a.png"}]) == ["/images/1/url"]


PRESENTATION = {
    "symbol": "$TIDE",
    "tags": ["sea", "generative art"],
    "rights": "Print it at home, as often as you like.\nNot for sale.",
    "license": "CC-BY-NC-4.0",
    "license_url": "https://creativecommons.org/licenses/by-nc/4.0/",
    "minter": "KT1PWx2mnDueood7fEmfbBDKx1D9BAnnXitn",
    "banner_image_url": "ipfs://banner",
    "cover_token": 3,
}


def test_what_presents_a_collection_is_stored_as_it_was_sent():
    after = with_changes(Fields(), FieldChanges(**PRESENTATION))
    assert {name: getattr(after, name) for name in PRESENTATION} == PRESENTATION
    assert with_changes(after, FieldChanges(**dict.fromkeys(PRESENTATION))) == Fields(), "null resets each"


@pytest.mark.parametrize(
    ("name", "value", "pointer"),
    [
        ("symbol", "", "/symbol"),
        ("symbol", "MY TIDE", "/symbol"),
        ("symbol", "X" * 17, "/symbol"),
        ("symbol", "TI\0DE", "/symbol"),
        ("tags", ["sea", "  "], "/tags/1"),
        ("tags", ["sea", " tide"], "/tags/1"),
        ("tags", ["sea", "sea"], "/tags/1"),
        ("tags", ["x" * 51], "/tags/0"),
        ("tags", [str(number) for number in range(31)], "/tags"),
        ("rights", " ", "/rights"),
        ("rights", "x" * 2001, "/rights"),
        ("license", "x" * 201, "/license"),
        ("license_url", "http://example.com/license", "/license_url"),
        ("minter", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "/minter"),
        ("minter", "tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjc", "/minter"),
        ("banner_image_url", "banner.png", "/banner_image_url"),
        ("cover_token", 0, "/cover_token"),
    ],
)
def test_what_could_not_be_presented_is_refused(name, value, pointer):
    assert refused(**{name: value}) == [pointer]


def test_a_collection_has_one_cover():
    assert refused(cover_token=1, cover_image_url="ipfs://cover") == ["/cover_token"]
    before = with_changes(Fields(), FieldChanges(cover_image_url="ipfs://cover"))
    after = with_changes(before, FieldChanges(cover_token=1, cover_image_url=None))
    assert (after.cover_token, after.cover_image_url) == (1, None)


def test_the_url_of_a_license_is_refused_without_its_name():
    assert refused(license_url="https://example.com/license") == ["/license_url"]
