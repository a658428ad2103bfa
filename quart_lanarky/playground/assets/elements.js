/** Creates DOM elements from text and attributes, without ever parsing HTML. */

/**
 * Creates an element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Object<string, any>} [attributes] those named `on…` are event listeners; true makes an
 *   empty attribute, false and null make none
 * @param {...(Node | string | null)} children null is left out
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) created.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false)
      created.setAttribute(name, value === true ? "" : value);
  }
  const shown = (child) => (typeof child === "string" ? visibleText(child) : child);
  created.append(...children.filter((child) => child !== null).map(shown));
  return created;
}

/** The characters that turn the direction of a text around, with all that stands beside it. */
const DIRECTION_CONTROLS = /[\u202A-\u202E\u2066-\u2069]/g;

/**
 * Replaces the invisible characters by which a text could show itself, or what stands beside it, in
 * another order than it has. Right-to-left scripts need none of them.
 * @param {string} text
 * @returns {string} of the same length
 */
export function visibleText(text) {
  return text.replace(DIRECTION_CONTROLS, "\uFFFD");
}

/**
 * Creates a button.
 * @param {string} label
 * @param {((event: Event) => void) | null} onclick
 * @param {Object<string, any>} [attributes] as those of `element`
 * @returns {HTMLButtonElement}
 */
export function button(label, onclick, attributes = {}) {
  return element("button", { type: "button", onclick, ...attributes }, label);
}

/**
 * Creates a button that copies a text, and says for a moment whether that worked.
 * @param {() => string} getText returns the text to copy
 * @param {string} contentName names the text in the button's accessible name
 * @returns {HTMLButtonElement}
 */
export function copyButton(getText, contentName) {
  const copy = async () => {
    const isCopied = await copyToClipboard(getText());
    created.textContent = isCopied ? "Copied" : "Not copied";
    setTimeout(() => (created.textContent = "Copy"), 1500);
  };
  const created = button("Copy", copy, {
    class: "quiet copy",
    "aria-label": `Copy ${contentName}`,
  });
  return created;
}

async function copyToClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // pages served over plain HTTP have no Clipboard API
  }
}

function copyBySelection(text) {
  const textarea = element("textarea", { class: "visually-hidden", "aria-hidden": "true" });
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  textarea.value = text;
  document.body.append(textarea);
  textarea.select();
  const isCopied = document.execCommand("copy");
  textarea.remove();
  focused?.focus();
  return isCopied;
}

let lastId = 0;

/**
 * Returns an id that no other element has.
 * @param {string} prefix
 * @returns {string}
 */
export function uniqueId(prefix) {
  return `${prefix}-${++lastId}`;
}
