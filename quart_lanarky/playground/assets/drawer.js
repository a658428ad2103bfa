/** The details of one question: its events as they came, and the code that asks it. */

import { button, copyButton, element } from "./elements.js";
import { snippetsOf } from "./snippets.js";

const MOST = 500; // events that are shown at once

export class Drawer {
  #root;
  #body = element("div", { class: "body", id: "details", role: "tabpanel", tabindex: "0" });
  #title = element("h2");
  #tabs;
  /** @type {any} */
  #turn = null;
  #tab = "Events";
  #shown = 0;
  /** @type {HTMLElement | null} */
  #opener = null;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
    this.#tabs = ["Events", "Code"].map((name) =>
      button(name, () => this.open(this.#turn, name), { role: "tab", "aria-controls": "details" }),
    );
    const tabs = element("div", { role: "tablist", "aria-label": "Details" }, ...this.#tabs);
    tabs.addEventListener("keydown", (event) => this.#switch(event));
    const close = button("Close", () => this.close(), { class: "quiet" });
    root.append(element("header", {}, this.#title, close), tabs, this.#body);
  }

  get isOpen() {
    return !this.#root.hidden;
  }

  /** Show the details of a turn. */
  open(turn, tab) {
    if (!this.isOpen) this.#opener = /** @type {HTMLElement} */ (document.activeElement);
    const isNew = !this.isOpen;
    [this.#turn, this.#tab, this.#shown] = [turn, tab, 0];
    this.#root.hidden = false;
    this.#title.textContent = `Question ${turn.number}`;
    for (const each of this.#tabs) {
      const isChosen = each.textContent === tab;
      each.setAttribute("aria-selected", String(isChosen));
      each.tabIndex = isChosen ? 0 : -1;
      if (isChosen && isNew) each.focus();
    }
    this.#body.setAttribute("aria-label", tab);
    this.#body.replaceChildren(...(tab === "Code" ? codeView(turn) : this.#eventsView()));
    this.refresh();
  }

  /** Go on to the next question, if the details of one are open. */
  follow(turn) {
    if (this.isOpen) this.open(turn, this.#tab);
  }

  /** Show the events that came since, if those of this turn are open. */
  refresh() {
    const list = this.#body.querySelector("ol");
    if (!this.isOpen || this.#tab !== "Events" || !list) return;
    const { events } = this.#turn.answer;
    const from = Math.max(this.#shown, events.length - MOST);
    list.append(...events.slice(from).map(eventView));
    while (list.childElementCount > MOST) /** @type {Element} */ (list.firstElementChild).remove();
    this.#shown = events.length;
    const count = /** @type {Element} */ (this.#body.querySelector(".count"));
    count.textContent = countOf(events.length);
  }

  #eventsView() {
    const copy = copyButton(() => this.#turn.answer.events.map(recordOf).join("\n"), "events");
    const bar = element("div", { class: "bar" }, element("span", { class: "count" }), copy);
    return [bar, element("ol", { class: "events" })];
  }

  #switch(event) {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const isOther = (tab) => tab.tabIndex === -1;
    const other = /** @type {HTMLElement} */ (this.#tabs.find(isOther));
    other.click();
    other.focus();
  }

  close() {
    this.#root.hidden = true;
    if (this.#opener?.isConnected) this.#opener.focus();
  }
}

function countOf(count) {
  const all = count === 1 ? "1 event" : `${count} events`;
  return count > MOST ? `${all}, the last ${MOST} are shown` : all;
}

function recordOf({ name, data, at }) {
  return JSON.stringify({ milliseconds: Math.round(at), event: name, data });
}

function eventView({ name, data, at }) {
  return element(
    "li",
    {},
    element("span", { class: "at" }, `+${Math.round(at)} ms`),
    element("code", { class: "name" }, name),
    element("code", { class: "data" }, data),
  );
}

function codeView({ question }) {
  const views = snippetsOf(question).map(({ name, code }) => {
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
