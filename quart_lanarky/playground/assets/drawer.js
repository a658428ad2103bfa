/** Shows the details of a turn in a panel at the side: its events, and its request as code. */

import { button, copyButton, element } from "./elements.js";
import { snippetsOf } from "./snippets.js";

const MAX_EVENTS_SHOWN = 500; // the latest events, so that the list stays short
const MAX_DATA_SHOWN = 20_000; // characters of each: an event may have a file in it

export class Drawer {
  #root;
  #body = element("div", { class: "body", id: "details", role: "tabpanel", tabindex: "0" });
  #title = element("h2");
  #tabs;
  /** @type {any} */
  #turn = null;
  #tab = "Events";
  #shownCount = 0;
  /** @type {HTMLElement | null} */
  #previousFocus = null;

  /** @param {HTMLElement} root the element of the panel */
  constructor(root) {
    this.#root = root;
    this.#tabs = ["Events", "Code"].map((name) =>
      button(name, () => this.open(this.#turn, name), { role: "tab", "aria-controls": "details" }),
    );
    const tabs = element("div", { role: "tablist", "aria-label": "Details" }, ...this.#tabs);
    tabs.addEventListener("keydown", (event) => this.#handleKeydown(event));
    const close = button("Close", () => this.close(), { class: "quiet" });
    root.append(element("header", {}, this.#title, close), tabs, this.#body);
  }

  get isOpen() {
    return !this.#root.hidden;
  }

  /**
   * Shows the details of a turn.
   * @param {import("./turn.js").Turn} turn
   * @param {string} tab "Events" or "Code"
   */
  open(turn, tab) {
    if (!this.isOpen) this.#previousFocus = /** @type {HTMLElement} */ (document.activeElement);
    const isOpening = !this.isOpen;
    [this.#turn, this.#tab, this.#shownCount] = [turn, tab, 0];
    this.#root.hidden = false;
    this.#title.textContent = `Question ${turn.number}`;
    for (const each of this.#tabs) {
      const isChosen = each.textContent === tab;
      each.setAttribute("aria-selected", String(isChosen));
      each.tabIndex = isChosen ? 0 : -1;
      if (isChosen && isOpening) each.focus();
    }
    this.#body.setAttribute("aria-label", tab);
    this.#body.replaceChildren(...(tab === "Code" ? codeView(turn) : this.#eventsView()));
    this.refresh();
  }

  /**
   * Shows the details of another turn, unless the panel is closed.
   * @param {import("./turn.js").Turn} turn
   */
  switchTo(turn) {
    if (this.isOpen) this.open(turn, this.#tab);
  }

  /** Adds the latest events of the turn, if the list of events is open. */
  refresh() {
    const list = this.#body.querySelector("ol");
    if (!this.isOpen || this.#tab !== "Events" || !list) return;
    const { events } = this.#turn.answer;
    const from = Math.max(this.#shownCount, events.length - MAX_EVENTS_SHOWN);
    list.append(...events.slice(from).map(eventView));
    while (list.childElementCount > MAX_EVENTS_SHOWN)
      /** @type {Element} */ (list.firstElementChild).remove();
    this.#shownCount = events.length;
    const count = /** @type {Element} */ (this.#body.querySelector(".count"));
    count.textContent = countText(events.length);
  }

  #eventsView() {
    const copy = copyButton(() => this.#turn.answer.events.map(eventToJson).join("\n"), "events");
    const bar = element("div", { class: "bar" }, element("span", { class: "count" }), copy);
    return [bar, element("ol", { class: "events" })];
  }

  /** Switches between the two tabs with the arrow keys. */
  #handleKeydown(event) {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const isOther = (tab) => tab.tabIndex === -1;
    const other = /** @type {HTMLElement} */ (this.#tabs.find(isOther));
    other.click();
    other.focus();
  }

  /** Closes the panel, and returns the focus to where it was. */
  close() {
    this.#root.hidden = true;
    if (this.#previousFocus?.isConnected) this.#previousFocus.focus();
  }
}

function countText(count) {
  const all = count === 1 ? "1 event" : `${count} events`;
  return count > MAX_EVENTS_SHOWN ? `${all}, the last ${MAX_EVENTS_SHOWN} are shown` : all;
}

function eventToJson({ name, data, elapsed }) {
  return JSON.stringify({ milliseconds: Math.round(elapsed), event: name, data });
}

function eventView({ name, data, elapsed }) {
  return element(
    "li",
    {},
    element("span", { class: "at" }, `+${Math.round(elapsed)} ms`),
    element("code", { class: "name" }, name),
    element("code", { class: "data" }, shownData(data)),
  );
}

function shownData(data) {
  if (data.length <= MAX_DATA_SHOWN) return data;
  return `${data.slice(0, MAX_DATA_SHOWN)}… (${data.length} characters; Copy has all)`;
}

function codeView({ request }) {
  const views = snippetsOf(request).map(({ name, code }) => {
    const bar = element(
      "div",
      { class: "bar" },
      element("h3", {}, name),
      copyButton(() => code, name),
    );
    return element(
      "div",
      { class: "code" },
      bar,
      element("pre", { tabindex: "0" }, element("code", {}, code)),
    );
  });
  const hint = "It asks without the cookies of your browser.";
  return [...views, element("p", { class: "hint" }, hint)];
}
