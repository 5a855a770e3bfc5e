/** What the checkers write down for each other: checks, notes and assessments, sealed to the people of the case. */

import type { CaseAnswer } from "./desk-api.ts";
import { ApiError, api } from "./desk-api.ts";
import type { Seat } from "./desk-session.ts";
import { Complaint, onSubmit, picked, view, written } from "./desk-view.ts";
import { who, why } from "./desk-words.ts";
import { composeRecord, openCase } from "./open.ts";
import { all, byId, dayInWords, make, show, text, today } from "./page.ts";
import type { CaseEntry, JsonObject, OpenedCase } from "./types.ts";

const MAX_TRIES = 3;
const PARTS = {
  check: ["claim", "method", "evidence", "result", "source_grade", "information_grade"],
  assessment: ["reasons", "against", "limits", "source_grade", "information_grade"],
  note: ["text"],
} as const;
const NEEDED = { check: ["claim", "evidence", "result"], assessment: ["reasons"], note: ["text"] } as const;
type Kind = keyof typeof PARTS;

export function recordLine(seat: Seat, people: CaseAnswer["people"], entry: CaseEntry): HTMLElement {
  if (!entry.verified) return make("li", { class: "broken" }, text("refused-entry", { why: why(entry.reason) }));
  const author = seat.desk.staff.find((member) => member.ed25519 === entry.sender);
  const name = author === undefined ? text("somebody") : who(seat, people, author.id);
  const heading = text("record-by", { kind: text(`record-${entry.type}`), name, day: dayInWords(entry.day) });
  const lines = PARTS[entry.type].flatMap((key) => {
    const value = entry.body[key];
    return typeof value === "string" && value !== "" ? [make("div", {}, make("dt", {}, words("key", key)), make("dd", {}, inWords(key, value)))] : [];
  });
  return make("li", {}, make("p", { class: "from" }, heading), make("dl", { class: "answers" }, ...lines));
}

function inWords(key: string, value: string): string {
  return key === "result" ? words("result", value) : value;
}

function words(attribute: string, name: string): string {
  const found = byId("record-words", HTMLTemplateElement).content.querySelector(`[data-${attribute}="${CSS.escape(name)}"]`);
  return found?.textContent ?? name;
}

/** The form for one more record. `done` gets the case as it is then. */
export function recordForm(seat: Seat, opened: OpenedCase, done: (answer: CaseAnswer) => void): HTMLElement {
  const form = view("step-record");
  if (!(form instanceof HTMLFormElement)) throw new Error("The template step-record is not a form.");
  const settle = (): void => {
    const kind = picked(form, "type");
    for (const part of all(form, "[data-for]", HTMLElement)) show(part, (part.dataset["for"] ?? "").split(" ").includes(kind));
  };
  form.addEventListener("change", settle);
  settle();
  onSubmit(form, async () => {
    const kind = picked(form, "type") as Kind;
    const body: Record<string, string> = {};
    for (const key of PARTS[kind]) {
      const value = key === "result" ? picked(form, key) : written(form, key);
      if (value !== "") body[key] = value;
    }
    const missing = NEEDED[kind].find((key) => !(key in body));
    if (missing !== undefined) throw new Complaint(`${words("key", missing)}: ${text("needed")}`);
    done(await put(seat, opened, kind, body));
  });
  return form;
}

async function put(seat: Seat, opened: OpenedCase, kind: Kind, body: JsonObject): Promise<CaseAnswer> {
  let current = opened;
  for (let tries = 0; ; tries += 1) {
    try {
      return await api.record(opened.id, kind, await composeRecord(current, seat.keys, kind, body, today()));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409 || tries >= MAX_TRIES) throw error;
      // A colleague recorded something meanwhile: this one goes after it.
      current = await openCase(await api.case(opened.id), seat.keys, seat.desk);
    }
  }
}
