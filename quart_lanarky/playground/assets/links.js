/** Says which URLs may be followed, and shows links with the place to which they lead. */

import { element } from "./elements.js";

const MAX_URL_LENGTH = 60;

/**
 * Returns the URL without user information if it is an absolute HTTP, HTTPS or mailto URL, otherwise
 * null.
 * @param {string} text
 * @returns {string | null}
 */
export function safeUrl(text) {
  if (!/^(?:https?:\/\/|mailto:)/i.test(text)) return null;
  try {
    const url = new URL(text);
    [url.username, url.password] = ["", ""]; // they would pass for the host in front of them
    return url.href;
  } catch {
    return null;
  }
}

/**
 * Renders a link with its URL beside it, unless its text is the URL. Each has a direction of its own,
 * so that neither changes the order in which the other is read.
 * @param {string} href as `safeUrl` returns it
 * @param {(Node | string)[]} children
 * @returns {HTMLElement}
 */
export function linkView(href, children) {
  const attributes = { href, target: "_blank", rel: "noopener noreferrer nofollow", dir: "auto" };
  const anchor = element("a", attributes, ...children);
  const showsUrl = anchor.textContent === href || `${anchor.textContent}/` === href;
  const urlElement = showsUrl
    ? null
    : element("span", { class: "target", title: href, dir: "ltr" }, ` (${shortUrl(href)})`);
  return element("span", {}, anchor, urlElement);
}

/** Shortens a URL, but never its host or the address of its mail: where a link leads. */
function shortUrl(href) {
  const { protocol, host, pathname } = new URL(href);
  const place = host ? `${protocol}//${host}` : protocol + pathname;
  const length = Math.max(MAX_URL_LENGTH, place.length);
  return href.length > length ? `${href.slice(0, length)}…` : href;
}
