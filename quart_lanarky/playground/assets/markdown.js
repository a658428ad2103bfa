/**
 * Markdown into a tree of blocks: what models write, and no more of CommonMark than that.
 *
 * Not supported on purpose: HTML, images, code by indentation, underlined headings, footnotes.
 */

/**
 * @typedef {{tag: string, start: number, [more: string]: any}} Block
 *   `start` is where it begins in the text. A `p` or `h` has `text`; `pre` has `text` and
 *   `language`; `blockquote` has `blocks`; `ul` and `ol` have `items` (each a list of blocks) and
 *   `first`; `table` has `head`, `rows` and `aligns`.
 */

const FENCE = /^ {0,3}(`{3,}|~{3,})([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?=[ \t]|$)/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?:([ \t]+)(.*)|)$/s;
const TABLE_RULE = /^\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?$/; // once it is trimmed
const PART_OF_A_TABLE = /^ {0,3}\|[-:| \t]*$/;
const ONLY_A_MARK = /^[ \t]*(?:#{1,6}|[-*+>|]|`{1,2}|~{1,2})$/;
const DEEPEST = 10;
const TAB = "    ";

/**
 * Parse a text.
 * @param {string} text
 * @param {boolean} isOpen whether more text may follow
 * @returns {Block[]}
 */
export function parseBlocks(text, isOpen = false) {
  return new Reader(text, isOpen, 0).read();
}

class Reader {
  #lines;
  #starts;
  #isOpen;
  #depth;
  #at = 0;

  constructor(text, isOpen, depth) {
    this.#lines = text.split("\n");
    this.#isOpen = isOpen;
    this.#depth = depth;
    let start = 0;
    this.#starts = this.#lines.map((line) => (start += line.length + 1) - line.length - 1);
    const last = this.#lines.length - 1;
    // A mark alone may become anything: it is not shown before it is known.
    if (isOpen && ONLY_A_MARK.test(this.#lines[last])) this.#lines[last] = "";
  }

  read() {
    const blocks = [];
    while (this.#at < this.#lines.length) {
      if (isBlank(this.#line)) this.#at++;
      else blocks.push({ start: this.#starts[this.#at], ...this.#block() });
    }
    return blocks;
  }

  get #line() {
    return this.#lines[this.#at];
  }

  #block() {
    if (this.#depth === DEEPEST) return this.#paragraph(() => false);
    return (
      this.#fence() ??
      this.#heading() ??
      this.#rule() ??
      this.#quote() ??
      this.#list() ??
      this.#table() ??
      this.#paragraph((line, at) => interrupts(line) || this.#isTable(at))
    );
  }

  /** Take the lines from the next one on for which `belongs` holds. */
  #takeWhile(belongs) {
    const start = this.#at;
    while (this.#at < this.#lines.length && belongs(this.#line, this.#at)) this.#at++;
    return this.#lines.slice(start, this.#at);
  }

  #nested(lines) {
    const isLast = this.#at >= this.#lines.length;
    return new Reader(lines.join("\n"), this.#isOpen && isLast, this.#depth + 1).read();
  }

  #fence() {
    const match = FENCE.exec(this.#line);
    if (!match) return null;
    const [, fence, info] = match;
    const end = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}[ \\t]*$`);
    this.#at++;
    const lines = this.#takeWhile((line) => !end.test(line));
    const isEnding = this.#isOpen && this.#at === this.#lines.length;
    if (isEnding && /^ {0,3}[`~]+$/.test(lines.at(-1) ?? "")) lines.pop();
    this.#at++;
    return { tag: "pre", text: lines.join("\n"), language: info.trim().split(/\s/)[0] };
  }

  #heading() {
    const match = HEADING.exec(this.#line);
    if (!match) return null;
    const text = withoutClosing(this.#line.slice(match[0].length).trim());
    this.#at++;
    return { tag: "h", level: match[1].length, text };
  }

  #rule() {
    if (!RULE.test(this.#line)) return null;
    this.#at++;
    return { tag: "hr" };
  }

  #quote() {
    if (!QUOTE.test(this.#line)) return null;
    const lines = this.#takeWhile((line) => QUOTE.test(line));
    return {
      tag: "blockquote",
      blocks: this.#nested(lines.map((line) => line.replace(QUOTE, ""))),
    };
  }

  #list() {
    const first = itemOf(this.#line);
    if (!first) return null;
    const items = [];
    /** @type {typeof first | null} */
    let item = first;
    while (item !== null && item.kind === first.kind) {
      items.push(this.#item(item));
      item = this.#at < this.#lines.length ? itemOf(this.#line) : null;
    }
    return { tag: first.kind.length > 1 ? "ol" : "ul", first: first.number, items };
  }

  #item({ indent, text }) {
    this.#at++;
    const rest = this.#takeWhile((line, at) => this.#continues(line, at, indent));
    return this.#nested([text, ...rest.map((line) => outdented(line, indent))]);
  }

  /** Tell whether a line belongs to the item above it, whose text is indented so far. */
  #continues(line, at, indent) {
    if (isBlank(line)) {
      const next = this.#lines.slice(at, at + 3).find((each) => !isBlank(each)) ?? "";
      return indentOf(next) >= Math.min(indent, 2) && indentOf(next) > 0;
    }
    if (indentOf(line) >= Math.min(indent, 2)) return true;
    return !isBlank(this.#lines[at - 1]) && !interrupts(line) && itemOf(line) === null;
  }

  #table() {
    const isComing = this.#isTableToCome(this.#line, this.#lines[this.#at + 1]);
    if (!isComing && !this.#isTable(this.#at)) return null;
    const [head, rule = ""] = this.#lines.slice(this.#at, (this.#at += 2));
    const rows = this.#takeWhile((line) => line.includes("|"));
    const aligns = isComing ? [] : cells(rule).map(alignOf);
    return { tag: "table", head: cells(head), rows: rows.map(cells), aligns };
  }

  /** Tell whether a table begins at a line: a row of names, and a rule with as many columns. */
  #isTable(at) {
    const [head, rule] = [this.#lines[at], this.#lines[at + 1]?.trim()];
    if (!rule || !head.includes("|") || !TABLE_RULE.test(rule)) return false;
    return cells(rule).length === cells(head).length;
  }

  /** Tell whether these last lines look like the beginning of a table, so as to show it as one. */
  #isTableToCome(head, rule) {
    const isLast = this.#isOpen && this.#at + 2 >= this.#lines.length;
    return isLast && /^ {0,3}\|/.test(head) && (!rule || PART_OF_A_TABLE.test(rule));
  }

  #paragraph(interrupted) {
    const first = this.#at++;
    this.#takeWhile((line, at) => !isBlank(line) && !interrupted(line, at));
    const lines = this.#lines.slice(first, this.#at);
    return {
      tag: "p",
      text: lines
        .map((line) => line.trimStart())
        .join("\n")
        .trimEnd(),
    };
  }
}

function isBlank(line) {
  return line.trim() === "";
}

function indentOf(line) {
  const indent = line.slice(0, line.length - line.trimStart().length);
  return indent.replaceAll("\t", TAB).length;
}

/** Take away so many columns of what a line is indented by. */
function outdented(line, columns) {
  let at = 0;
  for (; columns > 0 && (line[at] === " " || line[at] === "\t"); at++)
    columns -= line[at] === "\t" ? TAB.length : 1;
  return line.slice(at);
}

/** Leave out the `##` after a heading. */
function withoutClosing(text) {
  let end = text.length;
  while (text[end - 1] === "#") end--;
  return end === 0 || /\s/.test(text[end - 1]) ? text.slice(0, end).trimEnd() : text;
}

/** Tell whether a line begins a block in the middle of a paragraph. */
function interrupts(line) {
  const item = ITEM.exec(line);
  const isItem = item !== null && Boolean(item[4]) && /^(?:[-*+]|1[.)])$/.test(item[2]);
  return isItem || [FENCE, HEADING, RULE, QUOTE].some((pattern) => pattern.test(line));
}

function itemOf(line) {
  const match = ITEM.exec(line);
  if (!match || RULE.test(line)) return null;
  const [, before, mark, space = " ", text = ""] = match;
  const indent = before.length + mark.length + (space.length > 4 ? 1 : space.length);
  const isNumber = mark.length > 1;
  return { indent, text, kind: isNumber ? `1${mark.at(-1)}` : mark, number: parseInt(mark, 10) };
}

function cells(line) {
  const inner = line
    .trim()
    .replace(/^\|/, "")
    .replace(/(^|[^\\])\|$/, "$1");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replace(/\\\|/g, "|"));
}

function alignOf(rule) {
  const [left, right] = [rule.startsWith(":"), rule.endsWith(":")];
  return left && right ? "center" : right ? "right" : null;
}
