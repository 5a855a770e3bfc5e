/** Puts answers, states and people into the reader's words, all of which the page brings along in its templates. */

import type { AlertLine, CaseLine } from "./desk-api.ts";
import { ApiError } from "./desk-api.ts";
import { all, byId, dayInWords, hasText, make, text } from "./page.ts";
import type { Seat } from "./desk-session.ts";
import { nameOf } from "./desk-session.ts";
import type { Hex, Json, JsonObject, Reason } from "./types.ts";
import { WORDS } from "./wordlist.ts";

/** Two words that stand for an id, so that people can speak of it. They say nothing of what it holds. */
export function callName(id: Hex): string {
  const first = WORDS[parseInt(id.slice(0, 4), 16) % WORDS.length] ?? "";
  const second = WORDS[parseInt(id.slice(4, 8), 16) % WORDS.length] ?? "";
  return `${first} ${second}`;
}

/** What the server calls the whole of a text, where that is too long: the fault of no field alone. */
export const TOO_LONG = "size";

/** What is wrong with a field of the public text, as the server says it; with the whole of it, in the reader's language. */
export function problemInWords(key: string, sentence: string): string {
  return key === TOO_LONG ? text("too-long") : sentence;
}

function labels(): DocumentFragment {
  return byId("labels", HTMLTemplateElement).content;
}

function entryOf(key: string): HTMLElement | null {
  return labels().querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);
}

/** Where a field stands in the form; what the form does not know comes last. */
export function placeOf(key: string): number {
  const at = all(labels(), "[data-key]", HTMLElement).findIndex((one) => one.dataset["key"] === key);
  return at < 0 ? Number.MAX_SAFE_INTEGER : at;
}

export function labelOf(key: string): string {
  return entryOf(key)?.dataset["label"] ?? key;
}

export function valueInWords(key: string, value: Json): string {
  if (typeof value === "boolean") return text(value ? "yes" : "no");
  if (Array.isArray(value)) return value.map((one) => valueInWords(key, one)).join("; ");
  if (typeof value !== "string") return value === null ? "" : String(value);
  const known = entryOf(key)?.querySelector(`data[value="${CSS.escape(value)}"]`)?.textContent;
  if (known) return known;
  return /^\d{4}(-\d{2}){0,2}$/.test(value) ? partialDay(value) : value;
}

/** `2026`, `2026-05` or a whole day, written out as exactly as it was given. */
export function partialDay(value: string): string {
  if (value.length === 10) return dayInWords(value);
  if (value.length !== 7) return value;
  const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;
  const month = new Date(`${value}-15T12:00:00Z`);
  return new Intl.DateTimeFormat(language, { year: "numeric", month: "long", timeZone: "UTC" }).format(month);
}

/** The answers under the headings of the form, in its order; what the form does not know comes last, as it is. */
export function answersInWords(answers: JsonObject): HTMLElement[] {
  const left = new Set(Object.keys(answers));
  const parts: HTMLElement[] = [];
  for (const section of all(labels(), "[data-section]", HTMLElement)) {
    const lines: HTMLElement[] = [];
    for (const entry of all(section, "[data-key]", HTMLElement)) {
      const key = entry.dataset["key"] ?? "";
      const value = answers[key];
      if (value === undefined || value === null || !left.delete(key)) continue;
      lines.push(line(labelOf(key), valueInWords(key, value)));
    }
    if (lines.length > 0) parts.push(make("h4", {}, section.dataset["label"] ?? ""), make("dl", { class: "answers" }, ...lines));
  }
  const rest = [...left].map((key) => line(key, JSON.stringify(answers[key])));
  if (rest.length > 0) parts.push(make("dl", { class: "answers" }, ...rest));
  return parts;
}

function line(label: string, value: string): HTMLElement {
  return make("div", {}, make("dt", {}, label), make("dd", {}, value));
}

export function why(reason: Reason): string {
  return text(hasText(`why-${reason}`) ? `why-${reason}` : "why-other");
}

export function who(seat: Seat, people: { readonly [id: string]: string }, id: string | null | undefined): string {
  if (!id) return text("somebody");
  const name = nameOf(seat, people, id) ?? text("somebody");
  return id === seat.me.id ? text("you", { name }) : name;
}

export function standardName(code: string | null): string {
  const name = byId("standards", HTMLTemplateElement).content.querySelector(`[data-standard="${CSS.escape(code ?? "")}"]`);
  return code === null ? "" : `${code} · ${name?.textContent ?? ""}`;
}

export function alertState(alert: Pick<AlertLine, "state">): string {
  const name = `alert-${alert.state}`;
  return text(hasText(name) ? name : "alert-open");
}

export function caseState(line: Pick<CaseLine, "state" | "updated_on">, by: string): string {
  const name = `state-${line.state}`;
  return hasText(name) ? text(name, { day: dayInWords(line.updated_on), who: by }) : line.state;
}

/** The same in two or three words, for a list. */
export function lineState(state: string): string {
  return hasText(`line-${state}`) ? text(`line-${state}`) : state;
}

/** One sentence for whatever went wrong with a request. */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 0) return text("unreachable");
  if (error.status === 409 && error.sentence === "") return text("conflict");
  if (TOO_LONG in error.fields) return text("too-long");
  return error.sentence || text("not-said");
}
