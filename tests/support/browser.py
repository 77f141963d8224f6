"""A real browser: the system's Chromium, driven by Playwright.

CHROMIUM says where it is; without it, it is looked for by its usual names. Playwright's own browsers are not used: they
are downloaded beside the locked dependencies.
"""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NEEDED = "TESTS_NEED_CHROMIUM"
"""Set where tests in a browser must not be skipped (.ci/run)."""


def chromium() -> str:
    """Where Chromium is. Without one, skips the test, or fails it where `TESTS_NEED_CHROMIUM` is set."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is not None:
        assert shutil.which(path), f"CHROMIUM={path}: is no program"
        return path
    why = "there is no Chromium: install it (Debian's package is `chromium`), or say with CHROMIUM where one is"
    if os.environ.get(NEEDED):
        pytest.fail(why)
    pytest.skip(why)


@contextlib.asynccontextmanager
async def running_browser() -> AsyncIterator["Browser"]:
    """Without its sandbox, which root can't use: it only reads pages of this project."""
    path = chromium()
    from playwright.async_api import async_playwright  # noqa: PLC0415 - most test runs need no browser

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, chromium_sandbox=False)
        yield browser
        await browser.close()
