/* What a narrow page wants to know: what each cell of a table is about, and where names may break. */

const TABLES = ".md-typeset table:not([class])";
const NAMES = ".md-typeset :is(:not(pre) > code, .doc-object-name)";
const LONG_NAME = /\S{10,}/g;
const AFTER_A_PART = /(?<=\w[._/=]|::)(?=[A-Za-z])|(?<=[a-z])(?=[A-Z])/g;
const MARK = "\u200b"; // it is in no name, and none stays: who copies a name gets the name

for (const table of document.querySelectorAll(TABLES)) {
  const names = [...table.querySelectorAll("thead th")].map(({ textContent }) => textContent);
  for (const cell of table.querySelectorAll("tbody td"))
    if (cell.cellIndex > 0 && names[cell.cellIndex]) cell.dataset.label = names[cell.cellIndex];
}

for (const code of document.querySelectorAll(NAMES)) {
  if (code.childElementCount > 0) continue;
  const marked = code.textContent.replace(LONG_NAME, (name) => name.replace(AFTER_A_PART, MARK));
  const [first, ...others] = marked.split(MARK);
  code.replaceChildren(first, ...others.flatMap((part) => [document.createElement("wbr"), part]));
}
