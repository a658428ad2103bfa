/** What can go wrong, in sentences for people. */

/**
 * @typedef {object} Problem
 * @property {string} title
 * @property {string} detail
 * @property {string} [advice] what may help
 * @property {number | null} [status]
 * @property {{field: string, message: string}[]} [fields]
 * @property {boolean} [isAway] whether the server may be gone
 * @property {boolean} [isQuiet] whether it is what the person wanted
 */

/** An error that carries a `Problem`. */
export class ProblemError extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(`${problem.title}: ${problem.detail}`);
    this.problem = problem;
  }
}

const ADVICE = {
  400: "Nothing was run. The fields that are wrong say so.",
  401: "This page asks with the cookies of your browser: log in to the app in another tab.",
  403: "This page asks as your own session does, and that may not. Log in as somebody who may.",
  404: "The path does not fit: look at its parameters.",
  413: "Send less.",
  429: "You asked too often.",
  500: "The log of the server says what happened.",
  502: "The proxy in front does not reach the app.",
  503: "The server takes no more questions now.",
  504: "The chain took too long.",
};

/**
 * Throw what a failed `fetch` means, unless it was stopped.
 * @returns {never}
 */
export function unreachable(error) {
  if (error.name === "AbortError") throw error;
  throw new ProblemError({
    title: "The server does not answer",
    detail: "It may be starting anew, or the network is down.",
    isAway: true,
  });
}

/**
 * Return the error for a response that is not what was asked for.
 * @param {Response} response
 */
export async function refusalOf(response) {
  const text = await response.text();
  const said = parsed(text);
  const wait = response.headers.get("Retry-After");
  const advice = [ADVICE[response.status], wait && `Try again in ${inWords(wait)}.`];
  return new ProblemError({
    title: response.ok ? "This is not an answer" : `Status ${response.status}`,
    detail: said?.detail ?? summaryOf(response, text),
    advice: advice.filter(Boolean).join(" "),
    status: response.status,
    fields: said?.errors ?? [],
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Say in one sentence what a response is that has no JSON. */
function summaryOf(response, text) {
  if (response.redirected)
    return `The server led to another page (${new URL(response.url).pathname}), perhaps to log in.`;
  const type = response.headers.get("Content-Type") ?? "nothing";
  const isPage = text.includes("<");
  const said = isPage ? (/<p>([^<]*)<\/p>/.exec(text)?.[1] ?? "") : text.slice(0, 500);
  return said.trim() || response.statusText || `It came as ${type}.`;
}

function inWords(wait) {
  return /^\d+$/.test(wait) ? `${wait} ${wait === "1" ? "second" : "seconds"}` : wait;
}

/** The stream ended without its `end`. */
export const cut = {
  title: "The answer was cut off",
  detail: "The connection ended before the answer did.",
  isAway: true,
};

const CLOSED = {
  1000: ["The server closed the connection", "It said nothing of why."],
  1001: ["The server went away", "It is shutting down, or was reloaded."],
  1006: ["The connection broke", "It ended without a word: the server or the network is gone."],
  1008: ["The server has had enough", "There were too many turns, or too long a silence."],
  1009: ["The message was too long", "The server takes only shorter ones."],
  1011: ["The server failed", "Its log says what happened."],
  1012: ["The server is shutting down", "Ask again when it is back."],
  1013: ["The server is busy", "Too many runs are live now: try again later."],
};
const MAY_BE_GONE = [1001, 1006, 1012];

/**
 * Say why a WebSocket was closed.
 * @param {number} code
 * @param {string} reason what the server said
 */
export function closing(code, reason) {
  const [title, detail] = CLOSED[code] ?? [
    "The connection was closed",
    "The code is unknown here.",
  ];
  const said = reason ? `${detail} It said: ${reason}.` : detail;
  return { title: `${title} (code ${code})`, detail: said, isAway: MAY_BE_GONE.includes(code) };
}

/** A handshake failed; a browser tells nobody why. */
export const notOpened = {
  title: "The WebSocket did not open",
  detail: "A browser does not tell a page why.",
  advice:
    "If the server runs: a parameter may be wrong, the route may want you to log in, or there is " +
    "no room. Over HTTP the same question is answered with the reason.",
  isAway: true,
};
