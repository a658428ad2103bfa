/**
 * Sets up the playground page: lists the chain routes, shows the selected one, sends its requests.
 */

import { loadApiSpecs } from "./api_specs.js";
import { beginConversation } from "./conversation_id.js";
import { Drawer } from "./drawer.js";
import { button, element } from "./elements.js";
import { keepFocus } from "./focus.js";
import { buildRequest } from "./request.js";
import { RequestForm } from "./request_form.js";
import { retryUntilReachable } from "./retry.js";
import { setUpThemeButton } from "./theme.js";
import { Thread } from "./thread.js";

const { root, openapi, asyncapi } = /** @type {any} */ (document.body.dataset);
const ROOT_URL = new URL(root, location.href).href;
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

const drawer = new Drawer(byId("drawer"));
const routeStates = new Map(); // by route key: what is kept of a route while another one is shown
/** @type {import("./api_specs.js").Route[]} */
let routes = [];
/** @type {any} the state of the route that is shown */
let current = null;

/** Loads the API specs, and shows the chain routes in them. */
async function loadRoutes() {
  const urls = { openapi: ROOT_URL + openapi, asyncapi: ROOT_URL + asyncapi };
  const specs = await loadApiSpecs(urls);
  routes = specs.routes;
  keepFocus(() => {
    const list = /** @type {Element} */ (byId("routes").firstElementChild);
    list.replaceChildren(...routes.map(listItem));
    if (routes.length === 0) showEmpty();
    else showSelectedRoute();
  });
}

function listItem({ key, summary }) {
  const link = element(
    "a",
    { href: `#${key}` },
    element("code", {}, key),
    element("span", {}, summary),
  );
  return element("li", {}, link);
}

/** Shows the route that the URL fragment names, or the first one, and says so if it names none. */
function showSelectedRoute() {
  const selectedKey = decodedFragment();
  const selected = routes.find(({ key }) => key === selectedKey);
  const route = selected ?? routes[0];
  highlight(routes.indexOf(route));
  showRoute(route);
  if (selectedKey && !selected) byId("route").prepend(unknownRouteNote(selectedKey, route));
}

function unknownRouteNote(key, shown) {
  const text = `There is no chain route ${key}. This is ${shown.key}, the first one.`;
  return element("p", { class: "unknown", role: "status" }, text);
}

/** Returns the URL fragment; as it is where it is no valid encoding, which a person can type. */
function decodedFragment() {
  const fragment = location.hash.slice(1);
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}

/** Marks the selected route in the list. */
function highlight(selectedIndex) {
  byId("routes")
    .querySelectorAll("a")
    .forEach((link, n) => {
      if (n === selectedIndex) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
      if (n === selectedIndex) link.scrollIntoView({ block: "nearest" });
    });
}

/** Shows a route in the state in which it was left. */
function showRoute(route) {
  const saved = routeStates.get(route.key) ?? newState(route);
  const { thread } = saved;
  const endpoint =
    route.endpoints.find(({ transport }) => transport === saved.transport) ?? route.endpoints[0];
  const form = new RequestForm(endpoint, saved.savedValues, {
    onSend: send,
    onStop: () => thread.stop(),
  });
  form.isAnswering = thread.isAnswering;
  current = { ...saved, route, endpoint, form };
  routeStates.set(route.key, current);
  byId("route").replaceChildren(...routeHeader(current).filter((part) => part !== null));
  byId("conversation").replaceChildren(thread.element);
  byId("ask").replaceChildren(form.element);
  thread.scrollToBottom();
  showConnectionState();
}

/** Returns the state of a route that was not shown before. */
function newState(route) {
  const savedValues = new Map();
  beginConversation(route, savedValues);
  const thread = newThread(route.key);
  return { savedValues, thread, transport: route.endpoints[0].transport, connectionState: "" };
}

/** Begins a new conversation with the route that is shown. */
function startConversation() {
  const { route, thread, savedValues } = current;
  thread.close();
  beginConversation(route, savedValues);
  Object.assign(current, { thread: newThread(route.key), connectionState: "" });
  drawer.close();
  showRoute(route);
  current.form.focus();
  announce("New conversation");
}

function newThread(key) {
  return new Thread(byId("conversation"), {
    onNewTurn: (turn) => drawer.switchTo(turn),
    onShowDetails: (turn, tab) => drawer.open(turn, tab),
    onAnswer: answer,
    onUpdate: () => drawer.refresh(),
    onConnectionState(connectionState) {
      routeStates.get(key).connectionState = connectionState;
      if (current.route.key === key) showConnectionState();
    },
  });
}

function routeHeader({ route, endpoint }) {
  return [
    element("h2", {}, element("code", {}, route.key)),
    route.summary ? element("p", { class: "summary" }, route.summary) : null,
    transportChoice(route, endpoint),
    element(
      "p",
      { class: "place" },
      element("code", {}, `${endpoint.method} ${endpoint.path}`),
      element("span", { id: "state" }),
      button("New conversation", startConversation, { class: "quiet" }),
    ),
  ];
}

const TRANSPORT_LABELS = { sse: "Server-sent events", websocket: "WebSocket" };

function transportChoice({ endpoints }, selected) {
  const choices = endpoints.map((endpoint) => {
    const attributes = { type: "radio", name: "transport", value: endpoint.transport };
    const input = element("input", {
      ...attributes,
      checked: endpoint === selected,
      onchange: switchTransport,
    });
    return element("label", {}, input, element("span", {}, TRANSPORT_LABELS[endpoint.transport]));
  });
  const legend = element("legend", { class: "visually-hidden" }, "Transport");
  return element("fieldset", { class: "transport" }, legend, ...choices);
}

function switchTransport({ target }) {
  current.transport = target.value;
  showRoute(current.route);
  /** @type {HTMLElement} */ (document.querySelector("[name=transport]:checked")).focus();
}

function showConnectionState() {
  byId("state").textContent =
    current.transport === "websocket" ? (current.connectionState ?? "") : "";
}

/** Sends the values of the form, and shows the answer. */
async function send() {
  const { route, endpoint, thread, form } = current;
  const values = form.readValues(thread.messages);
  if (values === null || thread.isAnswering) return;
  const request = buildRequest(endpoint, ROOT_URL, values.parameters, values.inputs);
  form.clearMainInput();
  const turn = await follow(() => thread.send(request, values));
  if (turn?.problem?.fields?.length) routeStates.get(route.key).form.showErrors(turn.problem.fields);
}

/** Sends the answers to what a turn waits for, and shows how it goes on. */
async function answer(interrupted, answers) {
  const { thread, form } = current;
  if (thread.isAnswering) {
    interrupted.card.showRefusal(STILL_ANSWERING);
    announce(`${STILL_ANSWERING.title}. ${STILL_ANSWERING.detail}`);
    return;
  }
  const hadFocus = interrupted.card.element.contains(document.activeElement);
  const answered = follow(() => thread.resume(interrupted, answers));
  if (hadFocus) form.focus();
  const turn = await answered;
  if (turn?.isRefused) interrupted.card.focus();
}

const STILL_ANSWERING = {
  title: "An answer is in progress",
  detail: "Wait for it, or stop it.",
};

/**
 * Shows that the route answers until a turn has ended, and what follows from it.
 * @param {() => Promise<import("./turn.js").Turn>} start starts the turn
 * @returns {Promise<import("./turn.js").Turn | null>} null if its route is no longer shown
 */
async function follow(start) {
  const { route, thread, form } = current;
  form.isAnswering = true;
  announce("Answering");
  const turn = await start();
  const state = routeStates.get(route.key);
  if (state.thread !== thread) return null;
  state.form.isAnswering = false; // another form than before if the transport was switched
  drawer.refresh();
  announce(turn.announcement);
  if (turn.problem?.mayBeDown) waitForServer();
  if (state === current && turn.card && mayTakeFocus(state.form)) turn.card.focus();
  return turn;
}

/** Tells whether the focus may move: not while something is written, or looked at elsewhere. */
function mayTakeFocus(form) {
  const { activeElement } = document;
  const isElsewhere = activeElement !== document.body && !form.element.contains(activeElement);
  return !isElsewhere && !form.hasDraft;
}

function announce(text) {
  byId("announcer").textContent = text;
}

/** Waits until the server answers again, and loads the API specs anew. */
async function waitForServer() {
  byId("banner").textContent = "The server does not answer. This page waits for it.";
  if (!(await retryUntilReachable(loadRoutes))) return;
  byId("banner").textContent = "The server answers. Its API specs were read again.";
  setTimeout(() => (byId("banner").textContent = ""), 6000);
}

const EXAMPLE_ROUTE = `@app.post("/chat")
@app.websocket("/chat/ws")
@stream_chain
def chat():
    return prompt | model`;

function showEmpty() {
  const code = element(
    "div",
    { class: "code" },
    element("pre", {}, element("code", {}, EXAMPLE_ROUTE)),
  );
  const text = "This app has no chain routes yet. Add one, and load this page again:";
  showPlaceholder("Nothing to try", element("p", {}, text), code);
}

/** Shows something else in place of a route. */
function showPlaceholder(title, ...content) {
  byId("route").replaceChildren(element("h2", {}, title));
  byId("conversation").replaceChildren(element("div", { class: "thread" }, ...content));
  byId("ask").replaceChildren();
}

function showProblem({ problem }) {
  const { title, detail, advice = "" } = problem;
  showPlaceholder(
    "The API specs cannot be read",
    element(
      "div",
      { class: "problem" },
      element("strong", {}, title),
      element("p", {}, detail),
      element("p", {}, advice),
    ),
    element("p", {}, button("Try again", start, { class: "primary" })),
  );
  if (problem.mayBeDown) waitForServer();
}

const NO_API_SPECS = {
  title: "This app serves no API specs",
  detail: "The playground finds the chain routes in the OpenAPI spec, whose path was turned off.",
  advice: "Give QuartSchema an openapi_path, or leave it out.",
};

/** Loads the routes, and shows why if that fails. */
async function start() {
  try {
    if (!openapi) showProblem({ problem: NO_API_SPECS });
    else await loadRoutes();
  } catch (error) {
    if (!error.problem) throw error;
    showProblem(error);
  }
}

function handleKeydown(event) {
  if (event.key !== "Escape") return;
  if (isMenuShown()) closeMenu();
  else if (current?.thread.isAnswering) current.thread.stop();
  else if (drawer.isOpen) drawer.close();
}

function setMenuOpen(isOpen) {
  byId("menu").setAttribute("aria-expanded", String(isOpen));
}

/** Tells whether the list of routes is open as a menu; on a wide screen it is no menu. */
function isMenuShown() {
  return byId("menu").checkVisibility() && byId("menu").getAttribute("aria-expanded") === "true";
}

function closeMenu() {
  setMenuOpen(false);
  byId("menu").focus();
}

setUpThemeButton(byId("theme"));
document.addEventListener("keydown", handleKeydown);
window.addEventListener("hashchange", () => {
  setMenuOpen(false);
  if (routes.length > 0) showSelectedRoute();
});
byId("menu").addEventListener("click", () =>
  setMenuOpen(byId("menu").getAttribute("aria-expanded") !== "true"),
);
/** @type {Element} */ (document.querySelector(".skip")).addEventListener("click", (event) => {
  event.preventDefault(); // the fragment of the URL names the route
  current?.form.focus();
});
await start();
