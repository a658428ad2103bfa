/** Asking: server-sent events over `fetch`, or turns on a WebSocket. Both give the same events. */

import { EventDecoder } from "./decoder.js";
import { ProblemError, closing, cut, notOpened, refusalOf, unreachable } from "./problems.js";

/**
 * @typedef {object} Question what is asked, and where
 * @property {"sse" | "websocket"} transport
 * @property {string} method
 * @property {string} url
 * @property {"json" | "text"} mode
 * @property {Object<string, any> | null} inputs null if they are in the URL
 *
 * @typedef {{name: string, data: string, payload: any, id?: string}} Event `data` is text, as it is
 *   in a stream
 */

const PATIENCE = 3000; // milliseconds in which a stopped turn should have ended

/**
 * Ask over HTTP.
 * @param {Question} question
 * @param {AbortSignal} signal stops it: the request is cancelled
 * @param {(events: Event[]) => void} onEvents
 */
export async function askOverHttp({ method, url, inputs, mode }, signal, onEvents) {
  const body = inputs === null ? null : JSON.stringify(inputs);
  /** @type {Record<string, string>} */
  const headers = { Accept: "text/event-stream" };
  if (body !== null) headers["Content-Type"] = "application/json";
  /** @type {RequestInit} */
  const options = { method, headers, body, signal, cache: "no-store" };
  const response = await fetch(url, options).catch(unreachable);
  const isStream = response.headers.get("Content-Type")?.startsWith("text/event-stream");
  if (!response.ok || !isStream) throw await refusalOf(response);
  if (!(await readStream(response.body, mode, onEvents))) throw new ProblemError(cut);
}

/** Read a stream to its end, and tell whether it had one. */
async function readStream(body, mode, onEvents) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const decoder = new EventDecoder();
  let last = null;
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      if (error.name === "AbortError") throw error;
      return { done: true };
    });
    if (done) return last === "end";
    const events = decoder
      .push(value)
      .map((event) => ({ ...event, payload: payloadOf(event.name, event.data, mode) }));
    last = events.at(-1)?.name ?? last;
    if (events.length > 0) onEvents(events);
  }
}

function payloadOf(name, data, mode) {
  if (mode === "text" && name === "completion") return data;
  try {
    return JSON.parse(data);
  } catch {
    return data;
  }
}

/** A WebSocket that stays open from turn to turn, and is opened anew when it is needed. */
export class Conversation {
  /** @type {WebSocket | null} */
  #socket = null;
  #url = "";
  /** @type {any} */
  #turn = null;
  #onState;

  /** @param {(state: string) => void} onState is told in words how the connection stands */
  constructor(onState) {
    this.#onState = onState;
  }

  /**
   * Ask in a turn of its own.
   * @param {Question} question
   * @param {AbortSignal} signal stops it: the server is told to, and says when it has
   * @param {(events: Event[]) => void} onEvents
   */
  async ask({ url, inputs }, signal, onEvents) {
    const socket = await this.#open(url, signal);
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const finish = (settle) => (value) => {
        signal.removeEventListener("abort", stop);
        this.#turn = null;
        settle(value);
      };
      const stop = () => {
        socket.send(JSON.stringify({ event: "stop" }));
        setTimeout(() => this.#turn === turn && this.#giveUp(signal.reason), PATIENCE);
      };
      const turn = { onEvents, resolve: finish(resolve), reject: finish(reject) };
      this.#turn = turn;
      signal.addEventListener("abort", stop);
      socket.send(JSON.stringify(inputs));
    });
  }

  #giveUp(reason) {
    this.#turn.reject(reason);
    this.close();
  }

  /** Hang up. */
  close() {
    this.#socket?.close();
    this.#socket = null;
  }

  /** Return a socket that is open, the one that there is if it leads to the same place. */
  #open(url, signal) {
    if (this.#socket?.readyState === WebSocket.OPEN && this.#url === url) return this.#socket;
    this.close();
    this.#onState("Connecting");
    const socket = new WebSocket(url);
    [this.#socket, this.#url] = [socket, url];
    socket.onmessage = ({ data }) => this.#take(socket, JSON.parse(data));
    socket.onclose = (event) => this.#lost(socket, event);
    return new Promise((resolve, reject) => {
      socket.onopen = () => {
        this.#onState("Connected");
        resolve(socket);
      };
      socket.addEventListener("close", () => reject(new ProblemError(notOpened)), { once: true });
      signal.addEventListener("abort", () => {
        if (socket.readyState === WebSocket.CONNECTING) this.close();
        reject(signal.reason);
      });
    });
  }

  #take(socket, { event: name, data: payload }) {
    if (name === "ping") socket.send(JSON.stringify({ event: "pong" }));
    const turn = socket === this.#socket ? this.#turn : null;
    const data = typeof payload === "string" ? payload : JSON.stringify(payload);
    turn?.onEvents([{ name, data, payload }]);
    if (name === "end") turn?.resolve();
  }

  #lost(socket, { code, reason }) {
    if (socket !== this.#socket) return; // we closed it
    const problem = closing(code, reason);
    this.#onState(`Not connected. ${problem.title}. The next question connects again.`);
    this.#turn?.reject(new ProblemError(problem));
  }
}
