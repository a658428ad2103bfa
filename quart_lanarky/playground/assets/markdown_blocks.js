/**
 * Parses Markdown into a tree of blocks: the part of CommonMark that models write, and tables.
 *
 * Not supported on purpose: HTML, images, indented code, underlined headings, footnotes.
 */

/**
 * @typedef {{tag: string, start: number, [more: string]: any}} Block
 *   `start` is the offset of the block in the text. A `p` has `text`; `h` has `level` and `text`;
 *   `pre` has `text` and `language`; `blockquote` has `blocks`; `ul` and `ol` have `items` (each a
 *   list of blocks) and `firstNumber`; `table` has `head`, `rows` and `alignments`.
 */

/** The tildes are all taken at once, for else each shorter number of them would be tried as well. */
const CODE_FENCE = /^ {0,3}(`{3,}|~{3,}(?!~))([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?=[ \t]|$)/;
const THEMATIC_BREAK = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const BLOCK_QUOTE = /^ {0,3}> ?/;
const LIST_ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?:([ \t]+)(.*)|)$/s;
/** The row below the header of a table, as a trimmed line. */
const DELIMITER_ROW = /^\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?$/;
const PARTIAL_DELIMITER_ROW = /^ {0,3}\|[-:| \t]*$/;
const ONLY_A_MARKER = /^[ \t]*(?:#{1,6}|[-*+>|]|`{1,2}|~{1,2})$/;
const MAX_DEPTH = 10;
const TAB_AS_SPACES = "    ";

/**
 * Parses a text.
 * @param {string} text
 * @param {boolean} isPartial whether more text may follow
 * @returns {Block[]}
 */
export function parseBlocks(text, isPartial = false) {
  return new BlockParser(text, isPartial, 0).parse();
}

class BlockParser {
  #lines;
  #lineStarts;
  #isPartial;
  #depth;
  #lineIndex = 0;

  constructor(text, isPartial, depth) {
    this.#lines = text.split("\n");
    this.#isPartial = isPartial;
    this.#depth = depth;
    let start = 0;
    this.#lineStarts = this.#lines.map((line) => (start += line.length + 1) - line.length - 1);
    const last = this.#lines.length - 1;
    // A last line that is only a marker may still become any kind of block: leave it out.
    if (isPartial && ONLY_A_MARKER.test(this.#lines[last])) this.#lines[last] = "";
  }

  parse() {
    const blocks = [];
    while (this.#lineIndex < this.#lines.length) {
      if (isBlank(this.#line)) this.#lineIndex++;
      else blocks.push({ start: this.#lineStarts[this.#lineIndex], ...this.#parseBlock() });
    }
    return blocks;
  }

  get #line() {
    return this.#lines[this.#lineIndex];
  }

  /**
   * Parses the block that starts at the current line. The methods for one kind of block return null
   * if the line does not start that kind.
   */
  #parseBlock() {
    if (this.#depth === MAX_DEPTH) return this.#parseParagraph(() => false);
    return (
      this.#parseCodeBlock() ??
      this.#parseHeading() ??
      this.#parseThematicBreak() ??
      this.#parseBlockQuote() ??
      this.#parseList() ??
      this.#parseTable() ??
      this.#parseParagraph(
        (line, lineIndex) => interruptsParagraph(line) || this.#isTable(lineIndex),
      )
    );
  }

  /** Takes the lines from the current one on as long as `belongs` holds for them. */
  #takeWhile(belongs) {
    const start = this.#lineIndex;
    while (this.#lineIndex < this.#lines.length && belongs(this.#line, this.#lineIndex))
      this.#lineIndex++;
    return this.#lines.slice(start, this.#lineIndex);
  }

  /** Parses the lines inside of a block. */
  #parseNested(lines) {
    const isLast = this.#lineIndex >= this.#lines.length;
    return new BlockParser(lines.join("\n"), this.#isPartial && isLast, this.#depth + 1).parse();
  }

  #parseCodeBlock() {
    const match = CODE_FENCE.exec(this.#line);
    if (!match) return null;
    const [, fence, info] = match;
    const end = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}[ \\t]*$`);
    this.#lineIndex++;
    const lines = this.#takeWhile((line) => !end.test(line));
    const isUnclosed = this.#isPartial && this.#lineIndex === this.#lines.length;
    if (isUnclosed && /^ {0,3}[`~]+$/.test(lines.at(-1) ?? "")) lines.pop();
    this.#lineIndex++;
    return { tag: "pre", text: lines.join("\n"), language: info.trim().split(/\s/)[0] };
  }

  #parseHeading() {
    const match = HEADING.exec(this.#line);
    if (!match) return null;
    const text = withoutClosingSequence(this.#line.slice(match[0].length).trim());
    this.#lineIndex++;
    return { tag: "h", level: match[1].length, text };
  }

  #parseThematicBreak() {
    if (!THEMATIC_BREAK.test(this.#line)) return null;
    this.#lineIndex++;
    return { tag: "hr" };
  }

  #parseBlockQuote() {
    if (!BLOCK_QUOTE.test(this.#line)) return null;
    const lines = this.#takeWhile((line) => BLOCK_QUOTE.test(line));
    return {
      tag: "blockquote",
      blocks: this.#parseNested(lines.map((line) => line.replace(BLOCK_QUOTE, ""))),
    };
  }

  #parseList() {
    const firstItem = parseItemStart(this.#line);
    if (!firstItem) return null;
    const items = [];
    /** @type {typeof firstItem | null} */
    let item = firstItem;
    while (item !== null && item.kind === firstItem.kind) {
      items.push(this.#parseItem(item));
      item = this.#lineIndex < this.#lines.length ? parseItemStart(this.#line) : null;
    }
    return { tag: firstItem.kind.length > 1 ? "ol" : "ul", firstNumber: firstItem.number, items };
  }

  #parseItem({ indent, text }) {
    this.#lineIndex++;
    const rest = this.#takeWhile((line, lineIndex) => this.#continuesItem(line, lineIndex, indent));
    return this.#parseNested([text, ...rest.map((line) => removeIndent(line, indent))]);
  }

  /** Tells whether a line belongs to the list item above it, whose text has this indent. */
  #continuesItem(line, lineIndex, indent) {
    if (isBlank(line)) {
      const next = this.#lines.slice(lineIndex, lineIndex + 3).find((each) => !isBlank(each)) ?? "";
      return indentOf(next) >= Math.min(indent, 2) && indentOf(next) > 0;
    }
    if (indentOf(line) >= Math.min(indent, 2)) return true;
    return (
      !isBlank(this.#lines[lineIndex - 1]) &&
      !interruptsParagraph(line) &&
      parseItemStart(line) === null
    );
  }

  #parseTable() {
    const isPartial = this.#isPartialTable(this.#line, this.#lines[this.#lineIndex + 1]);
    if (!isPartial && !this.#isTable(this.#lineIndex)) return null;
    const [head, delimiterRow = ""] = this.#lines.slice(this.#lineIndex, (this.#lineIndex += 2));
    const rows = this.#takeWhile((line) => line.includes("|"));
    const alignments = isPartial ? [] : splitRow(delimiterRow).map(alignmentOf);
    return { tag: "table", head: splitRow(head), rows: rows.map(splitRow), alignments };
  }

  /** Tells whether a table starts at a line: a header, and a delimiter row of as many columns. */
  #isTable(lineIndex) {
    const [head, delimiterRow] = [this.#lines[lineIndex], this.#lines[lineIndex + 1]?.trim()];
    if (!delimiterRow || !head.includes("|") || !DELIMITER_ROW.test(delimiterRow)) return false;
    return splitRow(delimiterRow).length === splitRow(head).length;
  }

  /** Tells whether the last lines look like the start of a table, which is then shown as one. */
  #isPartialTable(head, delimiterRow) {
    const isLast = this.#isPartial && this.#lineIndex + 2 >= this.#lines.length;
    return (
      isLast &&
      /^ {0,3}\|/.test(head) &&
      (!delimiterRow || PARTIAL_DELIMITER_ROW.test(delimiterRow))
    );
  }

  #parseParagraph(isInterrupted) {
    const first = this.#lineIndex++;
    this.#takeWhile((line, lineIndex) => !isBlank(line) && !isInterrupted(line, lineIndex));
    const lines = this.#lines.slice(first, this.#lineIndex);
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
  return indent.replaceAll("\t", TAB_AS_SPACES).length;
}

/** Removes this many columns of a line's indent. */
function removeIndent(line, columns) {
  let position = 0;
  for (; columns > 0 && (line[position] === " " || line[position] === "\t"); position++)
    columns -= line[position] === "\t" ? TAB_AS_SPACES.length : 1;
  return line.slice(position);
}

/** Removes the `##` at the end of a heading. */
function withoutClosingSequence(text) {
  let end = text.length;
  while (text[end - 1] === "#") end--;
  return end === 0 || /\s/.test(text[end - 1]) ? text.slice(0, end).trimEnd() : text;
}

/** Tells whether a line ends the paragraph before it without a blank line between them. */
function interruptsParagraph(line) {
  const item = LIST_ITEM.exec(line);
  const isItem = item !== null && Boolean(item[4]) && /^(?:[-*+]|1[.)])$/.test(item[2]);
  return (
    isItem ||
    [CODE_FENCE, HEADING, THEMATIC_BREAK, BLOCK_QUOTE].some((pattern) => pattern.test(line))
  );
}

/** Returns the indent, text, kind and number of the list item that a line starts, or null. */
function parseItemStart(line) {
  const match = LIST_ITEM.exec(line);
  if (!match || THEMATIC_BREAK.test(line)) return null;
  const [, before, marker, space = " ", text = ""] = match;
  const indent = before.length + marker.length + (space.length > 4 ? 1 : space.length);
  const isOrdered = marker.length > 1;
  return {
    indent,
    text,
    kind: isOrdered ? `1${marker.at(-1)}` : marker,
    number: parseInt(marker, 10),
  };
}

function splitRow(line) {
  const inner = line
    .trim()
    .replace(/^\|/, "")
    .replace(/(^|[^\\])\|$/, "$1");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replace(/\\\|/g, "|"));
}

function alignmentOf(delimiterRow) {
  const [left, right] = [delimiterRow.startsWith(":"), delimiterRow.endsWith(":")];
  return left && right ? "center" : right ? "right" : null;
}
