/**
 * The editor's form: the fields that may be published and no others, in as many languages as there are.
 * What the source answered comes in only by the editor's own click, field by field.
 */

import { problemInWords } from "./desk-words.ts";
import type { Json, JsonObject, Submission } from "./types.ts";
import { fields, mark, readValue, searchIn, settleConditions, settleCounts, settleSame } from "./intake-form.ts";
import { all, make, show, text, within } from "./page.ts";

/** Where an answer goes that is not called the same in the public case. */
const FROM_ANSWER: Readonly<Record<string, string>> = { content: "summary" };
const ON_ONE_LINE = 1;
/**
 * About what a text comes to when it is sent: it stands in it several times, in its own language once more, beside all that is not
 * text. Only the server counts exactly, when the text is saved.
 */
const EASY_BYTES = 50_000;
const BESIDE_TEXTS = 8_000;
const COPIES = { original: 3, other: 2 } as const;

/** Where a picture of this case is seen, and how a file becomes one. */
export interface Pictures {
  readonly at: (sha256: string) => string;
  readonly add: (file: File) => Promise<JsonObject>;
}

export class DraftForm {
  readonly #form: HTMLFormElement;
  readonly #submission: Submission | null;
  readonly #pictures: Pictures;
  #picture: JsonObject | null = null;
  #languages: string[] = [];

  constructor(form: HTMLFormElement, start: JsonObject | null, submission: Submission | null, pictures: Pictures) {
    this.#form = form;
    this.#submission = submission;
    this.#pictures = pictures;
    const picture = start?.["image"];
    if (isTexts(picture)) start = { ...start, image_alt: picture["alt"] ?? null };
    this.#languages = [String(start?.["language"] ?? submission?.language ?? document.documentElement.lang)];
    for (const value of Object.values(start ?? {})) {
      if (isTexts(value)) this.#languages.push(...Object.keys(value).filter((code) => !this.#languages.includes(code)));
    }
    for (const field of this.#all("rows")) this.#prepareRows(field);
    for (const field of fields(form)) this.#write(field, start?.[keyOf(field)] ?? null);
    this.#preparePicture(isTexts(picture) ? picture : null);
    this.#menu("language").value = this.#languages[0] ?? "en";
    this.#menu("language").addEventListener("change", () => this.#renameOriginal());
    this.#offerLanguages();
    this.#offerCopies();
    this.#settle();
    form.addEventListener("change", (event) => {
      if (event.target instanceof HTMLInputElement) settleSame(form, event.target);
      this.#settle();
    });
    form.addEventListener("input", (event) => {
      const box = event.target;
      const field = box instanceof Element ? box.closest("[data-field]") : null;
      if (!(box instanceof HTMLInputElement) || !box.dataset["search"] || !(field instanceof HTMLElement)) return;
      searchIn(field, box.value, within(field, "[data-search-said]", HTMLElement));
    });
  }

  /** The values as PublicCase reads them. Questions that do not belong to this kind of case are left out. */
  read(): JsonObject {
    const found: Record<string, Json> = {};
    for (const field of fields(this.#form)) {
      const key = keyOf(field);
      if (key === "note" || field.closest("[hidden][data-show-key]")) continue;
      const value = this.#read(field);
      if (value !== undefined) found[key === "editorial_licence" ? "licence" : key] = value;
    }
    const { image_alt: alt, ...rest } = found;
    if (this.#picture !== null) rest["image"] = { ...this.#picture, alt: alt ?? null };
    if (this.#form.querySelector("[data-fictional]")) rest["fictional"] = true;
    return rest;
  }

  /** Whether it seems to be more than some other servers take as a whole. */
  isLong(): boolean {
    const bytes = new TextEncoder();
    let size = BESIDE_TEXTS;
    for (const value of Object.values(this.read())) {
      for (const texts of Array.isArray(value) ? value.flatMap((row) => (isTexts(row) ? Object.values(row) : [])) : [value]) {
        if (!isTexts(texts)) continue;
        for (const [code, words] of Object.entries(texts)) {
          size += bytes.encode(String(words)).length * (code === this.#languages[0] ? COPIES.original : COPIES.other);
        }
      }
    }
    return size > EASY_BYTES;
  }

  /** Writes each sentence beside its field; what has no field here is returned. */
  complain(problems: Readonly<Record<string, string>>): string[] {
    for (const field of fields(this.#form)) mark(field, null);
    const homeless: string[] = [];
    let first: HTMLElement | null = null;
    for (const [key, sentence] of Object.entries(problems)) {
      const name = key === "licence" ? "editorial_licence" : (key.split(".")[0] ?? key);
      const field = fields(this.#form).find((one) => keyOf(one) === name && !one.closest("[hidden]"));
      if (field === undefined) homeless.push(problemInWords(key, sentence));
      else {
        mark(field, sentence);
        first ??= field.querySelector<HTMLElement>("input, select, textarea");
      }
    }
    first?.focus();
    return homeless;
  }

  /** Takes over every choice the source made into fields that are still empty; no text comes along. */
  copyChoices(): void {
    const answers = this.#submission?.answers ?? {};
    for (const field of fields(this.#form)) {
      const answer = answers[keyOf(field)];
      const type = field.dataset["type"] ?? "";
      if (answer === undefined || ["texts", "rows", "string", "text", "url-list", "language"].includes(type)) continue;
      if (this.#read(field) === undefined) this.#write(field, answer);
      this.#settle();
    }
  }

  #all(type: string): HTMLElement[] {
    return all(this.#form, `[data-field][data-type="${type}"]`, HTMLElement);
  }

  #menu(key: string): HTMLSelectElement {
    return within(this.#form, `[data-field="${key}"] select`, HTMLSelectElement);
  }

  #settle(): void {
    settleConditions(this.#form);
    settleCounts(this.#form);
  }

  // ---- reading and writing one field

  #read(field: HTMLElement): Json | undefined {
    if (field.dataset["type"] === "texts") return this.#readTexts(field);
    if (field.dataset["type"] === "rows") return this.#readRows(field);
    if (field.dataset["type"] === "picture") return undefined;
    return readValue(this.#form, field);
  }

  #write(field: HTMLElement, value: Json): void {
    const type = field.dataset["type"];
    if (type === "texts") return this.#writeTexts(field, isTexts(value) ? value : {});
    if (type === "rows") return (Array.isArray(value) ? value : []).forEach((row) => this.#addRow(field, row as JsonObject));
    if (value === null || type === "picture") return;
    if (type === "partial-date") return writePartialDate(field, String(value));
    const values = Array.isArray(value) ? value.map(String) : [String(value)];
    for (const control of all(field, "input, select, textarea", HTMLElement)) {
      if (control instanceof HTMLInputElement && ["checkbox", "radio"].includes(control.type)) control.checked = values.includes(control.value);
      else if (control instanceof HTMLInputElement && control.type === "search") continue;
      else if (control instanceof HTMLInputElement || control instanceof HTMLTextAreaElement) control.value = values.join("\n");
      else if (control instanceof HTMLSelectElement) control.value = values[0] ?? "";
    }
  }

  // ---- texts, one version for each language

  #readTexts(field: HTMLElement): Json | undefined {
    const found: Record<string, Json> = {};
    for (const box of all(field, "[data-version]", HTMLElement)) {
      if ((box instanceof HTMLInputElement || box instanceof HTMLTextAreaElement) && box.value.trim() !== "") {
        found[box.dataset["version"] ?? ""] = box.value.trim();
      }
    }
    return Object.keys(found).length > 0 ? found : undefined;
  }

  #writeTexts(field: HTMLElement, values: JsonObject): void {
    const place = within(field, "[data-versions]", HTMLElement);
    const before = (this.#readTexts(field) ?? {}) as JsonObject;
    place.replaceChildren(...this.#languages.map((code) => this.#version(field, code, String(values[code] ?? before[code] ?? ""))));
  }

  #version(field: HTMLElement, code: string, value: string): HTMLElement {
    const rows = Number(field.dataset["lines"] ?? 1);
    const box = rows > ON_ONE_LINE ? make("textarea", { rows: String(rows) }) : make("input", { type: "text" });
    const label = field.querySelector("legend")?.textContent?.trim() ?? "";
    box.dataset["version"] = code;
    box.lang = code;
    box.value = value;
    if (field.dataset["max"]) box.maxLength = Number(field.dataset["max"]);
    box.setAttribute("aria-label", `${label} ${text("in-language", { language: languageName(code) })}`);
    box.setAttribute("aria-describedby", `error-${keyOf(field)}`);
    const shown = this.#languages.length > 1 ? [make("span", { class: "tongue" }, languageName(code))] : [];
    return make("div", { class: "version" }, ...shown, box);
  }

  #renameOriginal(): void {
    const [before, after] = [this.#languages[0] ?? "", this.#menu("language").value];
    if (!after || before === after) return;
    if (this.#languages.includes(after)) this.#languages = [after, ...this.#languages.filter((code) => code !== after)];
    else {
      this.#languages[0] = after;
      for (const box of all(this.#form, `[data-version="${before}"]`, HTMLElement)) box.dataset["version"] = after;
    }
    this.#redrawTexts();
  }

  #redrawTexts(): void {
    for (const field of this.#all("texts")) this.#writeTexts(field, {});
    this.#offerLanguages();
    this.#offerCopies();
  }

  #offerLanguages(): void {
    const offered = ["en", "fr", "es"].filter((code) => !this.#languages.includes(code));
    within(this.#form, "[data-add-version]", HTMLElement).replaceChildren(
      ...offered.map((code) => {
        const button = make("button", { type: "button" }, text("add-language", { language: languageName(code) }));
        button.addEventListener("click", () => {
          this.#languages.push(code);
          this.#redrawTexts();
          this.#form.querySelector<HTMLElement>(`[data-field="title"] [data-version="${code}"]`)?.focus();
        });
        return button;
      }),
    );
  }

  // ---- repeated entries

  #prepareRows(field: HTMLElement): void {
    within(field, "[data-more]", HTMLButtonElement).addEventListener("click", () => {
      this.#addRow(field, {}).querySelector<HTMLElement>("input, select, textarea")?.focus();
    });
  }

  #addRow(field: HTMLElement, values: JsonObject): HTMLElement {
    const copy = within(field, "template", HTMLTemplateElement).content.cloneNode(true) as DocumentFragment;
    const row = within(copy, ".entry", HTMLElement);
    for (const control of all(row, "[data-member]", HTMLElement)) {
      const value = values[control.dataset["member"] ?? ""] ?? null;
      const plain = isTexts(value) ? (value[this.#languages[0] ?? ""] ?? Object.values(value)[0] ?? "") : (value ?? "");
      if ("value" in control) control.value = String(plain);
    }
    // Other languages of a text that is edited in one of them travel along unseen.
    const texts = Object.entries(values).find(([, value]) => isTexts(value))?.[1];
    if (texts !== undefined) row.dataset["texts"] = JSON.stringify(texts);
    within(row, "[data-out]", HTMLButtonElement).addEventListener("click", () => {
      row.remove();
      within(field, "[data-more]", HTMLButtonElement).focus();
    });
    within(field, "[data-rows]", HTMLElement).append(row);
    return row;
  }

  #readRows(field: HTMLElement): Json | undefined {
    const original = this.#languages[0] ?? "en";
    const rows = all(field, "[data-rows] .entry", HTMLElement).map((row) => {
      const found: Record<string, Json> = {};
      for (const control of all(row, "[data-member]", HTMLElement)) {
        const value = "value" in control ? String(control.value).trim() : "";
        const name = control.dataset["member"] ?? "";
        if (value === "") continue;
        const others = JSON.parse(row.dataset["texts"] ?? "{}") as JsonObject;
        found[name] = "texts" in control.dataset ? { ...others, [original]: value } : value;
      }
      return found;
    });
    const filled = rows.filter((row) => Object.keys(row).length > 0);
    return filled.length > 0 ? filled : undefined;
  }

  // ---- the picture: a file that the server draws anew, and the words for those who do not see it

  #preparePicture(start: JsonObject | null): void {
    const field = within(this.#form, '[data-field="image"]', HTMLElement);
    const chosen = within(field, "input[type=file]", HTMLInputElement);
    const out = within(field, "[data-picture-out]", HTMLButtonElement);
    this.#showPicture(start);
    out.addEventListener("click", () => {
      this.#showPicture(null);
      chosen.dispatchEvent(new Event("change", { bubbles: true }));
      chosen.focus();
    });
    chosen.addEventListener("change", () => {
      const file = chosen.files?.[0];
      chosen.value = "";
      if (file === undefined) return;
      mark(field, null);
      chosen.disabled = true;
      this.#pictures.add(file).then(
        (picture) => {
          this.#showPicture(picture);
          chosen.disabled = false;
          chosen.dispatchEvent(new Event("change", { bubbles: true }));
        },
        (error: unknown) => {
          chosen.disabled = false;
          const said = error as { fields?: Record<string, string>; sentence?: string };
          mark(field, said.fields?.["image"] || said.sentence || text("unreachable"));
        },
      );
    });
  }

  #showPicture(picture: JsonObject | null): void {
    this.#picture = picture;
    const field = within(this.#form, '[data-field="image"]', HTMLElement);
    const pixels = within(field, "img", HTMLImageElement);
    show(pixels, picture !== null);
    show(within(field, "[data-picture-out]", HTMLElement), picture !== null);
    show(within(this.#form, '[data-field="image_alt"]', HTMLElement), picture !== null);
    if (picture !== null) pixels.src = this.#pictures.at(String(picture["sha256"]));
  }

  // ---- taking over what the source answered

  #offerCopies(): void {
    for (const field of fields(this.#form)) {
      field.querySelector(":scope > .copy")?.remove();
      const answer = this.#submission?.answers[FROM_ANSWER[keyOf(field)] ?? keyOf(field)];
      if (answer === undefined || keyOf(field) === "language") continue;
      const button = make("button", { type: "button", class: "link copy" }, text("copy-answer"));
      button.addEventListener("click", () => this.#copy(field, answer));
      field.append(button);
    }
  }

  #copy(field: HTMLElement, answer: Json): void {
    if (field.dataset["type"] !== "texts") this.#write(field, answer);
    else {
      const code = this.#submission?.language ?? this.#languages[0] ?? "en";
      if (!this.#languages.includes(code)) {
        this.#languages.push(code);
        this.#redrawTexts();
      }
      const box = within(field, `[data-version="${CSS.escape(code)}"]`, HTMLElement);
      if ("value" in box) box.value = String(answer);
    }
    this.#settle();
  }
}

function keyOf(field: HTMLElement): string {
  return field.dataset["field"] ?? "";
}

function isTexts(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function writePartialDate(field: HTMLElement, value: string): void {
  const [year = "", month = "", day = ""] = value.split("-");
  for (const [name, part] of [["year", year], ["month", month], ["day", day]] as const) {
    const control = field.querySelector(`[data-part="${name}"]`);
    if (control instanceof HTMLInputElement || control instanceof HTMLSelectElement) control.value = part;
  }
}

export function languageName(code: string): string {
  try {
    return new Intl.DisplayNames([document.documentElement.lang], { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}
