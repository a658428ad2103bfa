/** Writes JSON values as text to read. */

const MAX_SHORT_LENGTH = 200;

/** What turns the direction of a text around; as an escape, JSON means the same and reads in order. */
const DIRECTION_CONTROLS = /[\u202A-\u202E\u2066-\u2069]/g;

/**
 * Returns a value as indented JSON, and a text as it is.
 * @param {any} value
 * @returns {string}
 */
export function formatJson(value) {
  return typeof value === "string" ? value : toJson(value);
}

/**
 * Returns a value as indented JSON, a text in quotation marks.
 * @param {any} value
 * @returns {string}
 */
export function toJson(value) {
  const escape = (character) => `\\u${character.charCodeAt(0).toString(16)}`;
  return JSON.stringify(value ?? null, null, 2).replace(DIRECTION_CONTROLS, escape);
}

/**
 * Returns the start of a value in one line.
 * @param {any} value
 * @returns {string}
 */
export function shortJson(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value ?? null);
  const line = text.slice(0, 2 * MAX_SHORT_LENGTH).replace(/\s+/g, " ");
  return line.length > MAX_SHORT_LENGTH ? `${line.slice(0, MAX_SHORT_LENGTH)}…` : line;
}
