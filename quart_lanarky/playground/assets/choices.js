/** Creates a group of radio buttons: one choice of a few. */

import { showError } from "./controls.js";
import { element, uniqueId } from "./elements.js";

/**
 * @typedef {object} Choices
 * @property {HTMLElement} element
 * @property {() => any} read returns the value that is chosen; throws an Error if none is
 * @property {(message: string) => void} showError shows an error message, "" for none
 */

/**
 * Creates a group of radio buttons, of which none is chosen at first.
 * @param {string} legend
 * @param {{label: string, value: any}[]} options
 * @param {(value: any) => void} [onChoice] is called with the value of each choice
 * @returns {Choices}
 */
export function createChoices(legend, options, onChoice = () => {}) {
  const name = uniqueId("choice");
  const inputs = options.map(() => element("input", { type: "radio", name, required: true }));
  const errorElement = element("p", { class: "wrong", id: `${name}-wrong`, hidden: true });
  const labels = options.map(({ label }, n) =>
    element("label", {}, inputs[n], element("span", {}, label)),
  );
  const group = element(
    "fieldset",
    { class: "choices", role: "radiogroup", "aria-describedby": errorElement.id },
    element("legend", { class: "visually-hidden" }, legend),
    element("div", { class: "options" }, ...labels),
    errorElement,
  );
  const show = (message) => inputs.forEach((input) => showError(input, errorElement, message));
  const chosen = () => options[inputs.findIndex(({ checked }) => checked)];
  group.addEventListener("change", () => {
    show("");
    onChoice(chosen().value);
  });
  const read = () => {
    if (!chosen()) throw new Error("Choose one of these.");
    return chosen().value;
  };
  return { element: group, read, showError: show };
}
