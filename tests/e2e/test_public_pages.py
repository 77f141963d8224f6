"""The public pages through the edge: in a real browser, of any size and scheme, and what they say one can run."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from tests.e2e.test_package import request_package
from tests.support.browser import running_browser
from tests.support.jobs import two_steps, until_ended
from tests.support.patience import PATIENCE
from tests.support.running_set import RunningSet
from tests.unit.collections.html_page import HtmlPage

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
CREATOR = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
TITLE = "Tides & <b>ebbs</b> of a Donaudampfschifffahrtsgesellschaftskapitänsmütze"
DESCRIPTION = "The sea at every state of the tide.\n\nMore at https://tides.example/about, and 木" + "x" * 200
MEASURE = """() => {
  const images = [...document.images], width = document.documentElement;
  return {
    broken: images.filter(image => !(image.complete && image.naturalWidth)).map(image => image.src),
    images: images.length,
    wider: width.scrollWidth - width.clientWidth,
    ground: getComputedStyle(document.body).backgroundColor,
    smallest: Math.min(...[...document.querySelectorAll('p, dd, dt, a, code')]
      .map(element => parseFloat(getComputedStyle(element).fontSize))),
  };
}"""


class Sold(NamedTuple):
    """A published collection of three artworks, with a package."""

    path: str
    root: str
    collection: dict[str, Any]


@pytest_asyncio.fixture
async def sold(running: RunningSet) -> Sold:
    async with running.client(await running.rich_user()) as client:
        fields = {"blockchain": "BASE", "price": "0.05", "editions": 3, "description": DESCRIPTION}
        collection = await client.post("/projects/collections", {"title": TITLE, "data": two_steps(512), **fields})
        api = f"/collections/{collection['id']}"
        receivers = [{"address": CREATOR, "value": 5, "purpose": "royalty", "role": "creator", "name": "Ada"}]
        await client.post(f"/projects/{collection['project_id']}{api}/receivers", {"receivers": receivers})
        accepted = await client.post(f"{api}/generations", {"generations": 3})
        job = await until_ended(client, accepted["job_id"])
        await client.post(f"{api}/publish", {"job_id": job["id"]})
        package = await request_package(client, collection["id"], job["id"])
    return Sold(f"/c/{collection['id']}", package["root"], collection)


@pytest_asyncio.fixture
async def browser() -> AsyncIterator["Browser"]:
    async with running_browser() as started:
        yield started


class Visit:
    """A page in a browser, with all that goes wrong in it."""

    def __init__(self, page: "Page") -> None:
        self.page = page
        self.faults: list[str] = []
        self.hosts: set[str | None] = set()
        page.on("console", lambda message: self.faults.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("requestfailed", lambda request: self.faults.append(f"failed: {request.url}"))
        page.on("request", lambda request: self.hosts.add(URL(request.url).host))

    async def open(self, url: str, status: int = 200) -> None:
        response = await self.page.goto(url, wait_until="networkidle", timeout=PATIENCE * 1000)
        assert response is not None
        assert response.status == status


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
async def test_in_a_browser(
    running: RunningSet, sold: Sold, browser: "Browser", size: dict[str, int], scheme: str
) -> None:
    """All pictures are shown, nothing is refused by the policy or wider than the screen, and axe has no complaint."""
    from axe_playwright_python.async_playwright import Axe  # noqa: PLC0415 - see tests/support/browser.py

    context = await browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    visit = Visit(await context.new_page())
    for path, images in ((sold.path, 3), (f"{sold.path}/2", 1)):
        await visit.open(running.url + path)
        measures = await visit.page.evaluate(MEASURE)
        assert (measures["broken"], measures["images"], measures["wider"]) == ([], images, 0)
        assert measures["smallest"] >= 14, "pixels"
        red = int(measures["ground"].removeprefix("rgb(").partition(",")[0])
        assert (red > 200) is (scheme == "light")
        report = await Axe().run(visit.page)
        assert report.violations_count == 0, report.generate_report()
    await visit.open(f"{running.url}/c/{uuid4()}", 404)
    assert await visit.page.locator("h1").inner_text() == "No such page"
    assert visit.hosts == {URL(running.url).host}
    refused = [fault for fault in visit.faults if "404" not in fault]
    assert not refused


async def test_without_scripts_and_with_a_keyboard(running: RunningSet, sold: Sold, browser: "Browser") -> None:
    """From the collection to an artwork, to the next one, and back."""
    context = await browser.new_context(java_script_enabled=False, viewport=PHONE)  # type: ignore[arg-type]
    visit = Visit(await context.new_page())
    await visit.open(running.url + sold.path)
    page = visit.page
    assert await page.title() == TITLE
    assert await page.locator("h1").inner_text() == TITLE
    await page.locator("main li a").first.click()
    await page.wait_for_url(f"**{sold.path}/1")
    assert await page.locator("h1").inner_text() == f"{TITLE} #1"
    assert await page.locator(".traits dt").all_inner_texts() == ["mood"]
    await page.get_by_role("link", name="Next").click()
    await page.wait_for_url(f"**{sold.path}/2")
    await page.get_by_role("navigation", name="Collection", exact=True).get_by_role("link").click()
    await page.wait_for_url(f"**{sold.path}")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**#main")
    assert not visit.faults


async def test_what_the_pages_say_about_verifying_runs_as_printed(
    running: RunningSet, sold: Sold, tmp_path: Path
) -> None:
    """The commands of each page exit with 0, and the sha256 is the one that the page states."""
    async with aiohttp.ClientSession(running.url) as stranger:
        for path, count in ((sold.path, 1), (f"{sold.path}/3", 2)):
            async with stranger.get(path) as response:
                assert response.status == 200
                assert response.headers["content-security-policy"].startswith("default-src 'none'; ")
                page = HtmlPage(await response.read())
            scripts = page.within("pre")
            assert len(scripts) == count
            assert sold.root in scripts[-1]
            for script in scripts:
                code, output = await asyncio.to_thread(run, script, tmp_path)
                assert code == 0, output
                if "sha256sum" in script:
                    assert output.split()[0] in page.text
                else:
                    assert "verified" in output


def run(script: str, folder: Path) -> tuple[int, str]:
    """Exit code and output of a shell script, with the commands of this environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


async def test_a_marketplace_is_led_to_the_pages_which_go_with_the_collection(running: RunningSet, sold: Sold) -> None:
    """Metadata names them; archived, there are none."""
    owner = sold.collection["user_id"]
    async with aiohttp.ClientSession(running.url) as stranger, running.client(owner) as client:
        api = f"/collections/{sold.collection['id']}"
        async with stranger.get(f"{api}/tokens/1.json") as response:
            link = (await response.json(content_type=None))["external_url"]
        assert link == f"{running.url}{sold.path}/1"
        async with stranger.get(link) as response:
            tag = response.headers["etag"]
            assert (response.status, response.headers["cache-control"]) == (200, "public, max-age=60")
        async with stranger.get(link, headers={"If-None-Match": tag}) as response:
            assert response.status == 304
        await client.post(f"{api}/archive", {})
        for path in (sold.path, f"{sold.path}/1"):
            async with stranger.get(path) as response:
                assert (response.status, response.content_type) == (404, "text/html")
