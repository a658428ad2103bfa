/* What a narrow page wants to know: what each cell of a table is about, and where names may break. */

const TABLES = ".md-typeset table:not([class])";
const NAMES = ".md-typeset :is(:not(pre) > code, .doc-object-name)";
const LONG_NAME = /\S{10,}/g;
const AFTER_A_PART = /(?<=\w[._/=]|::)(?=[A-Za-z])|(?<=[a-z])(?=[A-Z])/g;
const MARK = "\u200b"; // it is in no name, and none stays: who copies a name gets the name

for (const table of document.querySelectorAll(TABLES)) {
  const [, ...labels] = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent);
  for (const cell of table.querySelectorAll("tbody td + td")) {
    const label = labels[cell.cellIndex - 1];
    if (label) cell.dataset.label = label;
  }
}

for (const name of document.querySelectorAll(NAMES)) {
  if (name.childElementCount > 0) continue;
  const marked = name.textContent.replace(LONG_NAME, (word) => word.replace(AFTER_A_PART, MARK));
  const [first, ...others] = marked.split(MARK);
  name.replaceChildren(first, ...others.flatMap((part) => [document.createElement("wbr"), part]));
}
