/**
 * The form an alert was written with. An alert names it by its hash inside the ciphertext; it is fetched by that hash, held
 * against it, and its words are shown, however old it is. Whether an alert is urgent is known only here, once it is open.
 */

import { readObject } from "./canonical.ts";
import type { AlertLine } from "./desk-api.ts";
import { api } from "./desk-api.ts";
import type { Seat } from "./desk-session.ts";
import { answersInWords, labelOf, valueInWords } from "./desk-words.ts";
import { sha256Hex } from "./encoding.ts";
import { get } from "./network.ts";
import { openAlert } from "./open.ts";
import { make, nodeOrigin, text } from "./page.ts";
import type { Hex, Json, JsonObject, Submission } from "./types.ts";

type Texts = { readonly [language: string]: string };

export interface AskedOption {
  readonly value: string;
  readonly label: Texts;
  readonly more?: Texts;
}

export interface AskedQuestion {
  readonly key: string;
  readonly label: Texts;
  readonly options?: readonly AskedOption[];
}

export interface SourceForm {
  readonly purpose: "alert" | "urgent";
  readonly steps: readonly { readonly title: Texts; readonly questions: readonly AskedQuestion[] }[];
}

const MOST_OPENED = 100;
const forms = new Map<Hex, Promise<SourceForm | null>>();
const urgent = new Map<Hex, Promise<boolean>>();

/** The form with that hash, or null where this server has none. A form with another hash is none. */
export function formOf(sha256: Hex): Promise<SourceForm | null> {
  const found = forms.get(sha256) ?? fetchForm(sha256);
  forms.set(sha256, found);
  return found;
}

async function fetchForm(sha256: Hex): Promise<SourceForm | null> {
  try {
    const bytes = new Uint8Array(await (await get(nodeOrigin(), `/api/v1/forms/${sha256}`, {})).arrayBuffer());
    return sha256Hex(bytes) === sha256 ? (readObject(bytes) as unknown as SourceForm) : null;
  } catch {
    return null;
  }
}

/** What a source answered, in the words it was asked with; in today's words until they are here, or where they are unknown. */
export function answersByForm({ form, answers }: Submission): HTMLElement {
  const box = make("div", { class: "by-form" }, ...answersInWords(answers));
  void formOf(form).then((found) => {
    if (found === null) return box.prepend(make("p", { class: "quiet" }, text("form-unknown")));
    const banner = isUrgent(found, answers) ? [make("p", {}, make("strong", { class: "urgent" }, text("urgent")), ` ${urgencyOf(found, answers)}`)] : [];
    box.replaceChildren(...banner, ...inItsWords(found, answers), make("p", { class: "quiet" }, text("form-named", { hash: form.slice(0, 12) })));
  });
  return box;
}

/** What a source said about itself, in the words of the same form. */
export function identityByForm(submission: Submission | null, fields: JsonObject): HTMLElement {
  const box = make("div", {}, ...answersInWords(fields));
  if (submission !== null) {
    void formOf(submission.form).then((found) => {
      if (found !== null) box.replaceChildren(...inItsWords(found, fields));
    });
  }
  return box;
}

function inItsWords(form: SourceForm, answers: JsonObject): HTMLElement[] {
  const left = new Set(Object.keys(answers));
  const parts: HTMLElement[] = [];
  for (const { title, questions } of form.steps) {
    const lines = questions.flatMap((question) => {
      const value = answers[question.key];
      return value === undefined || value === null || !left.delete(question.key) ? [] : [line(best(question.label), inWords(question, value))];
    });
    if (lines.length > 0) parts.push(make("h4", {}, best(title)), make("dl", { class: "answers" }, ...lines));
  }
  // Said by a door that asked with other words, such as the command.
  const rest = [...left].map((key) => line(labelOf(key), valueInWords(key, answers[key] ?? null)));
  return rest.length > 0 ? [...parts, make("dl", { class: "answers" }, ...rest)] : parts;
}

function inWords(question: AskedQuestion, value: Json): string {
  const word = (one: Json): string => {
    const option = question.options?.find((known) => known.value === one);
    return option === undefined ? valueInWords(question.key, one) : best(option.label);
  };
  return Array.isArray(value) ? value.map(word).join("; ") : word(value);
}

function line(label: string, value: string): HTMLElement {
  return make("div", {}, make("dt", {}, label), make("dd", {}, value));
}

/** The words in the page's language, else in English, else in whichever there are. */
export function best(texts: Texts): string {
  return texts[document.documentElement.lang] ?? texts["en"] ?? Object.values(texts)[0] ?? "";
}

function urgencyOf(form: SourceForm, answers: JsonObject): string {
  const question = form.steps.flatMap(({ questions }) => questions).find(({ key }) => key === "urgency");
  const value = answers["urgency"];
  return question === undefined || value === undefined ? "" : inWords(question, value);
}

function isUrgent(form: SourceForm | null, answers: JsonObject): boolean {
  return form?.purpose === "urgent" || answers["urgency"] === "imminent";
}

/**
 * Opens the alerts nobody has dealt with and puts the urgent ones first, with a word. The server cannot do it: it does not
 * know which they are.
 */
export async function putUrgentFirst(seat: Seat, lines: readonly AlertLine[], elements: readonly HTMLElement[]): Promise<void> {
  const waiting = lines.map((one, at) => [one, elements[at]] as const).filter(([one]) => one.case === null && one.state === "received");
  for (const [{ id }, element] of waiting.slice(0, MOST_OPENED)) {
    const answer = urgent.get(id) ?? asksForHaste(seat, id);
    urgent.set(id, answer);
    if (element === undefined || !(await answer)) continue;
    element.querySelector("a")?.prepend(make("strong", { class: "urgent" }, text("urgent")), " ");
    element.parentElement?.prepend(element);
  }
}

async function asksForHaste(seat: Seat, id: Hex): Promise<boolean> {
  try {
    const { submission } = await openAlert(await api.alert(id), seat.keys, seat.desk);
    return submission !== null && isUrgent(await formOf(submission.form), submission.answers);
  } catch {
    // Not for this person, or broken: its own page says so.
    return false;
  }
}
