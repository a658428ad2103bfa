/** Shows what stands below an answer: its citations, its files and its source documents. */

import { element } from "./elements.js";
import { linkView, safeUrl } from "./links.js";

const MAX_CITATIONS = 100;
const MAX_FILES = 30;

/** The types that a browser shows without running anything in them. */
const SHOWN_TYPES = {
  image: /^image\/(?:png|jpeg|gif|webp|avif|bmp|svg\+xml)$/,
  audio: /^audio\/(?:mpeg|mp3|wav|wave|x-wav|ogg|opus|mp4|m4a|aac|flac|webm)$/,
  video: /^video\/(?:mp4|webm|ogg)$/,
};
const DEFAULT_TYPES = { image: "image/png", audio: "audio/mpeg", video: "video/mp4" };
const BASE64 = /^[\w+/-]+={0,2}$/;
const DATA_URL = /^data:([\w.+-]+\/[\w.+-]+)(?:;[\w-]+=[\w-]+)*;base64,/i;

/**
 * Shows the sources that an answer cites, each once, by their numbers.
 * @param {any[]} citations the payloads of `citation` events
 * @returns {HTMLElement[]}
 */
export function citationsView(citations) {
  const cited = new Map(citations.map((each) => [`${each.url}\n${each.title}`, each]));
  if (cited.size === 0) return [];
  const items = [...cited.values()].slice(0, MAX_CITATIONS).map(citationItem);
  const heading = element("h4", {}, cited.size === 1 ? "1 citation" : `${cited.size} citations`);
  return [heading, element("ol", { class: "citations" }, ...items)];
}

function citationItem({ url, title, cited_text: text }) {
  const quotation = text ? element("blockquote", {}, text) : null;
  return element("li", {}, citedSource(url, title), quotation);
}

/** Shows a source as a link if it is a web page, otherwise as text. */
function citedSource(url, title) {
  const href = webUrl(url);
  if (href) return linkView(href, [title || href]);
  return element("span", {}, [title, url && `(${url})`].filter(Boolean).join(" ") || "Untitled");
}

function webUrl(url) {
  const href = safeUrl(url ?? "");
  return href?.startsWith("http") ? href : null;
}

/**
 * Shows the files of an answer. Only those that came with it are opened: nothing is fetched.
 * @param {any[]} media the payloads of `media` events
 * @returns {HTMLElement[]}
 */
export function mediaView(media) {
  const more = media.length - MAX_FILES;
  const rest = more > 0 ? [element("p", { class: "hint" }, `${more} more are in Events.`)] : [];
  return [...media.slice(0, MAX_FILES).map(fileView), ...rest];
}

function fileView(file, n) {
  const name = `${file.type ?? "file"} ${n + 1}`;
  const dataUrl = dataUrlOf(file);
  const type = DATA_URL.exec(dataUrl ?? "")?.[1].toLowerCase() ?? "";
  const content = dataUrl ? openedView(dataUrl, type, name) : linkTo(file);
  return element("figure", {}, content, element("figcaption", {}, captionOf(file, type)));
}

/** Returns the file as a `data:` URL if it came with the event, otherwise null. */
function dataUrlOf({ type, mime_type: mimeType, url, data }) {
  if (data && BASE64.test(data)) {
    const base64 = data.replaceAll("-", "+").replaceAll("_", "/");
    const safeType = /^[\w.+-]+\/[\w.+-]+$/.test(mimeType ?? "") ? mimeType : null;
    return `data:${safeType ?? DEFAULT_TYPES[type] ?? "application/octet-stream"};base64,${base64}`;
  }
  return url && DATA_URL.test(url) ? url : null;
}

function openedView(src, type, name) {
  if (SHOWN_TYPES.image.test(type)) return element("img", { src, alt: name });
  const tag = ["audio", "video"].find((each) => SHOWN_TYPES[each].test(type));
  if (tag) {
    const attributes = { src, controls: true, preload: "metadata", "aria-label": name };
    return element(/** @type {"audio" | "video"} */ (tag), attributes);
  }
  const href = src.replace(DATA_URL, "data:application/octet-stream;base64,");
  return element("a", { href, download: name.replace(" ", "-") }, `Download ${name}`);
}

/** Shows where a file is that did not come with the event. */
function linkTo({ url, file_id: fileId }) {
  const href = webUrl(url);
  if (href) return linkView(href, [href]);
  const place = fileId ?? url;
  return element("span", {}, place ? String(place).slice(0, 500) : "It cannot be shown.");
}

function captionOf({ type, mime_type: mimeType }, dataType) {
  return [type, mimeType ?? dataType].filter(Boolean).join(", ");
}

/**
 * Shows the source documents of an answer.
 * @param {any[]} sourceDocuments
 * @returns {HTMLElement[]}
 */
export function sourcesView(sourceDocuments) {
  if (sourceDocuments.length === 0)
    return [element("p", { class: "hint" }, "No sources were found.")];
  const heading = element(
    "h4",
    {},
    sourceDocuments.length === 1 ? "1 source" : `${sourceDocuments.length} sources`,
  );
  return [heading, ...sourceDocuments.map(sourceView)];
}

function sourceView({ page_content: text, metadata, id }, n) {
  const { title, source } = metadata;
  const name = String(title ?? source ?? id ?? `Document ${n + 1}`);
  const sourceElement =
    title && source ? element("span", { class: "place" }, String(source)) : null;
  const excerptElement = element("span", { class: "start" }, excerptOf(text));
  const summary = element(
    "summary",
    {},
    element("strong", {}, name),
    sourceElement,
    excerptElement,
  );
  const metadataRows = Object.entries(id === null ? metadata : { id, ...metadata }).flatMap(
    ([key, value]) => [
      element("dt", {}, key),
      element("dd", {}, typeof value === "string" ? value : JSON.stringify(value)),
    ],
  );
  const content = element("p", { class: "content" }, text);
  return element(
    "details",
    { class: "source" },
    summary,
    content,
    element("dl", {}, ...metadataRows),
  );
}

/** Returns the start of a text without its heading, which often repeats the title. */
function excerptOf(text) {
  const body = text
    .trimStart()
    .slice(0, 400)
    .replace(/^#{1,6} .*\n/, "");
  return body.replace(/\s+/g, " ").trim().slice(0, 160);
}
