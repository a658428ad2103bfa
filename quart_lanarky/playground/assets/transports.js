/** Sends requests over HTTP or a WebSocket, and passes on the events of their answers. */

import { EventDecoder } from "./event_decoder.js";
import {
  HANDSHAKE_FAILED,
  INCOMPLETE_STREAM,
  ProblemError,
  closeProblem,
  responseError,
  throwUnreachable,
} from "./problems.js";

/**
 * @typedef {{name: string, data: string, payload: any, id?: string | null}} ChainEvent
 *   `data` is the text as it was sent, `payload` the value parsed from it
 */

const STOP_TIMEOUT = 3000; // milliseconds that the server has to end a stopped turn

/**
 * Sends a request over HTTP, and receives the answer as server-sent events.
 * @param {import("./request.js").ChainRequest} request
 * @param {AbortSignal} signal cancels the request
 * @param {(events: ChainEvent[]) => void} onEvents is called with the events as they arrive
 * @returns {Promise<void>} resolves at the end of the answer
 */
export async function sendOverHttp({ method, url, inputs, mode }, signal, onEvents) {
  const body = inputs === null ? null : JSON.stringify(inputs);
  /** @type {Record<string, string>} */
  const headers = { Accept: "text/event-stream" };
  if (body !== null) headers["Content-Type"] = "application/json";
  /** @type {RequestInit} */
  const options = { method, headers, body, signal, cache: "no-store" };
  const response = await fetch(url, options).catch(throwUnreachable);
  const isStream = response.headers.get("Content-Type")?.startsWith("text/event-stream");
  if (!response.ok || !isStream) throw await responseError(response);
  if (!(await readStream(response.body, mode, onEvents))) throw new ProblemError(INCOMPLETE_STREAM);
}

/** Reads a stream until it closes; returns whether its last event was `end`. */
async function readStream(body, mode, onEvents) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const decoder = new EventDecoder();
  let lastName = null;
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      if (error.name === "AbortError") throw error;
      return { done: true };
    });
    if (done) return lastName === "end";
    const events = decoder
      .push(value)
      .map((event) => ({ ...event, payload: payloadOf(event.name, event.data, mode) }));
    lastName = events.at(-1)?.name ?? lastName;
    if (events.length > 0) onEvents(events);
  }
}

/** The events that are a bare text in text mode. */
const TEXT_EVENTS = ["completion", "reasoning"];

function payloadOf(name, data, mode) {
  if (mode === "text" && TEXT_EVENTS.includes(name)) return data;
  try {
    return JSON.parse(data);
  } catch {
    return data;
  }
}

/** A WebSocket connection that is kept open between turns, and opened again when it is needed. */
export class WebSocketConnection {
  /** @type {WebSocket | null} */
  #socket = null;
  #url = "";
  /** @type {any} */
  #turn = null;
  #onConnectionState;

  /** @param {(state: string) => void} onConnectionState is called with the state in words */
  constructor(onConnectionState) {
    this.#onConnectionState = onConnectionState;
  }

  /**
   * Sends a request as a turn of its own, and receives the answer.
   * @param {import("./request.js").ChainRequest} request
   * @param {AbortSignal} signal stops the turn: the server is told to stop it, and then ends it
   * @param {(events: ChainEvent[]) => void} onEvents is called with the events as they arrive
   * @returns {Promise<void>} resolves at the end of the turn
   */
  async send({ url, inputs }, signal, onEvents) {
    const socket = await this.#connect(url, signal);
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const finish = (settle) => (value) => {
        signal.removeEventListener("abort", stop);
        this.#turn = null;
        settle(value);
      };
      const stop = () => {
        socket.send(JSON.stringify({ event: "stop" }));
        setTimeout(() => this.#turn === turn && this.#abandonTurn(signal.reason), STOP_TIMEOUT);
      };
      const turn = { onEvents, resolve: finish(resolve), reject: finish(reject) };
      this.#turn = turn;
      signal.addEventListener("abort", stop);
      socket.send(JSON.stringify(inputs));
    });
  }

  /** Ends a turn that the server did not end in time. */
  #abandonTurn(reason) {
    this.#turn.reject(reason);
    this.close();
  }

  /** Closes the connection. */
  close() {
    this.#socket?.close();
    this.#socket = null;
  }

  /** Returns an open WebSocket: the current one if its URL is the same, otherwise a new one. */
  #connect(url, signal) {
    if (this.#socket?.readyState === WebSocket.OPEN && this.#url === url) return this.#socket;
    this.close();
    this.#onConnectionState("Connecting");
    const socket = new WebSocket(url);
    [this.#socket, this.#url] = [socket, url];
    socket.onmessage = ({ data }) => this.#handleMessage(socket, JSON.parse(data));
    socket.onclose = (event) => this.#handleClose(socket, event);
    return new Promise((resolve, reject) => {
      socket.onopen = () => {
        this.#onConnectionState("Connected");
        resolve(socket);
      };
      socket.addEventListener("close", () => reject(new ProblemError(HANDSHAKE_FAILED)), {
        once: true,
      });
      signal.addEventListener("abort", () => {
        if (socket.readyState === WebSocket.CONNECTING) this.close();
        reject(signal.reason);
      });
    });
  }

  #handleMessage(socket, { event: name, data: payload }) {
    if (name === "ping") socket.send(JSON.stringify({ event: "pong" }));
    const turn = socket === this.#socket ? this.#turn : null;
    const data = typeof payload === "string" ? payload : JSON.stringify(payload);
    turn?.onEvents([{ name, data, payload }]);
    if (name === "end") turn?.resolve();
  }

  #handleClose(socket, { code, reason }) {
    if (socket !== this.#socket) return; // closed by this page
    const problem = closeProblem(code, reason);
    this.#onConnectionState(`Not connected. ${problem.title}. The next question connects again.`);
    this.#turn?.reject(new ProblemError(problem));
  }
}
