"""A user of the playground: actions, assertions, and checks that no error occurs meanwhile."""

import os
from pathlib import Path
from typing import Any

SCREENSHOTS = os.environ.get("SCREENSHOTS")
TRANSPORTS = ["Server-sent events", "WebSocket"]


class Player:
    """A page of the playground.

    Args:
        browser: The browser.
        url: Where the server is.
        options: What the page is opened with.
    """

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.url = url
        self.outside: list[str] = []
        self.problems: list[str] = []
        self.page: Any = browser.new_page(**{"viewport": {"width": 1300, "height": 850}, **options})
        self.page.route("**/*", self._let_in)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._hear)

    def _let_in(self, route: Any) -> None:
        if route.request.url.startswith((self.url, "data:")):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def _hear(self, message: Any) -> None:
        # What the browser itself says of a refused request or a lost server is no error of ours.
        is_network = message.text.startswith(("Failed to load resource", "WebSocket connection"))
        if message.type in ("error", "warning") and not is_network:
            self.problems.append(message.text)

    def close(self) -> None:
        """Close the page; assert that it contacted no other host and that nothing failed."""
        self.page.close()
        assert self.outside == []
        assert self.problems == []

    def go(self, route: str = "", transport: str | None = None) -> "Player":
        """Open a route of the playground."""
        self.page.goto("about:blank")  # another address of one page would not load it again
        self.page.goto(f"{self.url}/playground{f'#{route}' if route else ''}")
        self.page.locator("#ask form").wait_for()
        if transport and (choice := self.page.get_by_label(transport, exact=True)).count():
            choice.check()
        return self

    def choose(self, route: str) -> "Player":
        """Choose a route in the list of all."""
        self.page.locator("#routes").get_by_text(route, exact=True).click()
        return self.wait_to_be_at(route)

    def wait_to_be_at(self, route: str) -> "Player":
        """Wait until a route is shown: a browser tells its page of a new address later."""
        self.page.locator("h2").get_by_text(route, exact=True).wait_for()
        return self

    @property
    def box(self) -> Any:
        """Where a question is written."""
        return self.page.locator(".main textarea")

    @property
    def turn(self) -> Any:
        """The last question with its answer."""
        return self.page.locator("article.turn").last

    @property
    def answer(self) -> Any:
        return self.turn.locator(".text")

    def field(self, name: str) -> Any:
        """Where an input or a parameter is given, which may be folded away."""
        control = self.page.locator(f"#ask [name='{name}']")
        if not control.is_visible():
            control.locator("xpath=ancestor::details/summary").click()
        return control

    def start(self, question: str) -> "Player":
        """Ask, and do not wait for the answer."""
        self.box.fill(question)
        self.box.press("Enter")
        return self

    def ask(self, question: str) -> str:
        """Ask, and return the answer when it is over."""
        return self.start(question).wait()

    def send(self) -> str:
        """Send a form, and return the answer."""
        self.page.get_by_role("button", name="Send").click()
        return self.wait()

    def wait(self) -> str:
        """Wait for the end of the answer, and return its text."""
        self.page.locator("article.turn").last.wait_for()
        self.page.locator("article[aria-busy=true]").wait_for(state="detached")
        return str(self.answer.inner_text())

    def see(self, text: str) -> None:
        """Wait until a text is to be seen."""
        self.page.get_by_text(text).last.wait_for()

    def script(self, module: str, code: str, *arguments: Any) -> Any:
        """Run code in the page, with what a module of it exports as `m`."""
        path = f"{self.url}/playground/assets/{module}"
        body = f"async ([path, ...given]) => {{ const m = await import(path); {code} }}"
        return self.page.evaluate(body, [path, *arguments])

    def keep(self, name: str) -> None:
        """Save a screenshot if `SCREENSHOTS` is set."""
        if SCREENSHOTS:
            self.page.screenshot(path=Path(SCREENSHOTS) / f"playground-{name}.png")
