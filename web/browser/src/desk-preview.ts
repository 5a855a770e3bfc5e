/** A public text as its readers will see it: the same words in the same places, and then every other field, so that nothing hides. */

import { view } from "./desk-view.ts";
import { languageName } from "./desk-draft.ts";
import { labelOf, partialDay, placeOf, standardName, valueInWords } from "./desk-words.ts";
import { make, show, text, within } from "./page.ts";
import type { Json, JsonObject } from "./types.ts";

const SHOWN: ReadonlySet<string> = new Set([
  "kind", "title", "summary", "content", "state", "region", "started_on", "ended_on", "ongoing", "provisions", "status", "status_date",
  "standard", "verification", "verification_statement", "fictional", "language", "image",
]);

/** `at` says where a picture can be seen; without it, as for a source, its words stand for it. */
export function publicPage(fields: JsonObject, at?: (sha256: string) => string): HTMLElement {
  const page = view("preview");
  const original = String(fields["language"] ?? "en");
  const put = (name: string, words: string): void => {
    within(page, `[data-${name}]`, HTMLElement).textContent = words;
  };
  put("kind", valueInWords("kind", fields["kind"] ?? ""));
  within(page, "[data-kind]", HTMLElement).classList.add(String(fields["kind"] ?? ""));
  const provisions = Array.isArray(fields["provisions"]) ? (fields["provisions"] as Json[]) : [];
  const rights = fields["charter"] === "1961" ? "provisions-1961" : "provisions";
  put("right", provisions[0] === undefined ? "" : valueInWords(rights, provisions[0]));
  put("rights", provisions.map((key) => valueInWords(rights, key)).join("; "));
  put("state", [valueInWords("state", fields["state"] ?? ""), fields["region"] ?? ""].filter((part) => part !== "").join(", "));
  put("when", period(fields));
  put("status", [valueInWords("status", fields["status"] ?? ""), partialDay(String(fields["status_date"] ?? ""))].join(", "));
  put("sure", [standardName(typeof fields["standard"] === "string" ? fields["standard"] : null), valueInWords("verification", fields["verification"] ?? "")].filter(Boolean).join(", "));
  say(page, "title", fields["title"], original);
  say(page, "summary", fields["summary"], original);
  say(page, "content", fields["content"], original);
  const picture = isTexts(fields["image"]) ? fields["image"] : null;
  show(within(page, "[data-picture]", HTMLElement), picture !== null);
  say(page, "alt", picture?.["alt"], original);
  const pixels = within(page, "[data-pixels]", HTMLImageElement);
  show(pixels, picture !== null && at !== undefined);
  if (picture !== null && at !== undefined) pixels.src = at(String(picture["sha256"]));
  say(page, "checked", fields["verification_statement"], original);
  show(within(page, "[data-content-part]", HTMLElement), Boolean(fields["content"]));
  show(within(page, "[data-fictional]", HTMLElement), fields["fictional"] === true);
  const rest = Object.entries(fields)
    .filter(([key, value]) => !SHOWN.has(key) && !isEmpty(value))
    .sort(([left], [right]) => placeOf(left) - placeOf(right) || (left < right ? -1 : 1));
  within(page, "[data-rest]", HTMLElement).replaceChildren(
    ...rest.map(([key, value]) => make("div", {}, make("dt", {}, labelOf(key)), make("dd", {}, ...whole(key, value, original)))),
  );
  return page;
}

/** The original, then every other version under the name of its language. */
function say(page: HTMLElement, name: string, texts: Json | undefined, original: string): void {
  within(page, `[data-${name}]`, HTMLElement).replaceChildren(...(isTexts(texts) ? versions(texts, original) : []));
}

function versions(texts: JsonObject, original: string): HTMLElement[] {
  const codes = [original, ...Object.keys(texts).filter((code) => code !== original)].filter((code) => code in texts);
  return codes.map((code) => {
    const words = make("span", { lang: code, class: "words-of" }, String(texts[code]));
    return codes.length > 1 ? make("span", { class: "words-of" }, make("small", {}, languageName(code)), words) : words;
  });
}

function whole(key: string, value: Json, original: string): (Node | string)[] {
  if (Array.isArray(value) && value.some((one) => isTexts(one))) return value.map((one) => entry(key, one as JsonObject, original));
  return isTexts(value) ? versions(value, original) : [valueInWords(key, value)];
}

function entry(key: string, value: JsonObject, original: string): HTMLElement {
  const parts = Object.values(value).flatMap((part): (Node | string)[] => {
    if (isEmpty(part)) return [];
    return isTexts(part) ? versions(part, original) : [make("span", { class: "words-of" }, valueInWords(key, part))];
  });
  return make("div", {}, ...parts);
}

function period(fields: JsonObject): string {
  const [from, to] = [fields["started_on"], fields["ended_on"]];
  if (typeof from !== "string") return "";
  if (typeof to === "string") return text("from-to", { from: partialDay(from), to: partialDay(to) });
  return fields["ongoing"] === true ? text("since", { day: partialDay(from) }) : partialDay(from);
}

function isTexts(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isEmpty(value: Json): boolean {
  return value === null || value === "" || (Array.isArray(value) && value.length === 0);
}
