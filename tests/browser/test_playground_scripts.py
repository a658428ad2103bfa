"""The reusable scripts of the playground: decoding, Markdown, forms, snippets."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from quart_lanarky import events
from quart_lanarky.protocols import sse
from quart_lanarky.protocols.native.encode import encode
from tests.browser.playing import Player
from tests.servers import Server, answering

NODE = shutil.which("node")


@pytest.fixture(scope="module")
def player(browser: Any, shapes: Server) -> Iterator[Player]:
    player = Player(browser, shapes.url).go()
    yield player
    player.close()


# -- the decoder -----------------------------------------------------------------------------

DECODE = """
const decode = (pieces) => {
    const decoder = new m.EventDecoder();
    return pieces.flatMap((piece) => decoder.push(piece));
};
"""
STREAMS = {
    "event: a\ndata: 1\n\n": [["a", "1", None]],
    "event: a\r\ndata: 1\r\n\r\nevent: b\r\ndata: 2\r\n\r\n": [["a", "1", None], ["b", "2", None]],
    "event: a\rdata: 1\r\rdata:2\r\r": [["a", "1", None]],  # the last CR may be half of a CRLF
    "\ufeffdata: x\n\n": [["message", "x", None]],
    ": a comment\n\n:\n\ndata: x\n\n": [["message", "x", None]],
    "data: one\ndata: two\ndata:\n\n": [["message", "one\ntwo\n", None]],
    "data:  two spaces\n\n": [["message", " two spaces", None]],
    "data\n\n": [["message", "", None]],
    "event: nothing\n\ndata: x\n\n": [["message", "x", None]],
    "id: 7/end\nevent: end\ndata: \n\n": [["end", "", "7/end"]],
    "data: a: b: c\nunknown: x\nretry: 10\n\n": [["message", "a: b: c", None]],
    "data: “ünï” 🎈\u2028\u0085\n\n": [["message", "“ünï” 🎈\u2028\u0085", None]],
    "data: not finished": [],
}


@pytest.mark.parametrize("stream", STREAMS, ids=range(len(STREAMS)))
def test_a_stream_is_decoded_alike_under_any_split(player: Player, stream: str) -> None:
    halves = """
    const whole = decode([text]);
    const same = (found) => JSON.stringify(found) === JSON.stringify(whole);
    for (let at = 0; at <= text.length; at++)
        if (!same(decode([text.slice(0, at), text.slice(at)]))) throw new Error(`split at ${at}`);
    if (!same(decode([...text]))) throw new Error("split everywhere");
    return whole.map(({ name, data, id }) => [name, data, id]);"""
    found = player.script("event_decoder.js", f"const [text] = given; {DECODE} {halves}", stream)
    assert found == STREAMS[stream]


def test_the_decoder_reads_what_the_server_encodes(player: Player) -> None:
    sent = [
        encode(events.completion("a\nb"), "json"),
        encode(events.completion("  two\n\nlines\n"), "text"),
        encode(events.retract(2), "json"),
        encode(events.json_event("own", {"x": "\u2028"}), "json"),
    ]
    code = f"{DECODE} return decode(given).map(({{ name, data }}) => [name, data]);"
    found = player.script("event_decoder.js", code, sse.encode(*sent).decode())
    assert found == [[event.name, event.data] for event in sent]


# -- Markdown --------------------------------------------------------------------------------

RENDER = """
const root = document.createElement("div");
const view = new m.MarkdownView(root);
"""
MARKDOWN = {
    "plain": "<p>plain</p>",
    "one\ntwo\n\nthree": "<p>one two</p><p>three</p>",
    "two spaces  \nbreak": "<p>two spaces<br>break</p>",
    "# One\n## Two ##": '<h4 class="level-1">One</h4><h5 class="level-2">Two</h5>',
    "#no heading": "<p>#no heading</p>",
    "**b** *e* __b__ _e_ ~~d~~ ***be***": "<p><strong>b</strong> <em>e</em> <strong>b</strong> "
    "<em>e</em> <del>d</del> <strong><em>be</em></strong></p>",
    "snake_case_name 2 * 3 * 4 ** x": "<p>snake_case_name 2 * 3 * 4 ** x</p>",
    r"\*not\* \`this\`": "<p>*not* `this`</p>",
    "`a` ``b ` c`` `": "<p><code>a</code> <code>b ` c</code> `</p>",
    "- a\n- b\n  - c\n\n1. x\n2. y": "<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>"
    "<ol><li>x</li><li>y</li></ol>",
    "3. x\n4. y": '<ol start="3"><li>x</li><li>y</li></ol>',
    "- a\n\n  more\n- b": "<ul><li>a<p>more</p></li><li>b</li></ul>",
    "* a\n+ b": "<ul><li>a</li></ul><ul><li>b</li></ul>",
    "> a\n> > b": "<blockquote><p>a</p><blockquote><p>b</p></blockquote></blockquote>",
    "---\n***": "<hr><hr>",
    "text\n- item\n# head": "<p>text</p><ul><li>item</li></ul>" + '<h4 class="level-1">head</h4>',
    "In 1986\n2. is no item": "<p>In 1986 2. is no item</p>",
    "| a | b |\n|:-:|--:|\n| **1** | x \\| y |\n| 2 |": '<div class="table" tabindex="0"><table>'
    '<thead><tr><th class="center">a</th><th class="right">b</th></tr></thead><tbody>'
    '<tr><td class="center"><strong>1</strong></td><td class="right">x | y</td></tr>'
    '<tr><td class="center">2</td><td></td></tr></tbody></table></div>',
    "a | b\n--- | ---\nc | d": '<div class="table" tabindex="0"><table><thead><tr><th>a</th>'
    "<th>b</th></tr></thead><tbody><tr><td>c</td><td>d</td></tr></tbody></table></div>",
    "no | table\n---": "<p>no | table</p><hr>",
    "crlf\r\n\r\n- a\r\n- b": "<p>crlf</p><ul><li>a</li><li>b</li></ul>",
    "1 < 2 &amp; 3": "<p>1 &lt; 2 &amp;amp; 3</p>",
}
LINK = 'target="_blank" rel="noopener noreferrer nofollow" dir="auto"'
MARKDOWN |= {
    "<https://a.example> https://b.example/c_d_(e)).": f'<p><span><a href="https://a.example/" '
    f'{LINK}>https://a.example</a></span> <span><a href="https://b.example/c_d_(e)" {LINK}>'
    "https://b.example/c_d_(e)</a></span>).</p>",
    "[me](mailto:me@a.example)": f'<p><span><a href="mailto:me@a.example" {LINK}>me</a>'
    '<span class="target" title="mailto:me@a.example" dir="ltr"> (mailto:me@a.example)</span>'
    "</span></p>",
    "| a | b | c |\n|---|---|---|\n| 1 |\n| 1 | 2 | 3 | 4 |": '<div class="table" tabindex="0">'
    "<table><thead><tr><th>a</th><th>b</th><th>c</th></tr></thead><tbody>"
    '<tr><td>1</td><td colspan="2"></td></tr><tr><td>1</td><td>2</td><td>3</td></tr>'
    "</tbody></table></div>",
    "~~~py\nx\n~~~": '<div class="code"><div class="bar"><span>py</span><button type="button" '
    'class="quiet copy" aria-label="Copy code">Copy</button></div><pre tabindex="0">'
    "<code>x</code></pre></div>",
}


@pytest.mark.parametrize("text", MARKDOWN, ids=range(len(MARKDOWN)))
def test_markdown_is_rendered_alike_whole_or_in_pieces(player: Player, text: str) -> None:
    code = f"""const [text] = given; {RENDER}
    view.update(text, false);
    const whole = root.innerHTML;
    const other = document.createElement("div"), growing = new m.MarkdownView(other);
    for (let at = 0; at <= text.length; at++) growing.update(text.slice(0, at), true);
    growing.update(text, false);
    return [whole, other.innerHTML];"""
    whole, grown = player.script("markdown_view.js", code, text)
    assert whole == MARKDOWN[text]
    assert grown == whole


def test_code_is_shown_verbatim_with_a_copy_button(player: Player) -> None:
    text = "```python\ndef f():\n\treturn '`<b>'\n\n    # end\n```\nafter"
    code = f"""{RENDER} for (let at = 0; at <= given[0].length; at++)
        view.update(given[0].slice(0, at), true);
    return [root.querySelector("code").textContent, root.querySelector("button").ariaLabel,
            root.querySelector(".bar span").textContent, root.lastElementChild.textContent];"""
    found = player.script("markdown_view.js", code, text)
    assert found == ["def f():\n\treturn '`<b>'\n\n    # end", "Copy code", "python", "after"]


@pytest.mark.parametrize(
    ("text", "never"),
    [
        ("A **bold** word", "*"),
        ("Some `code` here", "`"),
        ("See [this page](https://a.example/long) now", "]("),
        ("# Heading", "#"),
        ("- item", "-"),
        ("| a | b |\n|---|---|\n| c | d |", "|"),
        ("```py\nx = 1\n```\n", "`"),
        ("> quoted", ">"),
    ],
)
def test_incomplete_markdown_syntax_is_not_shown_while_streaming(
    player: Player, text: str, never: str
) -> None:
    code = f"""{RENDER} const seen = [];
    for (let at = 0; at <= given[0].length; at++) {{
        view.update(given[0].slice(0, at), true);
        seen.push(root.textContent);
    }}
    return seen;"""
    seen = player.script("markdown_view.js", code, text)
    assert [each for each in seen if never in each] == []


def test_finished_blocks_are_not_rendered_again(player: Player) -> None:
    code = f"""{RENDER} view.update("one\\n\\ntwo\\n", true);
    const first = root.firstElementChild;
    view.update("one\\n\\ntwo\\nand more\\n\\nthree", true);
    const isSame = root.firstElementChild === first;
    view.update("one\\n\\ntw", true);
    return [isSame, root.textContent];"""
    assert player.script("markdown_view.js", code) == [True, "onetw"]


HOSTILE = {
    "stars": "*" * 50_000,
    "brackets": "[" * 50_000,
    "links": "[a](" * 12_000,
    "backticks": "` `` " * 10_000,
    "quotes": "> " * 25_000,
    "heading": "# " + " " * 50_000 + "x",
    "rule": "a|b\n-" + " " * 50_000 + "x",
    "nested": "\n".join(" " * n + "- x" for n in range(500)),
    "code": "` " + "x" * 50_000,
    "emphasis": "_a " * 16_000 + "**b" * 16_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_blocks_the_page(player: Player, text: str) -> None:
    code = f"""{RENDER} const start = performance.now(); view.update(given[0], true);
    view.update(given[0], false); return performance.now() - start;"""
    assert player.script("markdown_view.js", code, text) < 5_000  # milliseconds; some take 10


SIZE = 400_000
GROWING = {
    "tildes": "~" * SIZE + "`",
    "strings of backticks": " ".join("`" * length for length in range(900, 0, -1)),
    "parentheses": ("https://a.example/" + ")" * 1_900 + " ") * (SIZE // 1_900),
    "mixed": "> - # | ` * [a](h " * (SIZE // 18),
    "stars": "*a " * (SIZE // 3),
    "fences": "~~~`\n" * (SIZE // 5),
}


@pytest.mark.parametrize("text", GROWING.values(), ids=GROWING)
def test_the_time_to_parse_grows_with_the_text_and_not_with_its_square(
    player: Player, text: str
) -> None:
    code = """const inlines = await import(path.replace("blocks", "inlines"));
    const start = performance.now();
    for (const isPartial of [true, false])
        for (const block of m.parseBlocks(given[0], isPartial))
            inlines.parseInline(block.text ?? "", isPartial);
    return performance.now() - start;"""
    took = player.script("markdown_blocks.js", code, text)
    assert took < 5_000  # milliseconds; each takes less than 500, and with the square of it minutes


def test_short_rows_below_a_wide_header_do_not_multiply_the_cells(player: Player) -> None:
    text = "|a" * 300 + "|\n" + "|-" * 300 + "|\n" + "|\n" * 1_000
    code = f"{RENDER} view.update(given[0], false); return root.querySelectorAll('th, td').length;"
    assert player.script("markdown_view.js", code, text) == 300 + 2 * 1_000


# -- snippets --------------------------------------------------------------------------------

NASTY = [
    "plain",
    'it\'s "quoted"',
    "a\nb\r\nc\ttab",
    "$HOME `id` $(id) ${x} !! \\ \\n %s %(x)s {x}",
    "“ünï” 🎈 \u2028 \u2029 \x85 \x7f \x00",
    "'; echo broken; '",
    "\"\"\"''' # no comment",
    "</script><!--",
]


def snippets(player: Player, question: dict[str, Any]) -> dict[str, str]:
    code = "return m.snippetsOf(given[0]).map(({ name, code }) => [name, code]);"
    return dict(player.script("snippets.js", code, question))


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def question(shapes: Server, text: str, transport: str = "sse") -> dict[str, Any]:
    base = shapes.url if transport == "sse" else shapes.ws_url
    path = "/recite" if transport == "sse" else "/recite/ws"
    inputs = {"question": json.dumps([text, ""])}
    return {
        "transport": transport,
        "method": "POST",
        "url": base + path,
        "mode": "json",
        "inputs": inputs,
    }


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_the_curl_snippet_asks_the_same_question(player: Player, shapes: Server, text: str) -> None:
    stream = run("bash", "-c", snippets(player, question(shapes, text))["curl"])
    assert token_of(stream) == text


def token_of(stream: str) -> str:
    """Return the first token of a stream, whose JSON has no line break in it."""
    token: str = json.loads(stream.partition("data: ")[2].partition("\n")[0])["token"]
    return token


@pytest.mark.parametrize("transport", ["sse", "websocket"])
@pytest.mark.parametrize("text", [*NASTY[:-2], "\"\"\"''' # no comment"])
def test_the_python_snippet_asks_the_same_question(
    player: Player, shapes: Server, transport: str, text: str
) -> None:
    code = snippets(player, question(shapes, text, transport))["Python"]
    assert run(sys.executable, "-X", "utf8", "-c", code) == text.replace("\r\n", "\n") + "\n"


@pytest.mark.parametrize("transport", ["sse", "websocket"])
@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_the_javascript_snippet_asks_the_same_question(
    player: Player, shapes: Server, transport: str, text: str
) -> None:
    code = snippets(player, question(shapes, text, transport))["JavaScript"]
    said: list[str] = []
    page = player.page
    page.on("console", lambda message: said.append(message.args[0].json_value()))
    page.evaluate(f"async () => {{ {code} }}")
    page.wait_for_timeout(0)
    for _ in range(100):
        if said:
            break
        page.wait_for_timeout(50)
    assert said[0] == text


def test_snippets_of_a_get_route_ask_in_the_query_string(player: Player, shapes: Server) -> None:
    url = f"{shapes.url}/asking?k=3&question=it%27s%20%5Bone%5D%20%7Ba%7D"
    asked = {"transport": "sse", "method": "GET", "url": url, "mode": "json", "inputs": None}
    found = snippets(player, asked)
    assert token_of(run("bash", "-c", found["curl"])) == "3: Human: it's [one] {a}"
    assert run(sys.executable, "-c", found["Python"]) == "3: Human: it's [one] {a}\n"


@pytest.mark.parametrize("lines", [["a\n", "\n b", "c"], ["x"]])
def test_snippets_read_text_mode_as_well(player: Player, shapes: Server, lines: list[str]) -> None:
    asked = question(shapes, "") | {"url": f"{shapes.url}/recite/text", "mode": "text"}
    asked["inputs"] = {"question": json.dumps(lines)}
    assert run(sys.executable, "-c", snippets(player, asked)["Python"]) == "".join(lines) + "\n"


def asked_of(shapes: Server, path: str, transport: str, text: str) -> dict[str, Any]:
    base, end = (shapes.url, "") if transport == "sse" else (shapes.ws_url, "/ws")
    url = base + path + end
    key = "query" if path == "/documents" else "question"
    return question(shapes, "", transport) | {"url": url, "inputs": {key: text}}


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_the_python_snippet_takes_tokens_back(
    player: Player, shapes: Server, transport: str
) -> None:
    code = snippets(player, asked_of(shapes, "/fallback", transport, "you"))["Python"]
    assert run(sys.executable, "-c", code).splitlines()[-1] == "all of you"


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_the_python_snippet_prints_the_sources(
    player: Player, shapes: Server, transport: str
) -> None:
    asked = asked_of(shapes, "/documents", transport, '["one", "two"]')
    _, *sources = run(sys.executable, "-c", snippets(player, asked)["Python"]).splitlines()
    assert [line.rpartition(" ")[2] for line in sources] == ["one", "two"]
    assert all(line.startswith("Source: {") for line in sources)


def test_the_python_snippet_says_what_went_wrong(player: Player, shapes: Server) -> None:
    for path, transport, text in [
        ("/failing", "sse", "Internal Server Error"),
        ("/failing", "websocket", "Internal Server Error"),
        ("/forbidden", "sse", "not you"),
    ]:
        code = snippets(player, asked_of(shapes, path, transport, "x"))["Python"]
        ended = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
        )
        assert text in ended.stderr
        assert "Traceback" not in ended.stderr
        assert "cut off" not in ended.stderr


def test_the_python_snippet_says_that_an_answer_was_cut_off(player: Player) -> None:
    with cut_off('event: completion\ndata: {"token": "half"}\n\n: a comment\n\nevent: comp') as url:
        asked = {"transport": "sse", "method": "GET", "url": url, "mode": "json", "inputs": None}
        code = snippets(player, asked)["Python"]
        ended = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
        )
    assert ended.stdout == "half\n"
    assert ended.stderr == "The answer was cut off.\n"


@contextmanager
def cut_off(stream: str) -> Iterator[str]:
    """Serve a stream that ends as it is given."""

    class Cut(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.write(stream.encode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with answering(Cut) as port:
        yield f"http://127.0.0.1:{port}/"


def in_browser(browser: Any, url: str, code: str) -> list[str]:
    """Run a snippet in a page, and return what it has said when it has said something."""
    said: list[str] = []
    page = browser.new_page()
    page.goto(url)
    page.on("console", lambda message: said.append(message.text))
    page.evaluate(f"async () => {{ {code} }}")
    for _ in range(100):
        if said:
            break
        page.wait_for_timeout(50)
    page.wait_for_timeout(50)
    page.close()
    return said


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_the_javascript_snippet_takes_tokens_back_and_prints_the_sources(
    browser: Any, player: Player, shapes: Server, transport: str
) -> None:
    def say(path: str, text: str) -> list[str]:
        asked = asked_of(shapes, path, transport, text)
        return in_browser(browser, player.page.url, snippets(player, asked)["JavaScript"])

    assert say("/fallback", "you") == ["all of you"]
    _, *sources = say("/documents", '["one", "two"]')
    assert [line.rpartition(" ")[2] for line in sources] == ["one", "two"]
    assert say("/failing", "x")[0] == "Internal Server Error"


@pytest.mark.skipif(NODE is None, reason="no node")
@pytest.mark.parametrize("path", ["/fallback", "/recite/text"])
def test_the_javascript_snippet_runs_in_node(player: Player, shapes: Server, path: str) -> None:
    is_text = path.endswith("text")
    asked = asked_of(shapes, path, "sse", json.dumps(["a\n", "\n b"]) if is_text else "you")
    asked["mode"] = "text" if is_text else "json"
    code = snippets(player, asked)["JavaScript"]
    said = run(str(NODE), "--input-type=module", "--eval", code)
    assert said == ("a\n\n b\n" if is_text else "all of you\n")


def test_every_type_of_value_is_written_as_a_python_and_javascript_literal(player: Player) -> None:
    value = {"a": [None, True, False, 1, -2.5, 1e21, "x", [], {}], "": {"__proto__": "x"}}
    text = json.dumps(value)
    code = """const value = JSON.parse(given[0]);
    const text = m.toJavaScript(value);
    return [m.toPython(value), text];"""
    in_python, in_javascript = player.script("snippets.js", code, text)
    assert eval(in_python) == value  # noqa: S307  # our own text
    read = player.page.evaluate(f"() => JSON.stringify(({in_javascript}))")
    assert json.loads(read) == value


# -- forms -----------------------------------------------------------------------------------

SCHEMAS = [
    ({"type": "string"}, "text"),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
    ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "text"),
    ({"type": "integer", "minimum": 1}, "integer"),
    ({"type": "number"}, "number"),
    ({"type": "boolean"}, "boolean"),
    ({"enum": ["a", 3]}, "choice"),
    ({"const": "a"}, "choice"),
    ({"$ref": "#/components/schemas/Colour", "default": "red"}, "choice"),
    ({"type": "array", "items": {"type": "string"}}, "list"),
    ({"type": "array", "items": {"$ref": "#/components/schemas/Colour"}}, "list"),
    ({"type": "array", "items": {"type": "object"}}, "json"),
    ({"type": "object"}, "json"),
    ({"anyOf": [{"type": "string"}, {"type": "object"}]}, "any"),
    ({}, "any"),
    ({"$ref": "#/components/schemas/Loop"}, "any"),
    ({"$ref": "#/components/schemas/Missing"}, "any"),
    ({"$ref": "#/components/schemas/Messages"}, "messages"),
]
DOCUMENT = {
    "components": {
        "schemas": {
            "Colour": {"type": "string", "enum": ["red", "blue"]},
            "Loop": {"$ref": "#/components/schemas/Loop"},
            "Messages": {
                "anyOf": [
                    {"type": "string"},
                    {
                        "type": "array",
                        "items": {"anyOf": [{"properties": {"role": {}, "content": {}}}]},
                    },
                ]
            },
        }
    }
}


@pytest.mark.parametrize(("schema", "kind"), SCHEMAS)
def test_each_schema_gets_a_matching_form_control(player: Player, schema: Any, kind: str) -> None:
    code = """const [schema, spec] = given;
    return m.fieldOf({ name: "x", location: "body", schema }, m.createResolver(spec)).kind;"""
    assert player.script("schemas.js", code, schema, DOCUMENT) == kind


def test_the_answer_to_an_interrupt_is_no_field_of_the_form(player: Player) -> None:
    own = {"type": "object", "properties": {"question": {"type": "string"}}}
    answer = {"type": "object", "properties": {"resume": {}}, "required": ["resume"]}
    body = {"content": {"application/json": {"schema": {"anyOf": [answer, own]}}}}
    operation = {"x-chain": {"mode": "json"}, "requestBody": body}
    code = """const [operation] = given;
    const [route] = m.routesOf({ paths: { "/x": { post: operation } } }, {});
    return route.endpoints[0].inputs.map(({ name }) => name);"""
    assert player.script("api_specs.js", code, operation) == ["question"]
