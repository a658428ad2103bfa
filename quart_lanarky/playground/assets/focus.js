/** Keeps the focus where it is while parts of the page are built anew. */

const IDENTITY = ["tagName", "type", "name", "textContent"];

/**
 * Calls a function that may replace the focused control, and focuses the one that took its place.
 * @param {() => void} rebuild
 */
export function keepFocus(rebuild) {
  const focused = /** @type {any} */ (document.activeElement);
  rebuild();
  if (focused === null || focused.isConnected) return;
  const candidates = /** @type {NodeListOf<any>} */ (document.querySelectorAll(focused.localName));
  const successors = [...candidates].filter((each) =>
    IDENTITY.every((property) => each[property] === focused[property]),
  );
  const successor = successors.find(({ checked }) => checked) ?? successors[0];
  if (successor) moveFocus(focused, successor);
}

/** Focuses a control, with the cursor where it was in the one before. */
function moveFocus(focused, successor) {
  const details = successor.closest("details");
  if (details) details.open = true;
  successor.focus();
  const { selectionStart, selectionEnd } = focused;
  // Only texts have a selection; a number has none.
  if (typeof selectionStart === "number") successor.setSelectionRange(selectionStart, selectionEnd);
}
