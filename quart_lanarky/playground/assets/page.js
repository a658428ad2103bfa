/** The page: the list of routes, the one that is tried, and what holds them together. */

import { Composer } from "./composer.js";
import { readDocuments } from "./documents.js";
import { Drawer } from "./drawer.js";
import { button, element } from "./elements.js";
import { questionOf } from "./question.js";
import { switchTheme } from "./theme.js";
import { Thread } from "./thread.js";
import { waitFor } from "./watch.js";

const { root, openapi, asyncapi } = /** @type {any} */ (document.body.dataset);
const ROOT = new URL(root, location.href).href;
const find = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

const drawer = new Drawer(find("drawer"));
const visits = new Map(); // by key: what there is to keep of a route when another one is tried
let routes = [];
/** @type {any} */
let current = null;

/** Read the documents, and show what is in them. */
async function read() {
  const places = { openapi: ROOT + openapi, asyncapi: ROOT + asyncapi };
  const found = await readDocuments(places);
  routes = found.routes;
  const list = /** @type {Element} */ (find("routes").firstElementChild);
  list.replaceChildren(...routes.map(listed));
  if (routes.length === 0) showEmpty();
  else show();
}

function listed({ key, summary }) {
  const link = element(
    "a",
    { href: `#${key}` },
    element("code", {}, key),
    element("span", {}, summary),
  );
  return element("li", {}, link);
}

/** Show the route that the address names, or the first one. */
function show() {
  const named = decodeURIComponent(location.hash.slice(1));
  const route = routes.find(({ key }) => key === named) ?? routes[0];
  mark(routes.indexOf(route));
  visit(route);
}

/** Mark the route that is tried in the list of all. */
function mark(chosen) {
  find("routes")
    .querySelectorAll("a")
    .forEach((link, n) => {
      if (n === chosen) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
      if (n === chosen) link.scrollIntoView({ block: "nearest" });
    });
}

/** Show a route as it was left. */
function visit(route) {
  const known = visits.get(route.key) ?? { memory: new Map(), transport: route.ways[0].transport };
  const thread = known.thread ?? newThread(route.key);
  const way = route.ways.find(({ transport }) => transport === known.transport) ?? route.ways[0];
  const composer = new Composer(way, known.memory, { onAsk: ask, onStop: () => thread.stop() });
  composer.isAnswering = thread.isAnswering;
  current = { ...known, route, way, thread, composer, state: known.state ?? "" };
  visits.set(route.key, current);
  find("route").replaceChildren(...headOf(current).filter((part) => part !== null));
  find("conversation").replaceChildren(thread.element);
  find("ask").replaceChildren(composer.element);
  thread.toBottom();
}

function newThread(key) {
  return new Thread(find("conversation"), {
    onTurn: (turn) => drawer.follow(turn),
    onDetails: (turn, tab) => drawer.open(turn, tab),
    onEvents: () => drawer.refresh(),
    onState(state) {
      visits.get(key).state = state;
      if (current.route.key === key) showState();
    },
  });
}

function headOf({ route, way }) {
  return [
    element("h2", {}, element("code", {}, route.key)),
    route.summary ? element("p", { class: "summary" }, route.summary) : null,
    transports(route, way),
    element(
      "p",
      { class: "place" },
      element("code", {}, `${way.method} ${way.path}`),
      element("span", { id: "state" }),
    ),
  ];
}

const TRANSPORTS = { sse: "Server-sent events", websocket: "WebSocket" };

function transports({ ways }, chosen) {
  const choices = ways.map((way) => {
    const name = { type: "radio", name: "transport", value: way.transport };
    const input = element("input", { ...name, checked: way === chosen, onchange: switchWay });
    return element("label", {}, input, element("span", {}, TRANSPORTS[way.transport]));
  });
  const legend = element("legend", { class: "visually-hidden" }, "Transport");
  return element("fieldset", { class: "transport" }, legend, ...choices);
}

function switchWay({ target }) {
  current.transport = target.value;
  visit(current.route);
  /** @type {HTMLElement} */ (document.querySelector("[name=transport]:checked")).focus();
  showState();
}

function showState() {
  find("state").textContent = current.transport === "websocket" ? (current.state ?? "") : "";
}

/** Ask what was given. */
async function ask() {
  const { route, way, thread, composer } = current;
  const given = composer.read(thread.messages);
  if (given === null || thread.isAnswering) return;
  const question = questionOf(way, ROOT, given.parameters, given.inputs);
  composer.clear();
  composer.isAnswering = true;
  announce("Answering");
  const turn = await thread.ask(question, given);
  const now = visits.get(route.key).composer; // another one, if the transport was switched
  now.isAnswering = false;
  drawer.refresh();
  announce(turn.spoken);
  if (turn.problem?.fields?.length) now.complain(turn.problem.fields);
  if (turn.problem?.isAway) recover();
}

function announce(text) {
  find("announcer").textContent = text;
}

/** Wait until the server is there again, and read what it says of itself now. */
async function recover() {
  find("banner").textContent = "The server does not answer. This page waits for it.";
  if (!(await waitFor(read))) return;
  find("banner").textContent = "The server answers. Its documents were read again.";
  setTimeout(() => (find("banner").textContent = ""), 6000);
}

const EXAMPLE = `@app.post("/chat")
@app.websocket("/chat/ws")
@stream_chain
def chat():
    return prompt | model`;

function showEmpty() {
  const code = element("div", { class: "code" }, element("pre", {}, element("code", {}, EXAMPLE)));
  const text = "This app has no chain routes yet. Add one, and load this page again:";
  showInstead("Nothing to try", element("p", {}, text), code);
}

function showInstead(title, ...content) {
  find("route").replaceChildren(element("h2", {}, title));
  find("conversation").replaceChildren(element("div", { class: "thread" }, ...content));
  find("ask").replaceChildren();
}

function showProblem({ problem }) {
  const { title, detail, advice = "" } = problem;
  showInstead(
    "The documents cannot be read",
    element(
      "div",
      { class: "problem" },
      element("strong", {}, title),
      element("p", {}, detail),
      element("p", {}, advice),
    ),
    element("p", {}, button("Try again", start, { class: "primary" })),
  );
  if (problem.isAway) recover();
}

const NO_DOCUMENTS = {
  title: "This app serves no documents",
  detail: "The playground learns from the OpenAPI document what there is. Its path was turned off.",
  advice: "Give QuartSchema an openapi_path, or leave it out.",
};

async function start() {
  try {
    if (!openapi) showProblem({ problem: NO_DOCUMENTS });
    else await read();
  } catch (error) {
    if (!error.problem) throw error;
    showProblem(error);
  }
}

function key(event) {
  if (event.key !== "Escape") return;
  if (current?.thread.isAnswering) current.thread.stop();
  else if (drawer.isOpen) drawer.close();
}

function toggleMenu(isOpen) {
  find("menu").setAttribute("aria-expanded", String(isOpen));
}

switchTheme(find("theme"));
document.addEventListener("keydown", key);
window.addEventListener("hashchange", () => {
  toggleMenu(false);
  if (routes.length > 0) show();
});
find("menu").addEventListener("click", () =>
  toggleMenu(find("menu").getAttribute("aria-expanded") !== "true"),
);
/** @type {Element} */ (document.querySelector(".skip")).addEventListener("click", (event) => {
  event.preventDefault(); // the address says which route it is
  current?.composer.focus();
});
await start();
