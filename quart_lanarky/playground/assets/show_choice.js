/** Lets the user choose what a route shows besides the answer. */

import { element } from "./elements.js";

/** The parameter by which a request asks for less than its route shows. */
const PARAMETER = "show";

/**
 * Tells whether a field is the one that names what to show.
 * @param {import("./schemas.js").Field} field
 * @param {import("./api_specs.js").Endpoint} endpoint
 * @returns {boolean}
 */
export function isShowField({ name, location }, { shows }) {
  return shows.length > 0 && name === PARAMETER && location === "query";
}

/**
 * Creates a checkbox for each thing that a route shows, in place of a text box for their names.
 * @param {import("./schemas.js").Field} field
 * @param {string[]} names
 * @param {Map<string, any>} savedValues the choice made before; kept up to date
 * @returns {import("./controls.js").Control}
 */
export function createShowChoice(field, names, savedValues) {
  const hidden = new Set(savedValues.get(field.name) ?? []); // is empty at first: all are shown
  const labels = names.map((name) => {
    const input = element("input", { type: "checkbox", name: `show-${name}` });
    input.checked = !hidden.has(name);
    input.addEventListener("change", () => {
      if (input.checked) hidden.delete(name);
      else hidden.add(name);
      savedValues.set(field.name, [...hidden]);
    });
    return element("label", {}, input, ` ${name}`);
  });
  const legend = element("legend", { class: "visually-hidden" }, "What to show besides the answer");
  const group = element("fieldset", { class: "shows" }, legend, "Show", ...labels);
  return {
    field,
    element: group,
    input: /** @type {HTMLElement} */ (labels[0].firstElementChild),
    read: () => (hidden.size === 0 ? undefined : names.filter((each) => !hidden.has(each)).join()),
    showError: () => {},
  };
}
