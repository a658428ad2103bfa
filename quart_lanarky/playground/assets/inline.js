/**
 * Markdown within a paragraph: emphasis, code, links. It gives a tree, and knows no document.
 *
 * The text is a model's, so nothing in it is trusted: HTML is text, images are links, and a link
 * leads to a web page or to a mail program. Each construct is looked for in bounded time.
 */

/** @typedef {string | {tag: string, href?: string, children?: Inline[]}} Inline */

const MARKS = [
  ["**", "strong"],
  ["__", "strong"],
  ["~~", "del"],
  ["*", "em"],
  ["_", "em"],
];
const DEEPEST = 8;
const WORD = /[\p{L}\p{N}]/u;
const ESCAPE = /\\([!-/:-@[-`{-~])/y;
const BREAK = /(?: {2,8}|\\)\n/y;
const BACKTICKS = /`+/y;
const LABEL = String.raw`(!?)\[((?:[^[\]\\]|\\.|\[[^[\]]{0,200}\]){0,500})\]`;
const TARGET = String.raw`<?((?:[^\s()<>]|\([^\s()]{0,200}\)){0,2000})>?(?:\s{1,9}"[^"]{0,500}")?`;
const LINK = new RegExp(String.raw`${LABEL}\(\s{0,9}${TARGET}\s{0,9}\)`, "sy");
const HALF_LINK = /!?\[([^[\]\n]{1,500})\]\([^\s()]{0,2000}$/y;
const ANGLED = /<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/y;
const BARE = /https?:\/\/[^\s<>"'`]{1,2000}/y;

/**
 * Parse the text of a paragraph.
 * @param {string} text
 * @param {boolean} isOpen whether more text may follow: what is begun counts as if it were complete
 * @returns {Inline[]}
 */
export function parseInline(text, isOpen = false) {
  return new Parser(text, { isOpen, depth: 0, inLink: false }).parse();
}

/** Return the address that a link may lead to, or null. */
export function safeAddress(text) {
  if (!/^(?:https?:\/\/|mailto:)/i.test(text)) return null;
  try {
    return new URL(text).href;
  } catch {
    return null;
  }
}

class Parser {
  #text;
  #isOpen;
  #depth;
  #inLink;
  #at = 0;
  #plain = "";
  #found = [];
  #missing = new Set(); // what has no end from here on needs no second search

  constructor(text, { isOpen, depth, inLink }) {
    this.#text = text;
    this.#isOpen = isOpen;
    this.#depth = depth;
    this.#inLink = inLink;
  }

  parse() {
    while (this.#at < this.#text.length) {
      if (!this.#construct()) this.#plain += this.#text[this.#at++];
    }
    this.#flush();
    return this.#found;
  }

  #construct() {
    switch (this.#text[this.#at]) {
      case "\\":
        return this.#break() || this.#escape();
      case " ":
        return this.#break();
      case "`":
        return this.#code();
      case "!":
      case "[":
      case "<":
      case "h":
        return (
          !this.#inLink && (this.#link() || this.#halfLink() || this.#angled() || this.#bare())
        );
      case "*":
      case "_":
      case "~":
        return this.#emphasis();
      default:
        return false;
    }
  }

  #match(pattern) {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text);
  }

  #flush() {
    if (this.#plain) this.#found.push(this.#plain.replace(/\n/g, " "));
    this.#plain = "";
  }

  #add(node, end) {
    this.#flush();
    if (node !== null) this.#found.push(node);
    this.#at = end;
    return true;
  }

  #inside(start, end, inLink = this.#inLink) {
    const text = this.#text.slice(start, end);
    if (this.#depth === DEEPEST) return [text];
    const isOpen = this.#isOpen && end === this.#text.length;
    return new Parser(text, { isOpen, depth: this.#depth + 1, inLink }).parse();
  }

  #escape() {
    const match = this.#match(ESCAPE);
    if (!match) return false;
    this.#plain += match[1];
    this.#at += 2;
    return true;
  }

  #break() {
    const match = this.#match(BREAK);
    return match !== null && this.#add({ tag: "br" }, this.#at + match[0].length);
  }

  #code() {
    const [fence] = this.#match(BACKTICKS);
    const start = this.#at + fence.length;
    const end = this.#endOfCode(fence, start);
    if (end < 0 && !(this.#isOpen && this.#depth === 0)) return this.#asText(fence);
    const stop = end < 0 ? this.#text.length : end;
    const code = this.#text.slice(start, stop).replace(/\n/g, " ");
    const isPadded = code.startsWith(" ") && code.endsWith(" ") && code.trim() !== "";
    const bare = isPadded ? code.slice(1, -1) : code;
    const node = bare ? { tag: "code", children: [bare] } : null;
    return this.#add(node, end < 0 ? stop : end + fence.length);
  }

  /** Find a run of as many backticks, and no more. */
  #endOfCode(fence, from) {
    if (this.#missing.has(fence)) return -1;
    for (let at = this.#text.indexOf(fence, from); at >= 0;) {
      BACKTICKS.lastIndex = at;
      const run = /** @type {RegExpExecArray} */ (BACKTICKS.exec(this.#text))[0];
      if (run.length === fence.length) return at;
      at = this.#text.indexOf(fence, at + run.length);
    }
    this.#missing.add(fence);
    return -1;
  }

  #asText(text) {
    this.#plain += text;
    this.#at += text.length;
    return true;
  }

  #link() {
    const match = this.#match(LINK);
    if (!match) return false;
    const [whole, image, text, target] = match;
    const start = this.#at + image.length + 1;
    const children = image
      ? [`Image: ${text || "untitled"}`]
      : this.#inside(start, start + text.length, true);
    return this.#add(linked(target, children), this.#at + whole.length);
  }

  /** Show the text of a link of which not all has come. */
  #halfLink() {
    const match = this.#isOpen && this.#match(HALF_LINK);
    if (!match) return false;
    return this.#add(match[1], this.#text.length);
  }

  #angled() {
    const match = this.#match(ANGLED);
    return match !== null && this.#add(linked(match[1], [match[1]]), this.#at + match[0].length);
  }

  #bare() {
    if (this.#at > 0 && WORD.test(this.#text[this.#at - 1])) return false;
    const match = this.#match(BARE);
    if (!match) return false;
    const address = withoutTail(match[0]);
    return this.#add(linked(address, [address]), this.#at + address.length);
  }

  #emphasis() {
    const found = MARKS.find(([mark]) => this.#text.startsWith(mark, this.#at));
    if (!found) return false;
    const [mark, tag] = found;
    const start = this.#at + mark.length;
    if (start === this.#text.length && this.#isOpen) return this.#add(null, start);
    if (!this.#opens(mark, start)) return this.#asText(mark);
    const end = this.#endOf(mark, start);
    if (end > 0) return this.#add({ tag, children: this.#inside(start, end) }, end + mark.length);
    if (!this.#isOpen || mark.length < 2) return this.#asText(mark);
    // Without this, "**bold" would show its asterisks until its end has come.
    const stop = this.#text.endsWith(mark[0]) ? this.#text.length - 1 : this.#text.length;
    return this.#add({ tag, children: this.#inside(start, stop) }, this.#text.length);
  }

  #opens(mark, start) {
    const next = this.#text[start];
    if (next === undefined || /\s/.test(next)) return false;
    return !mark.startsWith("_") || !WORD.test(this.#text[start - mark.length - 1] ?? " ");
  }

  #endOf(mark, start) {
    if (this.#missing.has(mark)) return -1;
    let at = this.#text.indexOf(mark, start + 1);
    while (at >= 0 && !this.#closes(mark, at)) at = this.#text.indexOf(mark, at + 1);
    if (at < 0) this.#missing.add(mark);
    return at;
  }

  #closes(mark, at) {
    const [before, after] = [this.#text[at - 1], this.#text[at + mark.length] ?? " "];
    if (/[\s\\]/.test(before)) return false;
    if (mark.length === 1 && (before === mark || after === mark)) return false;
    if (mark.length === 2 && after === mark[0]) return false; // of three, the first one is inside
    return !mark.startsWith("_") || !WORD.test(after);
  }
}

/** Make a link whose target can be seen; what leads nowhere safe stays text. */
function linked(target, children) {
  const href = safeAddress(target);
  if (href === null) return { tag: "span", children: [...children, ` (${target})`] };
  return { tag: "a", href, children };
}

/** Leave out what ends the sentence, and not the address. */
function withoutTail(address) {
  let end = address.length;
  for (; end > 0; end--) {
    const last = address[end - 1];
    const isUnopened = last === ")" && !isBalanced(address.slice(0, end));
    if (!/[.,:;!?*_~\]]/.test(last) && !isUnopened) break;
  }
  return address.slice(0, end);
}

function isBalanced(address) {
  return address.split("(").length >= address.split(")").length;
}
