/**
 * Renders Markdown while it streams.
 *
 * A block is finished when another one follows it, and is not rendered again. Only the last block
 * is, so the cost of an update does not grow with the length of the text.
 */

import { copyButton, element, visibleText } from "./elements.js";
import { linkView } from "./links.js";
import { parseBlocks } from "./markdown_blocks.js";
import { parseInline } from "./markdown_inlines.js";

const MAX_HEADING_LEVEL = 6;
const OUTER_HEADING_LEVELS = 3; // those of the page, the route and the turn

export class MarkdownView {
  #root;
  #finishedLength = 0;
  #unfinishedCount = 0;
  #text = "";

  /** @param {HTMLElement} root the element that gets the blocks as its children */
  constructor(root) {
    this.#root = root;
  }

  /**
   * Shows a text, or the longer version of the text shown.
   * @param {string} text
   * @param {boolean} isPartial whether more text may follow
   */
  update(text, isPartial) {
    if (text.includes("\r")) text = text.replace(/\r\n?/g, "\n");
    text = visibleText(text);
    if (!text.startsWith(this.#text.slice(0, this.#finishedLength))) this.clear();
    this.#text = text;
    const blocks = parseBlocks(text.slice(this.#finishedLength), isPartial);
    if (this.#appendToCode(blocks)) return;
    for (; this.#unfinishedCount > 0; this.#unfinishedCount--)
      /** @type {Element} */ (this.#root.lastElementChild).remove();
    blocks.forEach((block, n) =>
      this.#root.append(renderBlock(block, isPartial && n === blocks.length - 1)),
    );
    this.#markFinished(blocks);
  }

  /** Removes all blocks. */
  clear() {
    this.#root.replaceChildren();
    this.#finishedLength = 0;
    this.#unfinishedCount = 0;
    this.#text = "";
  }

  /**
   * Records which blocks are finished: all but the last one. While the first line of the last block
   * is incomplete, the block before it is not finished either, as that line may still continue it.
   */
  #markFinished(blocks) {
    const last = blocks.at(-1)?.start ?? 0;
    const isFirstLineComplete = this.#text.indexOf("\n", this.#finishedLength + last) >= 0;
    this.#unfinishedCount = Math.min(isFirstLineComplete ? 1 : 2, blocks.length);
    this.#finishedLength += blocks.at(-this.#unfinishedCount)?.start ?? 0;
  }

  /** Appends to the last block if it is code that only got longer; returns whether it did. */
  #appendToCode(blocks) {
    const codeElement = this.#root.lastElementChild?.querySelector(":scope > pre > code");
    const [block] = blocks;
    if (this.#unfinishedCount !== 1 || blocks.length !== 1 || block.tag !== "pre" || !codeElement)
      return false;
    const code = /** @type {Text | null} */ (codeElement.firstChild);
    const oldText = code?.data ?? "";
    if (!code || !oldText || !block.text.startsWith(oldText)) return false;
    code.appendData(block.text.slice(oldText.length));
    return true;
  }
}

function renderBlock(block, isPartial) {
  const render = RENDERERS[block.tag] ?? RENDERERS.p;
  return render(block, isPartial);
}

/** How each block is rendered, by its tag. */
const RENDERERS = {
  p: ({ text }, isPartial) => element("p", {}, ...renderInline(text, isPartial)),
  h: ({ level, text }, isPartial) => {
    const shownLevel = Math.min(level + OUTER_HEADING_LEVELS, MAX_HEADING_LEVEL);
    const tag = /** @type {"h4" | "h5" | "h6"} */ (`h${shownLevel}`);
    return element(tag, { class: `level-${level}` }, ...renderInline(text, isPartial));
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
  blockquote: ({ blocks }, isPartial) =>
    element("blockquote", {}, ...renderBlocks(blocks, isPartial)),
  ul: ({ items }, isPartial) => element("ul", {}, ...items.map(renderItem(items, isPartial))),
  ol: ({ items, firstNumber }, isPartial) =>
    element(
      "ol",
      { start: firstNumber === 1 ? null : firstNumber },
      ...items.map(renderItem(items, isPartial)),
    ),
  table: ({ head, rows, alignments }, isPartial) => {
    const cell = (tag) => (text, n) =>
      element(tag, { class: alignments[n] ?? null }, ...renderInline(text, isPartial));
    const row = (tag) => (cells) =>
      element("tr", {}, ...cells.slice(0, head.length).map(cell(tag)), fillUp(cells, head));
    const body = element("tbody", {}, ...rows.map(row("td")));
    const table = element("table", {}, element("thead", {}, row("th")(head)), body);
    return element("div", { class: "table", tabindex: "0" }, table);
  },
};

/**
 * Returns one cell for all that a row has fewer than the header, or null. With a cell for each, short
 * rows below a wide header would make far more cells than the text has characters.
 */
function fillUp(cells, head) {
  const missing = head.length - cells.length;
  return missing > 0 ? element("td", { colspan: missing > 1 ? missing : null }) : null;
}

function renderBlocks(blocks, isPartial) {
  return blocks.map((block, n) => renderBlock(block, isPartial && n === blocks.length - 1));
}

/** Returns the renderer of a list item; its first paragraph is shown without a `p` element. */
function renderItem(items, isPartial) {
  return (blocks, n) => {
    const isLast = isPartial && n === items.length - 1;
    const [first, ...rest] = blocks;
    if (first?.tag !== "p") return element("li", {}, ...renderBlocks(blocks, isLast));
    const text = renderInline(first.text, isLast && rest.length === 0);
    return element("li", {}, ...text, ...renderBlocks(rest, isLast));
  };
}

function renderInline(text, isPartial) {
  return parseInline(text, isPartial).map(renderNode);
}

function renderNode(part) {
  if (typeof part === "string") return document.createTextNode(part);
  const children = (part.children ?? []).map(renderNode);
  return part.tag === "a" ? linkView(part.href, children) : element(part.tag, {}, ...children);
}
