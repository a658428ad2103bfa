/**
 * Parses the inline Markdown of a paragraph (emphasis, code, links) into a tree of nodes.
 *
 * The text comes from a model and is not trusted: HTML stays text, images become links, and only
 * HTTP, HTTPS and mailto URLs are linked. Every search is limited, so that no text can take long.
 */

import { safeUrl } from "./links.js";

/** @typedef {string | {tag: string, href?: string, children?: Inline[]}} Inline */

const DELIMITERS = [
  ["**", "strong"],
  ["__", "strong"],
  ["~~", "del"],
  ["*", "em"],
  ["_", "em"],
];
const MAX_DEPTH = 8;
const WORD_CHARACTER = /[\p{L}\p{N}]/u;
const ESCAPE = /\\([!-/:-@[-`{-~])/y;
const HARD_BREAK = /(?: {2,8}|\\)\n/y;
const BACKTICKS = /`+/y;
const LINK_TEXT = String.raw`(!?)\[((?:[^[\]\\]|\\.|\[[^[\]]{0,200}\]){0,500})\]`;
const HREF = String.raw`<?((?:[^\s()<>]|\([^\s()]{0,200}\)){0,2000})>?(?:\s{1,9}"[^"]{0,500}")?`;
const LINK = new RegExp(String.raw`${LINK_TEXT}\(\s{0,9}${HREF}\s{0,9}\)`, "sy");
const INCOMPLETE_LINK = /!?\[([^[\]\n]{1,500})\]\([^\s()]{0,2000}$/y;
const AUTOLINK = /<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/y;
const BARE_URL = /https?:\/\/[^\s<>"'`]{1,2000}/y;

/**
 * Parses the text of a paragraph.
 * @param {string} text
 * @param {boolean} isPartial whether more text may follow; a construct without its end then counts
 *   as complete
 * @returns {Inline[]}
 */
export function parseInline(text, isPartial = false) {
  return new InlineParser(text, { isPartial, depth: 0, inLink: false }).parse();
}

class InlineParser {
  #text;
  #isPartial;
  #depth;
  #inLink;
  #position = 0;
  #plainText = "";
  #nodes = [];
  #backtickStrings; // made when the first one is met
  #unclosed = new Set(); // delimiters without an end after this position, not searched for again

  constructor(text, { isPartial, depth, inLink }) {
    this.#text = text;
    this.#isPartial = isPartial;
    this.#depth = depth;
    this.#inLink = inLink;
  }

  /** Parses the whole text, and returns its nodes. */
  parse() {
    while (this.#position < this.#text.length) {
      if (!this.#parseConstruct()) this.#plainText += this.#text[this.#position++];
    }
    this.#flushText();
    return this.#nodes;
  }

  /**
   * Parses the construct at the current position, and returns whether there is one. So does each of
   * the methods for one construct.
   */
  #parseConstruct() {
    switch (this.#text[this.#position]) {
      case "\\":
        return this.#parseBreak() || this.#parseEscape();
      case " ":
        return this.#parseBreak();
      case "`":
        return this.#parseCode();
      case "!":
      case "[":
      case "<":
      case "h":
        return (
          !this.#inLink &&
          (this.#parseLink() ||
            this.#parseIncompleteLink() ||
            this.#parseAutolink() ||
            this.#parseBareUrl())
        );
      case "*":
      case "_":
      case "~":
        return this.#parseEmphasis();
      default:
        return false;
    }
  }

  #match(pattern) {
    pattern.lastIndex = this.#position;
    return pattern.exec(this.#text);
  }

  #flushText() {
    if (this.#plainText) this.#nodes.push(this.#plainText.replace(/\n/g, " "));
    this.#plainText = "";
  }

  #addNode(node, end) {
    this.#flushText();
    if (node !== null) this.#nodes.push(node);
    this.#position = end;
    return true;
  }

  #parseNested(start, end, inLink = this.#inLink) {
    const text = this.#text.slice(start, end);
    if (this.#depth === MAX_DEPTH) return [text];
    const isPartial = this.#isPartial && end === this.#text.length;
    return new InlineParser(text, { isPartial, depth: this.#depth + 1, inLink }).parse();
  }

  #parseEscape() {
    const match = this.#match(ESCAPE);
    if (!match) return false;
    this.#plainText += match[1];
    this.#position += 2;
    return true;
  }

  #parseBreak() {
    const match = this.#match(HARD_BREAK);
    return match !== null && this.#addNode({ tag: "br" }, this.#position + match[0].length);
  }

  #parseCode() {
    const [delimiter] = this.#match(BACKTICKS);
    const start = this.#position + delimiter.length;
    const end = this.#findCodeEnd(delimiter.length, start);
    if (end < 0 && !(this.#isPartial && this.#depth === 0)) return this.#addAsText(delimiter);
    const contentEnd = end < 0 ? this.#text.length : end;
    const code = this.#text.slice(start, contentEnd).replace(/\n/g, " ");
    const isPadded = code.startsWith(" ") && code.endsWith(" ") && code.trim() !== "";
    const content = isPadded ? code.slice(1, -1) : code;
    const node = content ? { tag: "code", children: [content] } : null;
    return this.#addNode(node, end < 0 ? contentEnd : end + delimiter.length);
  }

  /** Finds the next string of exactly as many backticks; returns its position, or -1. */
  #findCodeEnd(length, from) {
    this.#backtickStrings ??= positionsByLength(this.#text);
    const positions = this.#backtickStrings.get(length) ?? [];
    while (positions.length > 0 && positions.at(-1) < from) positions.pop();
    return positions.at(-1) ?? -1;
  }

  #addAsText(text) {
    this.#plainText += text;
    this.#position += text.length;
    return true;
  }

  #parseLink() {
    const match = this.#match(LINK);
    if (!match) return false;
    const [whole, image, text, destination] = match;
    const start = this.#position + image.length + 1;
    const children = image
      ? [`Image: ${text || "untitled"}`]
      : this.#parseNested(start, start + text.length, true);
    return this.#addNode(linkNode(destination, children), this.#position + whole.length);
  }

  /** Shows only the text of a link whose URL is still incomplete. */
  #parseIncompleteLink() {
    const match = this.#isPartial && this.#match(INCOMPLETE_LINK);
    if (!match) return false;
    return this.#addNode(match[1], this.#text.length);
  }

  #parseAutolink() {
    const match = this.#match(AUTOLINK);
    return (
      match !== null &&
      this.#addNode(linkNode(match[1], [match[1]]), this.#position + match[0].length)
    );
  }

  #parseBareUrl() {
    if (this.#position > 0 && WORD_CHARACTER.test(this.#text[this.#position - 1])) return false;
    const match = this.#match(BARE_URL);
    if (!match) return false;
    const url = withoutTrailingPunctuation(match[0]);
    return this.#addNode(linkNode(url, [url]), this.#position + url.length);
  }

  #parseEmphasis() {
    const entry = DELIMITERS.find(([delimiter]) =>
      this.#text.startsWith(delimiter, this.#position),
    );
    if (!entry) return false;
    const [delimiter, tag] = entry;
    const start = this.#position + delimiter.length;
    if (start === this.#text.length && this.#isPartial) return this.#addNode(null, start);
    if (!this.#canOpen(delimiter, start)) return this.#addAsText(delimiter);
    const end = this.#findClosing(delimiter, start);
    if (end > 0)
      return this.#addNode(
        { tag, children: this.#parseNested(start, end) },
        end + delimiter.length,
      );
    if (!this.#isPartial || delimiter.length < 2) return this.#addAsText(delimiter);
    // Otherwise "**bold" would show its asterisks until its closing delimiter arrives.
    const contentEnd = this.#text.endsWith(delimiter[0])
      ? this.#text.length - 1
      : this.#text.length;
    return this.#addNode(
      { tag, children: this.#parseNested(start, contentEnd) },
      this.#text.length,
    );
  }

  #canOpen(delimiter, start) {
    const next = this.#text[start];
    if (next === undefined || /\s/.test(next)) return false;
    return (
      !delimiter.startsWith("_") ||
      !WORD_CHARACTER.test(this.#text[start - delimiter.length - 1] ?? " ")
    );
  }

  #findClosing(delimiter, start) {
    if (this.#unclosed.has(delimiter)) return -1;
    let position = this.#text.indexOf(delimiter, start + 1);
    while (position >= 0 && !this.#canClose(delimiter, position))
      position = this.#text.indexOf(delimiter, position + 1);
    if (position < 0) this.#unclosed.add(delimiter);
    return position;
  }

  #canClose(delimiter, position) {
    const [before, after] = [
      this.#text[position - 1],
      this.#text[position + delimiter.length] ?? " ",
    ];
    if (/[\s\\]/.test(before)) return false;
    if (delimiter.length === 1 && (before === delimiter || after === delimiter)) return false;
    // Of three delimiter characters, the first one belongs to the content.
    if (delimiter.length === 2 && after === delimiter[0]) return false;
    return !delimiter.startsWith("_") || !WORD_CHARACTER.test(after);
  }
}

/** Returns the positions of all strings of backticks by their length, the last position first. */
function positionsByLength(text) {
  const positions = new Map();
  for (const { 0: backticks, index } of [...text.matchAll(/`+/g)].reverse()) {
    if (!positions.has(backticks.length)) positions.set(backticks.length, []);
    positions.get(backticks.length).push(index);
  }
  return positions;
}

/** Returns a link node; for an unsafe URL, a span with the URL as text. */
function linkNode(destination, children) {
  const href = safeUrl(destination);
  if (href === null) return { tag: "span", children: [...children, ` (${destination})`] };
  return { tag: "a", href, children };
}

/**
 * Removes the punctuation at the end of a URL, which belongs to the sentence, and closing parentheses
 * that were not opened in it.
 */
function withoutTrailingPunctuation(url) {
  let unopened = url.split(")").length - url.split("(").length;
  let end = url.length;
  for (; end > 0; end--) {
    const last = url[end - 1];
    if (last === ")" && unopened > 0) unopened--;
    else if (!/[.,:;!?*_~\]]/.test(last)) break;
  }
  return url.slice(0, end);
}
