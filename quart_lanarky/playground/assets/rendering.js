/**
 * Markdown on the page, while it comes.
 *
 * Blocks that another one follows are finished, and never touched again: only the last one is made
 * anew. So a long answer costs no more than its last block.
 */

import { copyButton, element } from "./elements.js";
import { parseInline } from "./inline.js";
import { parseBlocks } from "./markdown.js";

const LONGEST_ADDRESS = 60;
const DEEPEST_HEADING = 6;
const HEADINGS_ABOVE = 3; // of the page, of the route and of the turn

export class MarkdownView {
  #root;
  #finished = 0;
  #unfinished = 0;
  #text = "";

  /** @param {HTMLElement} root what the blocks are put into */
  constructor(root) {
    this.#root = root;
  }

  /**
   * Show a text.
   * @param {string} text
   * @param {boolean} isOpen whether more of it may follow
   */
  update(text, isOpen) {
    if (text.includes("\r")) text = text.replace(/\r\n?/g, "\n");
    if (!text.startsWith(this.#text.slice(0, this.#finished))) this.clear();
    this.#text = text;
    const blocks = parseBlocks(text.slice(this.#finished), isOpen);
    if (this.#grows(blocks)) return;
    for (; this.#unfinished > 0; this.#unfinished--)
      /** @type {Element} */ (this.#root.lastElementChild).remove();
    blocks.forEach((block, n) =>
      this.#root.append(drawn(block, isOpen && n === blocks.length - 1)),
    );
    this.#finish(blocks);
  }

  clear() {
    this.#root.replaceChildren();
    this.#finished = 0;
    this.#unfinished = 0;
    this.#text = "";
  }

  /**
   * Note which blocks cannot change any more: all but the last one, and but for the one before it
   * while the first line of the last one still grows, for it may turn out to go on with that.
   */
  #finish(blocks) {
    const last = blocks.at(-1)?.start ?? 0;
    const isWhole = this.#text.indexOf("\n", this.#finished + last) >= 0;
    this.#unfinished = Math.min(isWhole ? 1 : 2, blocks.length);
    this.#finished += blocks.at(-this.#unfinished)?.start ?? 0;
  }

  /** Let the last block grow if it is code, and only has more of it. */
  #grows(blocks) {
    const shown = this.#root.lastElementChild?.querySelector(":scope > pre > code");
    const [block] = blocks;
    if (this.#unfinished !== 1 || blocks.length !== 1 || block.tag !== "pre" || !shown)
      return false;
    const code = /** @type {Text | null} */ (shown.firstChild);
    const old = code?.data ?? "";
    if (!code || !old || !block.text.startsWith(old)) return false;
    code.appendData(block.text.slice(old.length));
    return true;
  }
}

function drawn(block, isOpen) {
  const draw = DRAW[block.tag] ?? DRAW.p;
  return draw(block, isOpen);
}

const DRAW = {
  p: ({ text }, isOpen) => element("p", {}, ...inline(text, isOpen)),
  h: ({ level, text }, isOpen) => {
    const shown = Math.min(level + HEADINGS_ABOVE, DEEPEST_HEADING);
    const tag = /** @type {"h4" | "h5" | "h6"} */ (`h${shown}`);
    return element(tag, { class: `level-${level}` }, ...inline(text, isOpen));
  },
  hr: () => element("hr"),
  pre: ({ text, language }) => {
    const code = element("code", {}, text);
    const name = element("span", {}, language || "code");
    const bar = element(
      "div",
      { class: "bar" },
      name,
      copyButton(() => code.textContent, "code"),
    );
    return element("div", { class: "code" }, bar, element("pre", { tabindex: "0" }, code));
  },
  blockquote: ({ blocks }, isOpen) => element("blockquote", {}, ...inner(blocks, isOpen)),
  ul: ({ items }, isOpen) => element("ul", {}, ...items.map(item(items, isOpen))),
  ol: ({ items, first }, isOpen) =>
    element("ol", { start: first === 1 ? null : first }, ...items.map(item(items, isOpen))),
  table: ({ head, rows, aligns }, isOpen) => {
    const row = (tag) => (cells) =>
      element("tr", {}, ...head.map((_, n) => cell(tag, cells[n], n)));
    const cell = (tag, text = "", n) =>
      element(tag, { class: aligns[n] ?? null }, ...inline(text, isOpen));
    const body = element("tbody", {}, ...rows.map(row("td")));
    const table = element("table", {}, element("thead", {}, row("th")(head)), body);
    return element("div", { class: "table", tabindex: "0" }, table);
  },
};

function inner(blocks, isOpen) {
  return blocks.map((block, n) => drawn(block, isOpen && n === blocks.length - 1));
}

/** Draw an item; one of a single paragraph is as narrow as a line. */
function item(items, isOpen) {
  return (blocks, n) => {
    const last = isOpen && n === items.length - 1;
    const [first, ...rest] = blocks;
    if (first?.tag !== "p") return element("li", {}, ...inner(blocks, last));
    const text = inline(first.text, last && rest.length === 0);
    return element("li", {}, ...text, ...inner(rest, last));
  };
}

function inline(text, isOpen) {
  return parseInline(text, isOpen).map(node);
}

function node(part) {
  if (typeof part === "string") return document.createTextNode(part);
  const children = (part.children ?? []).map(node);
  return part.tag === "a" ? link(part, children) : element(part.tag, {}, ...children);
}

/** Make a link with its address beside it, unless its text is the address. */
function link({ href }, children) {
  const attributes = { href, target: "_blank", rel: "noopener noreferrer nofollow" };
  const made = element("a", attributes, ...children);
  const isShown = made.textContent === href || `${made.textContent}/` === href;
  const address = href.length > LONGEST_ADDRESS ? `${href.slice(0, LONGEST_ADDRESS)}…` : href;
  const target = isShown
    ? null
    : element("span", { class: "target", title: href }, ` (${address})`);
  return element("span", {}, made, target);
}
