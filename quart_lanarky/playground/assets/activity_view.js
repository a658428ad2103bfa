/** Shows what a run does besides answering: each tool, each part of the reasoning, each step. */

import { element } from "./elements.js";
import { formatJson, shortJson } from "./json_text.js";

/** @typedef {import("./activity.js").Activity} Activity */

const STATUS_LABELS = {
  running: "running",
  done: "done",
  failed: "failed",
  cancelled: "cancelled",
  paused: "waits",
  resumed: "goes on below",
};

export class ActivityView {
  #activity;
  #early;
  #late;
  /** @type {Map<import("./activity.js").Entry, {element: HTMLElement, update: () => void}>} */
  #views = new Map();
  #steps = new StepsView();
  #omitted = element("p", { class: "hint" });

  /**
   * @param {Activity} activity
   * @param {HTMLElement} early gets what comes before the answer's text
   * @param {HTMLElement} late gets what comes after its beginning
   */
  constructor(activity, early, late) {
    this.#activity = activity;
    this.#early = element("div", { class: "notes" });
    this.#late = element("div", { class: "notes" });
    early.append(this.#early);
    late.append(this.#late, this.#omitted);
  }

  /** Shows what has changed since the last update. */
  update() {
    for (const entry of this.#activity.takeChanges()) {
      const view = this.#viewOf(entry);
      const place = entry.isBeforeText ? this.#early : this.#late;
      if (view.element.parentElement !== place) place.append(view.element);
      view.update();
    }
    this.#steps.update(this.#activity);
    const { element: steps } = this.#steps;
    if (this.#activity.stepCount > 0 && !steps.parentElement) this.#early.before(steps);
    const { omittedCount } = this.#activity;
    this.#omitted.textContent = omittedCount ? `${omittedCount} more are in Events.` : "";
  }

  #viewOf(entry) {
    const known = this.#views.get(entry);
    if (known) return known;
    const view = VIEWS[entry.kind](entry);
    this.#views.set(entry, view);
    return view;
  }
}

const VIEWS = { tool: toolView, reasoning: reasoningView, custom: customView };

/** @param {import("./activity.js").ToolEntry} tool */
function toolView(tool) {
  const status = element("span", { class: "status" });
  const latest = element("span", { class: "latest" });
  const progress = element("ol", { class: "progress" });
  const progressPart = part("Progress", progress);
  const result = element("pre", { tabindex: "0" });
  const resultPart = part("Result", result);
  const root = element(
    "details",
    { class: "note tool" },
    element("summary", {}, ...placeOf(tool.namespace), element("code", {}, tool.name), latest, status),
    tool.args === undefined
      ? null
      : part("Arguments", element("pre", { tabindex: "0" }, formatJson(tool.args))),
    progressPart,
    resultPart,
  );
  const update = () => {
    root.dataset.status = tool.status;
    status.textContent = STATUS_LABELS[tool.status];
    const last = tool.result === undefined ? tool.progress.at(-1) : tool.result;
    const saying = last === undefined ? tool.args : last;
    latest.replaceChildren(...visible(saying === undefined ? "" : shortJson(saying)));
    progressPart.hidden = tool.progressCount === 0;
    progress.start = tool.progressCount - tool.progress.length + 1;
    progress.replaceChildren(...tool.progress.map((each) => element("li", {}, formatJson(each))));
    resultPart.hidden = tool.result === undefined;
    if (tool.result !== undefined) result.replaceChildren(...visible(formatJson(tool.result)));
  };
  return { element: root, update };
}

/** Returns a text as children of an element, as `element` shows it. */
function visible(text) {
  return element("span", {}, text).childNodes;
}

function part(title, content) {
  return element("div", { class: "part" }, element("h5", {}, title), content);
}

/** Returns the label of a namespace: where in a graph it happens; none for the graph itself. */
function placeOf(namespace = []) {
  if (namespace.length === 0) return [];
  return [element("span", { class: "place" }, `${namespace.join(" › ")} › `)];
}

/** @param {import("./activity.js").ReasoningEntry} reasoning */
function reasoningView(reasoning) {
  const status = element("span", { class: "status" });
  const text = element("p", {});
  const root = element(
    "details",
    { class: "note reasoning" },
    element("summary", {}, element("strong", {}, "Reasoning"), status),
    text,
  );
  let shownLength = 0;
  const update = () => {
    root.dataset.status = reasoning.isDone ? "done" : "running";
    status.textContent = reasoning.isDone ? "" : "thinking";
    text.append(...visible(reasoning.text.slice(shownLength)));
    shownLength = reasoning.text.length;
  };
  return { element: root, update };
}

/** @param {import("./activity.js").CustomEntry} custom */
function customView({ name, payload, namespace }) {
  const summary = element(
    "summary",
    {},
    ...placeOf(namespace),
    element("code", {}, name),
    element("span", { class: "latest" }, shortJson(payload)),
  );
  const full = element("pre", { tabindex: "0" }, formatJson(payload));
  return { element: element("details", { class: "note" }, summary, full), update: () => {} };
}

/** Shows which steps run, in one line, and all of them below it. */
class StepsView {
  #line = element("span", { class: "latest" });
  #status = element("span", { class: "status" });
  #list = element("ol");
  #shown = "";
  element = element(
    "details",
    { class: "note steps" },
    element("summary", {}, element("strong", {}, "Steps"), this.#line, this.#status),
    this.#list,
  );

  /** @param {Activity} activity */
  update({ steps, stepCount }) {
    const running = steps.filter(({ status }) => status === "started");
    const shown = `${stepCount} ${steps.map(({ status }) => status).join(" ")}`;
    if (shown === this.#shown) return; // most updates are about tokens
    this.#shown = shown;
    this.element.dataset.status = running.length > 0 ? "running" : "done";
    this.#status.textContent = running.length > 0 ? "running" : "";
    const line = running.length > 0 ? labelOf(running) : `${stepCount} in all`;
    this.#line.replaceChildren(...visible(line));
    this.#list.start = stepCount - steps.length + 1;
    this.#list.replaceChildren(...steps.map(stepItem));
  }
}

const MAX_RUNNING = 3; // are named in the line

function labelOf(running) {
  const names = running.slice(-MAX_RUNNING).map(nameOf).join(", ");
  const more = running.length - MAX_RUNNING;
  return more > 0 ? `${names} and ${more} more` : names;
}

function nameOf({ name, namespace, agent }) {
  const place = [...namespace, name].join(" › ");
  return agent ? `${agent}: ${place}` : place;
}

function stepItem(step) {
  const label = element("span", { class: "status" }, STEP_LABELS[step.status] ?? step.status);
  return element("li", { "data-status": step.status }, element("code", {}, nameOf(step)), " ", label);
}

const STEP_LABELS = { started: "running", interrupted: "waits" };
