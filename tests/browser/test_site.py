"""The site of the documentation: every page on a phone and on a desk, every link, the search."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache, partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

import httpx
import pytest

from tests.servers import ROOT, answering

DOCS = ROOT / "docs"
SCREENSHOTS = os.environ.get("SCREENSHOTS")
VIEWS: dict[str, dict[str, Any]] = {
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light"},
    "desk": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
}
SCHEMES = {"light": "default", "dark": "slate"}  # as the theme calls them
WIDTH = "document.documentElement.scrollWidth"
BAD_IMAGES = """[...document.images]
    .filter(image => !image.complete || !image.naturalWidth || !image.alt)
    .map(image => image.src)"""

# Columns of numbers are there to be compared; any other table reads from top to bottom.
HALF_SEEN_TABLES = """[...document.querySelectorAll(".md-typeset table:not([class])")]
    .filter(table => !table.querySelector("th:nth-child(2)[style*=right]"))
    .filter(table => table.scrollWidth > table.clientWidth
        || table.getBoundingClientRect().right > document.documentElement.clientWidth)
    .map(table => table.textContent.trim().slice(0, 80))"""


def address(source: Path) -> str:
    """Return where the site has a page of `docs/`."""
    path = source.relative_to(DOCS).with_suffix("").as_posix()
    return "" if path == "index" else f"{path}/"


def name(page: str) -> str:
    """Return what a page is called in the ids of tests and the names of screenshots."""
    return page.removesuffix(".html").strip("/").replace("/", "-") or "home"


PAGES = ["404.html", *(address(source) for source in sorted(DOCS.rglob("*.md")))]


class Site(SimpleHTTPRequestHandler):
    """Serves what was built, and nothing that was not."""

    protocol_version = "HTTP/1.1"  # connections that stay open

    def list_directory(self, path: Any) -> None:
        """Have no page where none was built."""
        self.send_error(404)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Build the site, which fails of any warning, and serve it."""
    pytest.importorskip("mkdocs", reason="no mkdocs: no tests of the site")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    with answering(partial(Site, directory=folder)) as port:
        yield f"http://127.0.0.1:{port}/"


class Reader:
    """One page of the browser, which goes through the site, and what went wrong in it.

    Args:
        browser: The browser.
        site: Where the site is.
        view: By whom it is read: on a phone, or on a desk.
    """

    def __init__(self, browser: Any, site: str, view: str) -> None:
        self.view = view
        self.page: Any = browser.new_page(**VIEWS[view])
        self.problems: list[str] = []
        self._site = site
        self.page.on("request", self._watch)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._hear)

    def _watch(self, request: Any) -> None:
        if not request.url.startswith((self._site, "data:", "blob:")):
            self.problems.append(f"asked another host: {request.url}")

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def open(self, page: str) -> None:
        """Open a page of the site, with all that belongs to it."""
        self.page.goto(self._site + page, wait_until="load")

    def keep(self, page: str) -> None:
        """Save a screenshot of a phone if `SCREENSHOTS` is set."""
        if SCREENSHOTS and self.view == "phone":
            path = Path(SCREENSHOTS) / f"site-{name(page)}-phone.png"
            self.page.screenshot(path=path, full_page=True)


@pytest.fixture(scope="module", params=VIEWS)
def tab(browser: Any, site: str, request: pytest.FixtureRequest) -> Iterator[Reader]:
    reader = Reader(browser, site, request.param)
    yield reader
    reader.page.close()


@pytest.fixture
def reader(tab: Reader) -> Iterator[Reader]:
    tab.problems.clear()
    yield tab
    assert not tab.problems, "\n".join(tab.problems)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_fits_its_viewport_without_clipped_content(reader: Reader, page: str) -> None:
    reader.open(page)
    view = VIEWS[reader.view]
    reader.page.locator(f"body[data-md-color-scheme={SCHEMES[view['color_scheme']]}]").wait_for()
    assert reader.page.evaluate(WIDTH) <= view["viewport"]["width"]
    bad_images = reader.page.evaluate(BAD_IMAGES)
    assert not bad_images, "\n".join(bad_images)
    assert reader.page.evaluate(HALF_SEEN_TABLES) == []
    reader.keep(page)


def test_on_a_phone_a_table_row_is_a_card_with_labelled_cells(reader: Reader) -> None:
    reader.open("reference/settings/")
    row = reader.page.locator("tbody tr", has_text="QUART_LANARKY_HEARTBEAT")
    label = "e => getComputedStyle(e, '::before').content"
    names = [cell.evaluate(label) for cell in row.locator("td").all()]
    is_phone = reader.view == "phone"
    assert names == (["none", '"default: "', '"meaning: "'] if is_phone else ["none"] * 3)


def test_a_long_name_wraps_at_its_parts_and_is_copied_whole(reader: Reader) -> None:
    reader.open("reference/settings/")
    name = reader.page.locator("td code").first
    assert name.text_content() == name.inner_text() == "QUART_LANARKY_DEFAULT_MODE"
    assert name.locator("wbr").count() == 3


def test_all_code_of_the_first_page_fits_on_a_desk(reader: Reader) -> None:
    reader.open("")
    widths = "all => all.map(code => code.scrollWidth - code.clientWidth)"
    excess = reader.page.locator("pre > code").evaluate_all(widths)
    assert len(excess) > 1
    assert reader.view == "phone" or set(excess) == {0}


def test_the_first_page_has_the_menu_of_the_site_on_a_phone(reader: Reader) -> None:
    reader.open("")
    if reader.view == "phone":
        reader.page.locator("label.md-header__button[for=__drawer]").click()
    reader.page.get_by_role("link", name="Quickstart").first.click()
    reader.page.wait_for_url("**/quickstart/")


def test_the_copy_button_of_a_terminal_copies_only_the_commands(reader: Reader) -> None:
    reader.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    reader.open("quickstart/")
    page = reader.page

    def copied(text: str) -> str:
        block = page.locator("div.highlight", has_text=text).first
        block.hover()
        block.locator("[data-clipboard-target], [data-md-type=copy]").first.click()
        page.get_by_text("Copied to clipboard").wait_for()
        return str(page.evaluate("navigator.clipboard.readText()"))

    commands = copied("Accept: application/json").splitlines()
    assert len(commands) == 2
    assert all(command.startswith("curl http://127.0.0.1:8000/chat -H") for command in commands)
    assert copied("LanarkyExtension(app").startswith("# app.py")


def test_the_search_finds_a_word(reader: Reader) -> None:
    reader.open("")
    if reader.view == "phone":
        reader.page.locator("label.md-header__button[for=__search]").click()
    box = reader.page.get_by_role("textbox", name="Search")
    found = reader.page.locator(".md-search-result__link")
    while not found.count():  # the theme ignores what is typed before its index is loaded
        box.fill("")
        box.press_sequentially("hypercorn")
        reader.page.wait_for_timeout(500)
    assert "hypercorn" in found.first.inner_text().lower()
    found.first.click()
    reader.page.locator("article mark").first.wait_for()


class LinksAndIds(HTMLParser):
    """The links of a page, and the ids in it that links can refer to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids = {""}  # a link without a fragment leads to the top
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.ids.add(given.get("id", ""))
        if "href" in given:
            self.links.append(given["href"])
        if "src" in given:
            self.links.append(urldefrag(given["src"]).url)  # a fragment there is for the styles


def test_every_link_has_a_target(site: str) -> None:
    @cache
    def marks(url: str) -> LinksAndIds | None:
        response = client.get(url, follow_redirects=True)
        is_page = response.headers["Content-Type"].startswith("text/html")
        return LinksAndIds(response.text if is_page else "") if response.is_success else None

    def leads(url: str) -> bool:
        target, fragment = urldefrag(url)
        there = marks(target)
        return there is not None and unquote(fragment) in there.ids

    broken = []
    with httpx.Client() as client:
        for page in PAGES:
            here = marks(site + page)
            assert here is not None, page
            links = [urljoin(site + page, link) for link in here.links]
            inside = [link for link in links if link.startswith(site)]
            assert inside, page
            broken += [f"{page}: {link}" for link in inside if not leads(link)]
    assert not broken, "\n".join(broken)
