/**
 * The case form as a page: which questions are asked, what was answered, and what cannot be right.
 * Fields describe themselves by data attributes (web/templates/intake/fields.html). Nothing here sends anything.
 */

import type { Json, JsonObject } from "./types.ts";
import { all, hasText, make, show, text, within } from "./page.ts";

/** The section of the form that is sealed apart, for those who look after identities. */
const IDENTITY_FIELDS: ReadonlySet<string> = new Set([
  "sender_org_name",
  "sender_org_type",
  "sender_org_country",
  "sender_contact_name",
  "sender_contact_channel",
  "sender_contact_value",
]);

export interface Answers {
  readonly answers: JsonObject;
  readonly identity: JsonObject;
}

export interface Problem {
  readonly field: HTMLElement;
  readonly sentence: string;
}

type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

function controls(field: ParentNode): Control[] {
  return [...field.querySelectorAll("input, select, textarea")].filter(
    (found): found is Control =>
      found instanceof HTMLInputElement || found instanceof HTMLSelectElement || found instanceof HTMLTextAreaElement,
  );
}

export function fields(form: ParentNode): HTMLElement[] {
  return all(form, "[data-field]", HTMLElement);
}

/** Whether it stands in a part of its field that is not asked now: the rights of the other Charter. */
function isSetAside(control: Control, field: Element): boolean {
  const part = control.closest("[data-show-key]");
  return part instanceof HTMLElement && part !== field && field.contains(part) && part.hasAttribute("hidden");
}

/** The values chosen or typed under a key, in the page's order and each once. */
export function chosen(form: ParentNode, key: string): string[] {
  const field = form.querySelector(`[data-field="${CSS.escape(key)}"]`);
  if (!field) return [];
  const values = controls(field)
    .filter((control) => control.name === key && !isSetAside(control, field))
    .filter((control) => !(control instanceof HTMLInputElement && ["checkbox", "radio"].includes(control.type)) || control.checked)
    .map((control) => control.value.trim())
    .filter((value) => value !== "");
  return [...new Set(values)];
}

/** Shows the questions whose condition holds. A hidden question keeps what was typed, but is not sent. */
export function settleConditions(form: ParentNode): void {
  for (const part of all(form, "[data-show-key]", HTMLElement)) {
    const wanted = (part.dataset["showIn"] ?? "").split(" ");
    show(part, chosen(form, part.dataset["showKey"] ?? "").some((value) => wanted.includes(value)));
  }
}

function partialDate(field: HTMLElement): string {
  const part = (name: string): string => {
    const control = field.querySelector(`[data-part="${name}"]`);
    return control instanceof HTMLInputElement || control instanceof HTMLSelectElement ? control.value.trim() : "";
  };
  const [year, month, day] = [part("year"), part("month"), part("day")];
  if (!month) return year;
  return day ? `${year}-${month}-${day.padStart(2, "0")}` : `${year}-${month}`;
}

/** What one field holds, or undefined where it was left open. */
export function readValue(form: ParentNode, field: HTMLElement): Json | undefined {
  const key = field.dataset["field"] ?? "";
  const values = chosen(form, key);
  switch (field.dataset["type"]) {
    case "multi":
      return values.length > 0 ? values : undefined;
    case "boolean":
      return values[0] === undefined ? undefined : values[0] === "true";
    case "integer":
      return values[0] === undefined ? undefined : Number(values[0]);
    case "url-list": {
      const lines = (values[0] ?? "").split(/\s+/).filter((line) => line !== "");
      return lines.length > 0 ? lines : undefined;
    }
    case "partial-date":
      return partialDate(field) || undefined;
    case "file-list":
      return undefined;
    default:
      return values[0];
  }
}

/** Everything that was answered and whose question is shown. */
export function readAnswers(form: ParentNode): Answers {
  const answers: Record<string, Json> = {};
  const identity: Record<string, Json> = {};
  for (const field of fields(form)) {
    if (field.closest("[hidden][data-show-key]")) continue;
    const key = field.dataset["field"] ?? "";
    const value = readValue(form, field);
    if (value !== undefined) (IDENTITY_FIELDS.has(key) ? identity : answers)[key] = value;
  }
  // A way of contact that was merely left as it stood says nothing, and an empty identity part stays empty.
  if (Object.keys(identity).length === 1 && identity["sender_contact_channel"] === "receipt-code") {
    delete identity["sender_contact_channel"];
  }
  return { answers, identity };
}

function dateProblem(value: string, now: Date): string | null {
  const parts = /^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$/.exec(value);
  if (!parts) return /^\d{4}-/.test(value) ? text("bad-day") : text("bad-year");
  // A day of grace: where the source is it may be tomorrow already, or its clock may be slow.
  const latest = new Date(now.getTime() + 86_400_000).toISOString();
  if (Number(parts[1]) < 1900 || value > latest.slice(0, value.length)) return text("bad-year");
  if (!parts[3]) return null;
  const day = new Date(`${value}T00:00:00Z`);
  return Number.isNaN(day.getTime()) || day.toISOString().slice(0, 10) !== value ? text("bad-day") : null;
}

/** What cannot be right, in the page's order. Few answers are needed; nothing else is made to be. */
export function problems(form: ParentNode, now: Date): Problem[] {
  const found: Problem[] = [];
  for (const field of fields(form)) {
    if (field.closest("[hidden][data-show-key]")) continue;
    const key = field.dataset["field"] ?? "";
    const value = readValue(form, field);
    let sentence: string | null = null;
    if (value === undefined) {
      if ("needed" in field.dataset) sentence = text(hasText(`needed-${key}`) ? `needed-${key}` : "needed");
    } else if (field.dataset["type"] === "partial-date") {
      sentence = dateProblem(String(value), now);
      const began = key === "ended_on" ? fields(form).find((other) => other.dataset["field"] === "started_on") : undefined;
      const start = began ? partialDate(began) : "";
      const short = Math.min(start.length, String(value).length);
      if (sentence === null && start && String(value).slice(0, short) < start.slice(0, short)) sentence = text("bad-order");
    } else if (field.dataset["type"] === "integer") {
      if (!Number.isSafeInteger(value) || Number(value) < 1) sentence = text("bad-number");
    } else if (field.dataset["type"] === "url-list" && Array.isArray(value)) {
      if (value.some((line) => !/^https?:\/\/\S+$/i.test(String(line)))) sentence = text("bad-links");
    }
    if (sentence !== null) found.push({ field, sentence });
  }
  return found;
}

/** Writes a problem beside its field, or takes it away. */
export function mark(field: HTMLElement, sentence: string | null): void {
  const place = field.querySelector(".problem");
  if (!(place instanceof HTMLElement)) return;
  place.textContent = sentence ?? "";
  show(place, sentence !== null);
  field.toggleAttribute("data-wrong", sentence !== null);
  for (const control of controls(field)) {
    if (sentence === null) control.removeAttribute("aria-invalid");
    else control.setAttribute("aria-invalid", "true");
  }
}

/** Gives a menu that is like another one its choices, and its choice. */
export function copyMenus(form: ParentNode): void {
  for (const menu of all(form, "select[data-like]", HTMLSelectElement)) {
    const other = within(form, `select[name="${CSS.escape(menu.dataset["like"] ?? "")}"]`, HTMLSelectElement);
    menu.append(...[...other.options].filter(({ value }) => value !== "").map((option) => option.cloneNode(true)));
  }
}

/** How many are ticked, written on each closed fold. */
export function settleCounts(form: ParentNode): void {
  for (const shelf of all(form, "details.shelf", HTMLDetailsElement)) {
    const ticked = new Set(all(shelf, "input:checked", HTMLInputElement).map((box) => box.value)).size;
    within(shelf, "[data-count]", HTMLElement).textContent = ticked > 0 ? text("chosen", { n: ticked }) : "";
  }
}

/** A right stands under several themes: ticking it in one ticks it in all. “I do not know” stands alone. */
export function settleSame(form: ParentNode, box: HTMLInputElement): void {
  const field = box.closest("[data-field]");
  if (!field || box.type !== "checkbox") return;
  const boxes = all(field, "input[type=checkbox]", HTMLInputElement);
  for (const other of boxes) {
    if (other !== box && other.value === box.value) other.checked = box.checked;
    const alone = ("alone" in box.dataset) !== ("alone" in other.dataset);
    if (box.checked && alone) other.checked = false;
  }
  settleCounts(form);
}

/** Narrows a long list to what holds every word typed; says how many are left. */
export function searchIn(field: HTMLElement, query: string, said: HTMLElement): void {
  const words = fold(query).split(/\s+/).filter((word) => word !== "");
  const seen = new Set<string>();
  for (const choice of all(field, "label.choice:has([data-same])", HTMLElement)) {
    const heading = choice.closest(".article")?.querySelector("h3")?.textContent ?? "";
    const hay = fold(`${choice.textContent ?? ""} ${heading}`);
    const fits = words.every((word) => hay.includes(word));
    show(choice, fits);
    if (fits) seen.add(within(choice, "input", HTMLInputElement).value);
  }
  for (const part of all(field, ".article, details.shelf", HTMLElement)) {
    show(part, part.querySelector("label.choice:not([hidden])") !== null);
    if (part instanceof HTMLDetailsElement && words.length > 0) part.open = !part.hidden;
    else if (part instanceof HTMLDetailsElement) part.open = false;
  }
  said.textContent = words.length > 0 ? text("found", { n: seen.size }) : "";
}

function fold(written: string): string {
  return written.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/** Whether a field holds something else than when the page was opened. */
function isTouched(field: HTMLElement): boolean {
  return controls(field).some((control) => {
    if (control instanceof HTMLSelectElement) return [...control.options].some((option) => option.selected !== option.defaultSelected && option.value !== "");
    if (control instanceof HTMLInputElement && ["checkbox", "radio"].includes(control.type)) return control.checked && !control.defaultChecked;
    return control.type !== "search" && control.type !== "file" && control.value !== control.defaultValue;
  });
}

/** One line per part of the form: what was answered there, and a way back to it. */
export function overview(steps: readonly HTMLElement[], files: number, change: (step: HTMLElement) => void): HTMLElement[] {
  return steps.map((step) => {
    const title = step.dataset["title"] ?? "";
    const answered = fields(step).filter((field) => !field.closest("[hidden][data-show-key]") && isTouched(field)).length;
    const parts: string[] = [];
    if (answered > 0) parts.push(answered === 1 ? text("answers-one") : text("answers", { n: answered }));
    if (files > 0 && step.querySelector('[data-type="file-list"]')) parts.push(files === 1 ? text("files-one") : text("files", { n: files }));
    const back = make("button", { type: "button", class: "link", "aria-label": text("change-part", { part: title }) }, text("change"));
    back.addEventListener("click", () => change(step));
    const said = parts.length > 0 ? parts.join(", ") : text("left-open");
    return make("div", {}, make("dt", {}, title), make("dd", {}, `${said} `, back));
  });
}
