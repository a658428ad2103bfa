"""The playground by keyboard, with a screen reader, on a phone, and in dark mode."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.browser.playing import Player
from tests.servers import Server

SHOWN = json.dumps(
    [
        "# A heading\n\nSome **bold** and *slanted* words, `code`, and [a link](https://a.example).",
        "\n\n1. First\n2. Second\n   - inside\n\n> A quotation.\n\n",
        "| Name | Count |\n|:--|--:|\n| one | 1 |\n| two | 22 |\n\n",
        "```python\nfor number in range(10):\n    print(number)\n```\n",
    ]
)


@pytest.fixture
def player(browser: Any, shapes: Server) -> Iterator[Player]:
    player = Player(browser, shapes.url)
    yield player
    player.close()


# -- by keyboard -----------------------------------------------------------------------------


def focused(player: Player) -> str:
    """Return what has the focus, in words."""
    said: str = player.page.evaluate(
        """() => {
            const element = document.activeElement;
            const label = element.labels?.[0]?.textContent ?? element.getAttribute("aria-label");
            return (label ?? element.textContent).trim();
        }"""
    )
    return said


def tab_to(player: Player, name: str) -> None:
    for _ in range(60):
        if focused(player).startswith(name):
            return
        player.page.keyboard.press("Tab")
    pytest.fail(f"{name!r} cannot be reached with the Tab key")


def test_everything_can_be_done_by_keyboard(player: Player) -> None:
    keyboard = player.go("/recite").page.keyboard
    keyboard.press("Tab")
    assert focused(player) == "Skip to the question"
    keyboard.press("Enter")
    assert focused(player) == "question"
    keyboard.type('["by keyboard"]')
    keyboard.press("Enter")
    assert player.wait() == "by keyboard"
    assert focused(player) == "question"
    keyboard.press("Shift+Tab")
    player.page.locator("body").press("Tab")
    player.page.evaluate("document.activeElement.blur()")
    tab_to(player, "Events")
    keyboard.press("Enter")
    assert player.page.locator("#drawer [aria-selected=true]").inner_text() == "Events"
    assert focused(player) == "Events"
    keyboard.press("ArrowRight")
    assert focused(player) == "Code"
    assert "curl" in player.page.locator("#drawer").inner_text()
    keyboard.press("Escape")
    assert not player.page.locator("#drawer").is_visible()
    assert focused(player) == "Events"  # from where it was opened
    player.page.locator("[name=transport]:checked").focus()
    keyboard.press("ArrowRight")
    assert focused(player) == "WebSocket"
    tab_to(player, "question")
    keyboard.type('["and back"]')
    keyboard.press("Enter")
    assert player.wait() == "and back"


def test_shift_enter_inserts_a_line_break(player: Player) -> None:
    player.go("/recite").box.fill("one")
    player.box.press("End")
    player.box.press("Shift+Enter")
    player.page.keyboard.type("two")
    assert player.box.input_value() == "one\ntwo"
    assert player.page.locator("article.turn").count() == 0


def test_control_enter_submits_a_form(player: Player) -> None:
    player.go("/form").field("text").fill("fine")
    player.field("text").press("Enter")
    assert player.page.locator("article.turn").count() == 0
    player.field("text").press("Control+Enter")
    assert "fine" in player.wait()


def test_escape_closes_the_menu_of_routes_before_it_stops_an_answer(
    browser: Any, shapes: Server
) -> None:
    player = Player(browser, shapes.url, viewport={"width": 360, "height": 740}).go("/paced")
    player.start("x")
    player.page.get_by_role("button", name="Routes").click()
    player.page.keyboard.press("Escape")
    assert not player.page.locator("#routes").is_visible()
    assert player.page.get_by_role("button", name="Stop").is_visible()
    player.page.keyboard.press("Escape")
    player.wait()
    player.see("You stopped the answer.")
    player.close()


def test_the_focused_element_is_visibly_marked(player: Player) -> None:
    player.go("/recite")
    player.ask('["x"]')
    seen = 0
    for _ in range(30):
        player.page.keyboard.press("Tab")
        outline = player.page.evaluate(
            """() => {
                const element = document.activeElement;
                const shown = element.matches("[name=transport]") ? element.parentElement : element;
                return element === document.body || getComputedStyle(shown).outlineStyle;
            }"""
        )
        assert outline in (True, "solid"), focused(player)
        seen += outline == "solid"
    assert seen > 20


# -- with a screen reader --------------------------------------------------------------------

UNNAMED = """() => [...document.querySelectorAll(
    "button, a[href], input, select, textarea, summary, nav, section, aside, form, [role]")]
    .filter(element => element.checkVisibility())
    .filter(element => !(element.labels?.length || element.ariaLabel || element.textContent.trim()
        || element.getAttribute("aria-labelledby") || element.getAttribute("role") === "status"))
    .map(element => element.outerHTML.slice(0, 200))"""

BROKEN_REFERENCES = """() => [...document.querySelectorAll(
    "[aria-labelledby], [aria-describedby], [aria-controls], label[for]")].flatMap(element =>
    ["aria-labelledby", "aria-describedby", "aria-controls", "for"].flatMap(
        name => (element.getAttribute(name) ?? "").split(" ").filter(Boolean)))
    .filter(id => !document.getElementById(id))"""

HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
    .filter(element => element.checkVisibility()).map(element => Number(element.tagName[1]))"""

REPEATED_IDS = """() => { const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
    return ids.filter((id, n) => ids.indexOf(id) !== n) }"""


@pytest.mark.parametrize("route", ["/recite", "/form", "/messages", "/parameters/{number}"])
def test_every_control_has_a_name_and_the_headings_are_in_order(player: Player, route: str) -> None:
    player.go(route)
    if route == "/recite":
        player.ask(SHOWN)
        player.turn.get_by_role("button", name="Code", exact=True).click()
    assert player.page.evaluate(UNNAMED) == []
    assert player.page.evaluate(BROKEN_REFERENCES) == []
    assert player.page.evaluate(REPEATED_IDS) == []
    levels = player.page.evaluate(HEADINGS)
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert player.page.locator("main").count() == 1
    assert player.page.evaluate("document.documentElement.lang") == "en"


def test_a_screen_reader_finds_the_landmarks_and_the_controls(player: Player) -> None:
    player.go("/recite").ask('["said"]')
    tree = player.page.locator("body").aria_snapshot()
    for part in (
        '- navigation "Chain routes"',
        '- region "Conversation"',
        '- article "Question 1"',
        '- form "Ask"',
        '- textbox "question"',
        '- button "Send"',
        '- group "Transport"',
        '- radio "Server-sent events" [checked]',
        '- button "Copy answer 1"',
        '- button "Plain text"',
    ):
        assert part in tree


def test_an_answer_is_read_out_once_when_it_is_complete(player: Player) -> None:
    player.go("/paced")
    player.page.evaluate(
        """() => {
            window.said = [];
            const place = document.getElementById("announcer");
            new MutationObserver(() => said.push(place.textContent))
                .observe(place, { childList: true, characterData: true, subtree: true });
        }"""
    )
    player.field("count").fill("5")
    player.ask("x")
    assert player.page.evaluate("said") == ["Answering", "0 1 2 3 4"]
    live = player.page.locator("#conversation").locator("[aria-live], [role=status], [role=log]")
    assert live.count() == 0


def test_animations_are_off_with_reduced_motion(browser: Any, shapes: Server) -> None:
    player = Player(browser, shapes.url, reduced_motion="reduce").go("/paced").start("x")
    cursor = player.page.locator(".cursor")
    cursor.wait_for()
    assert cursor.evaluate("e => getComputedStyle(e).animationName") == "none"
    player.page.keyboard.press("Escape")
    player.wait()
    player.close()


# -- light and dark, wide and narrow ---------------------------------------------------------

CONTRASTS = """() => {
    const channels = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
    const ground = element => {
        for (let at = element; at; at = at.parentElement) {
            const colour = channels(getComputedStyle(at).backgroundColor);
            if (colour[3] !== 0) return colour;
        }
    };
    const hasText = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    return [...document.querySelectorAll("body *")]
        .filter(e => e.checkVisibility({ opacityProperty: true }) && hasText(e))
        .filter(e => !["SCRIPT", "STYLE", "NOSCRIPT"].includes(e.tagName))
        .map(e => {
            const [one, two] = [channels(getComputedStyle(e).color), ground(e)].map(light);
            const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
            return [ratio, e.tagName, e.className, e.textContent.slice(0, 40)];
        });
}"""
ENOUGH = 4.5
"""What WCAG asks of text in level AA."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 768, 360])
def test_the_playground_is_legible_and_fits_in_light_and_dark(
    browser: Any, shapes: Server, demo: Server, scheme: str, width: int
) -> None:
    size = {"width": width, "height": 820 if width > 400 else 740}
    for server, route, question in [
        (shapes, "/recite", SHOWN),
        (demo, "/qa", "How does BM25 rank documents?"),
        (shapes, "/failing", "x"),
        (shapes, "/notices", "x"),
    ]:
        player = Player(browser, server.url, color_scheme=scheme, viewport=size).go(route)
        player.ask(question)
        player.turn.get_by_role("button", name="Events").click()
        check_legible(player, f"events{route.replace('/', '-')}-{scheme}-{width}")
        player.page.get_by_role("tab", name="Code").click()
        check_legible(player)
        player.page.get_by_role("button", name="Close").click()
        check_legible(player, f"answer{route.replace('/', '-')}-{scheme}-{width}")
        player.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 360])
@pytest.mark.parametrize("route", ["/form", "/parameters/{number}", "/messages"])
def test_every_form_is_legible_and_fits(
    browser: Any, shapes: Server, scheme: str, width: int, route: str
) -> None:
    size = {"width": width, "height": 820}
    player = Player(browser, shapes.url, color_scheme=scheme, viewport=size).go(route)
    check_legible(player, f"form{route.replace('/', '-')}-{scheme}-{width}")
    if width == 360:
        player.page.get_by_role("button", name="Routes").click()
        assert player.page.locator("#routes").is_visible()
        check_legible(player, f"menu-{scheme}")
        player.page.keyboard.press("Escape")
        assert not player.page.locator("#routes").is_visible()
        assert focused(player) == "Routes"
        player.page.keyboard.press("Enter")
        player.choose("/recite")
        player.page.locator("#routes").wait_for(state="hidden")
    player.close()


def check_legible(player: Player, name: str = "") -> None:
    assert (
        player.page.evaluate("document.documentElement.scrollWidth")
        <= (player.page.viewport_size["width"])
    )
    contrasts = player.page.evaluate(CONTRASTS)
    assert len(contrasts) > 10
    assert [each for each in contrasts if each[0] < ENOUGH] == []
    if name:
        player.keep(name)


def test_the_theme_can_be_switched_and_is_remembered(browser: Any, shapes: Server) -> None:
    player = Player(browser, shapes.url, color_scheme="light").go()
    colour = "getComputedStyle(document.body).backgroundColor"
    before = player.page.evaluate(colour)
    player.page.get_by_role("button", name="dark theme").click()
    after = player.page.evaluate(colour)
    assert after != before
    player.page.reload()
    assert player.page.evaluate(colour) == after
    player.page.get_by_role("button", name="light theme").click()
    assert player.page.evaluate(colour) == before
    player.close()


def test_the_selected_route_is_visible_with_forced_colours(browser: Any, shapes: Server) -> None:
    player = Player(browser, shapes.url, forced_colors="active").go("/recite")
    chosen = player.page.locator(".transport label").first
    other = player.page.locator(".transport label").last
    ground = "e => getComputedStyle(e).backgroundColor"
    assert chosen.evaluate(ground) != other.evaluate(ground)
    player.ask(SHOWN)
    player.keep("forced-colours")
    player.close()


def test_a_long_word_does_not_widen_the_page(browser: Any, shapes: Server) -> None:
    player = Player(browser, shapes.url, viewport={"width": 360, "height": 740}).go("/recite")
    player.ask(
        json.dumps(["x" * 400, "\n\n```\n" + "y" * 400 + "\n```\n", "| " + "z" * 300 + " |"])
    )
    check_legible(player)
    player.close()
