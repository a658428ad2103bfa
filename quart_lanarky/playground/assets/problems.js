/** Describes what went wrong with a request in sentences for the user. */

/**
 * @typedef {object} Problem
 * @property {string} title
 * @property {string} detail
 * @property {string} [advice] what may help
 * @property {number | null} [status] the HTTP status
 * @property {{field: string, message: string}[]} [fields] the validation errors of fields
 * @property {boolean} [mayBeDown] whether the server may be down
 * @property {boolean} [isExpected] whether the user caused it, by stopping the answer
 */

/**
 * @typedef {object} ErrorPayload the payload of an `error` event
 * @property {number} status_code
 * @property {string} detail
 * @property {number} [retry_after] in seconds
 * @property {{field: string, message: string}[]} [errors] those of the fields of the inputs
 */

/** An error with a `Problem` to show. */
export class ProblemError extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(`${problem.title}: ${problem.detail}`);
    this.problem = problem;
  }
}

const STATUS_ADVICE = {
  400: "Nothing was run.",
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
 * Throws what a failed `fetch` means: the error itself if the request was aborted, otherwise a
 * `ProblemError`.
 * @param {Error} error
 * @returns {never}
 */
export function throwUnreachable(error) {
  if (error.name === "AbortError") throw error;
  throw new ProblemError({
    title: "The server does not answer",
    detail: "It may be starting anew, or the network is down.",
    mayBeDown: true,
  });
}

/**
 * Returns the error for a response with an error status or of another content type than requested.
 * @param {Response} response
 * @returns {Promise<ProblemError>}
 */
export async function responseError(response) {
  const text = await response.text();
  const body = parseJson(text);
  const retryAfter = response.headers.get("Retry-After");
  const advice = [
    STATUS_ADVICE[response.status],
    retryAfter && `Try again in ${formatRetryAfter(retryAfter)}.`,
  ];
  return new ProblemError({
    title: response.ok ? "This is not an answer" : `Status ${response.status}`,
    detail: body?.detail ?? describeBody(response, text),
    advice: advice.filter(Boolean).join(" "),
    status: response.status,
    fields: body?.errors ?? [],
  });
}

/**
 * Returns the problem for the payload of an `error` event, null for null.
 * @param {ErrorPayload | null} error
 * @returns {Problem | null}
 */
export function errorProblem(error) {
  if (!error) return null;
  const { status_code: status, detail, retry_after: retryAfter, errors: fields = [] } = error;
  const isRefused = status === 400; // as on a WebSocket, where HTTP would answer with this status
  return {
    title: isRefused ? "Status 400" : `The run failed with status ${status}`,
    detail,
    advice: retryAfter
      ? `Try again in ${formatRetryAfter(String(retryAfter))}.`
      : isRefused || status >= 500
        ? STATUS_ADVICE[isRefused ? 400 : 500]
        : "",
    status,
    fields,
  };
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Describes a response without a JSON body in one sentence. */
function describeBody(response, text) {
  if (response.redirected)
    return `The server led to another page (${new URL(response.url).pathname}), perhaps to log in.`;
  const type = response.headers.get("Content-Type") ?? "nothing";
  const isHtml = text.includes("<");
  const message = isHtml ? (/<p>([^<]*)<\/p>/.exec(text)?.[1] ?? "") : text.slice(0, 500);
  return message.trim() || response.statusText || `It came as ${type}.`;
}

function formatRetryAfter(retryAfter) {
  return /^\d+$/.test(retryAfter)
    ? `${retryAfter} ${retryAfter === "1" ? "second" : "seconds"}`
    : retryAfter;
}

/** The problem if a stream ends without an `end` event. */
export const INCOMPLETE_STREAM = {
  title: "The answer was cut off",
  detail: "The connection ended before the answer did.",
  mayBeDown: true,
};

/** The title and the detail for each close code. */
const CLOSE_CODES = {
  1000: ["The server closed the connection", "It said nothing of why."],
  1001: ["The server went away", "It is shutting down, or was reloaded."],
  1006: ["The connection broke", "It ended without a word: the server or the network is gone."],
  1008: ["The server has had enough", "There were too many turns, or too long a silence."],
  1009: ["The message was too long", "The server takes only shorter ones."],
  1011: ["The server failed", "Its log says what happened."],
  1012: ["The server is shutting down", "Ask again when it is back."],
  1013: ["The server is busy", "Too many runs are live now: try again later."],
};
const SERVER_DOWN_CODES = [1001, 1006, 1012];

/**
 * Returns the problem if a WebSocket is closed during a turn.
 * @param {number} code the close code
 * @param {string} reason the reason that the server gave, or ""
 * @returns {Problem}
 */
export function closeProblem(code, reason) {
  const [title, detail] = CLOSE_CODES[code] ?? [
    "The connection was closed",
    "The code is unknown here.",
  ];
  const explanation = reason ? `${detail} It said: ${reason}.` : detail;
  return {
    title: `${title} (code ${code})`,
    detail: explanation,
    mayBeDown: SERVER_DOWN_CODES.includes(code),
  };
}

/** The problem if a WebSocket handshake fails; browsers hide the reason from the page. */
export const HANDSHAKE_FAILED = {
  title: "The WebSocket did not open",
  detail: "A browser does not tell a page why.",
  advice:
    "If the server runs: a parameter may be wrong, the route may want you to log in, or there is " +
    "no room. Over HTTP the same question is answered with the reason.",
  mayBeDown: true,
};
