/** Elements made from text and attributes. Nothing on this page is ever parsed as HTML. */

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Object<string, any>} [attributes] `on…` are listeners; true is an empty attribute, false
 *   and null are none
 * @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false)
      made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Make a button. */
export function button(label, onclick, attributes = {}) {
  return element("button", { type: "button", onclick, ...attributes }, label);
}

/**
 * Make a button that copies a text, and says for a moment that it did.
 * @param {() => string} text
 * @param {string} what names what is copied, for those who do not see where the button is
 */
export function copyButton(text, what) {
  const copy = async () => {
    const isCopied = await toClipboard(text());
    made.textContent = isCopied ? "Copied" : "Not copied";
    setTimeout(() => (made.textContent = "Copy"), 1500);
  };
  const made = button("Copy", copy, { class: "quiet copy", "aria-label": `Copy ${what}` });
  return made;
}

async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // a page that came over plain HTTP has no clipboard
  }
}

function copyBySelection(text) {
  const area = element("textarea", { class: "visually-hidden", "aria-hidden": "true" });
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  area.value = text;
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return isCopied;
}

let lastId = 0;

/** Return an id that no other element has. */
export function freshId(prefix) {
  return `${prefix}-${++lastId}`;
}
