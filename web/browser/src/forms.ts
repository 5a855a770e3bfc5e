/**
 * The editor of the forms: a copy is changed with plain fields and buttons, saved as the draft, looked at, published.
 * What holds is decided by the server, which names each part that does not. Nothing of any alert comes here.
 */

import type { AskableQuestion, FormsAnswer } from "./desk-api.ts";
import { ApiError, api } from "./desk-api.ts";
import type { Form, Option, Question, Step, Texts } from "./form-shape.ts";
import { best, freeName, tidied } from "./form-shape.ts";
import { all, byId, dayInWords, hasText, make, show, text, within } from "./page.ts";

const LANGUAGES = { en: "English", fr: "Français", es: "Español" } as const;
const OWN = "own_";

let answer: FormsAnswer;
let purpose = "alert";
let form: Form | null = null;
let savedAs: string | null = null;
let isChanged = false;
let sureOf = "";

const editor = byId("editor", HTMLElement);

function say(sentence: string): void {
  byId("said", HTMLElement).textContent = sentence;
}

function touched(): void {
  isChanged = true;
  savedAs = null;
  sureOf = "";
  say("");
}

// ---- what is known of questions

function known(key: string): AskableQuestion | undefined {
  return answer.questions.find((one) => one.key === key);
}

function typeOf(question: Question): string {
  return question.type ?? known(question.key)?.type ?? "";
}

/** The answers a question can be given, for conditions that depend on it; empty where they are not a list. */
function answersOf(question: Question): Option[] {
  if (typeOf(question) === "boolean") return [["true", "yes"], ["false", "no"]].map(([value = "", name = ""]) => ({ value, label: { [document.documentElement.lang]: text(name) } }));
  return question.options ?? [...(known(question.key)?.options ?? [])].map(({ value, label }) => ({ value, label: { ...label } }));
}

function questionsBefore(wanted: Question): Question[] {
  const every = form?.steps.flatMap((step) => step.questions) ?? [];
  return every.slice(0, every.indexOf(wanted)).filter((one) => answersOf(one).length > 0);
}

// ---- drawing

/** Draws everything anew and puts the focus back where it was, so that a keyboard goes on from there. */
function draw(focus = ""): void {
  const open = new Set(all(editor, "details[open]", HTMLDetailsElement).map((one) => one.id));
  editor.replaceChildren(...(form === null ? [] : drawForm(form)));
  for (const one of all(editor, "details", HTMLDetailsElement)) one.open = open.has(one.id) || one.id === focus;
  const place = document.getElementById(focus);
  (place instanceof HTMLDetailsElement ? place.querySelector("summary") : place)?.focus();
  for (const [id, shown] of [["copy-form", form === null], ["save-form", form !== null], ["publish-form", form !== null], ["drop-form", form !== null], ["exchange", true]] as const) {
    show(byId(id, HTMLElement), shown);
  }
  byId("as-text", HTMLTextAreaElement).value = JSON.stringify(form ?? answer.forms[purpose]?.document, null, 1);
  drawStanding();
}

function drawStanding(): void {
  const { versions = [], draft = null, sha256 = "" } = answer.forms[purpose] ?? {};
  const line = versions.find((one) => one.sha256 === sha256);
  const words = (one: typeof line): Record<string, string> => ({
    n: String(one?.number ?? ""), day: dayInWords(one?.published_on ?? ""), who: answer.people[one?.published_by ?? ""] ?? text("somebody"),
  });
  const said = line === undefined ? text("bundled") : text("version", words(line));
  byId("standing", HTMLElement).textContent = draft === null ? said : `${said} ${text("with-draft")}`;
  byId("versions", HTMLElement).replaceChildren(
    ...versions.map((one) => make("li", {}, `${text("version-line", words(one))} `, make("a", { href: `/api/v1/forms/${one.sha256}` }, `${text("show-json")} ${one.sha256.slice(0, 12)}`))),
    ...(versions.length === 0 ? [make("li", {}, text("no-versions"))] : []),
  );
  for (const button of all(document, "[data-purpose]", HTMLButtonElement)) button.setAttribute("aria-pressed", String(button.dataset["purpose"] === purpose));
  for (const link of all(document, "[data-preview]", HTMLAnchorElement)) link.href = `/api/v1/desk/forms/${purpose}/preview?lang=${link.dataset["preview"] ?? "en"}`;
}

function drawForm(whole: Form): HTMLElement[] {
  whole.notice ??= {};
  const add = make("button", { type: "button", id: "add-step" }, text("add-step"));
  add.addEventListener("click", () => {
    whole.steps.push({ id: freeName("step-", whole.steps.map(({ id }) => id)), title: {}, questions: [] });
    touched();
    draw(`step-${whole.steps.length - 1}`);
  });
  return [
    words("notice", text("notice"), whole.notice, true),
    ...whole.steps.map((step, at) => drawStep(whole, step, at)),
    make("p", { class: "moves" }, add),
  ];
}

function drawStep(whole: Form, step: Step, at: number): HTMLElement {
  const heading = make("h2", { id: `step-${at}`, tabindex: "-1" }, text("step", { n: at + 1, title: best(step.title) }));
  const moves = [...moveButtons(whole.steps, at, best(step.title), (to) => `step-${to}`), ...(step.questions.length === 0 ? [outButton(whole.steps, at, best(step.title), "add-step")] : [])];
  return make(
    "section",
    { class: "panel", "aria-labelledby": `step-${at}` },
    heading,
    words(`title-${at}`, text("step-title"), step.title, false),
    make("p", { class: "moves" }, ...moves),
    ...step.questions.map((question, index) => drawQuestion(whole, step, question, index)),
    addQuestion(whole, step, at),
  );
}

function drawQuestion(whole: Form, step: Step, question: Question, index: number): HTMLElement {
  const { kept = [] } = answer.forms[purpose] ?? {};
  const name = best(question.label) || question.key;
  const mustStay = kept.includes(question.key);
  question.hint ??= {};
  const moves = moveButtons(step.questions, index, name, () => `q-${question.key}`);
  if (!mustStay) moves.push(outButton(step.questions, index, name, `step-${whole.steps.indexOf(step)}`));
  const marks = question.required ? [" ", make("span", { class: "needed" }, text("needed"))] : [];
  return make(
    "details",
    { class: "shelf", id: `q-${question.key}` },
    make("summary", {}, name, ...marks, " ", make("small", {}, question.key)),
    ...(mustStay ? [make("p", { class: "quiet" }, text("must-stay"))] : []),
    words(`label-${question.key}`, text("label"), question.label, false),
    words(`hint-${question.key}`, text("hint"), question.hint, true),
    ...(typeOf(question) === "file-list" ? [] : [requiredBox(question)]),
    stepMenu(whole, step, question),
    ...(mustStay ? [] : [condition(question)]),
    ...(["choice", "multi"].includes(typeOf(question)) ? [options(question)] : []),
    make("p", { class: "moves" }, ...moves),
  );
}

function requiredBox(question: Question): HTMLElement {
  const box = make("input", { type: "checkbox" });
  box.checked = question.required === true;
  box.addEventListener("change", () => {
    if (box.checked) question.required = true;
    else delete question.required;
    touched();
  });
  return make("label", { class: "choice" }, box, " ", make("span", {}, text("required")));
}

function stepMenu(whole: Form, step: Step, question: Question): HTMLElement {
  const menu = menuOf(whole.steps.map((one, at) => [String(at), text("step", { n: at + 1, title: best(one.title) })]), String(whole.steps.indexOf(step)));
  menu.addEventListener("change", () => {
    step.questions.splice(step.questions.indexOf(question), 1);
    whole.steps[Number(menu.value)]?.questions.push(question);
    touched();
    draw(`q-${question.key}`);
  });
  return make("label", { class: "field" }, `${text("in-step")} `, menu);
}

function condition(question: Question): HTMLElement {
  const before = questionsBefore(question);
  const menu = menuOf([["", text("always")], ...before.map((one): [string, string] => [one.key, best(one.label)])], question.show_if?.key ?? "");
  menu.id = `if-${question.key}`;
  menu.addEventListener("change", () => {
    if (menu.value === "") delete question.show_if;
    else question.show_if = { key: menu.value, values: [] };
    touched();
    draw(menu.id);
  });
  const on = before.find((one) => one.key === question.show_if?.key);
  const boxes = on === undefined ? [] : answersOf(on).map(({ value, label }) => {
    const box = make("input", { type: "checkbox", value });
    box.checked = question.show_if?.values.includes(value) === true;
    box.addEventListener("change", () => {
      const values = new Set(question.show_if?.values);
      if (box.checked) values.add(value);
      else values.delete(value);
      if (question.show_if) question.show_if.values = [...values];
      touched();
    });
    return make("label", { class: "choice" }, box, " ", make("span", {}, best(label) || value));
  });
  const which = boxes.length > 0 ? [make("fieldset", { class: "field" }, make("legend", {}, text("is-one-of")), ...boxes)] : [];
  return make("div", {}, make("label", { class: "field" }, `${text("only-if")} `, menu), ...which);
}

function options(question: Question): HTMLElement {
  const isOwn = question.key.startsWith(OWN);
  const list = known(question.key)?.options ?? [];
  const parts: HTMLElement[] = [];
  if (!isOwn) {
    const menu = menuOf([["all", text("all-options")], ["own", text("own-options")]], question.options === undefined ? "all" : "own");
    menu.id = `options-${question.key}`;
    menu.addEventListener("change", () => {
      if (menu.value === "all") delete question.options;
      else question.options = list.map(({ value, label }) => ({ value, label: { ...label } }));
      touched();
      draw(menu.id);
    });
    parts.push(make("label", { class: "field" }, `${text("options")} `, menu));
  }
  const chosen = question.options ?? [];
  for (const [at, option] of chosen.entries()) {
    const name = best(option.label) || option.value;
    const id = `option-${question.key}-${at}`;
    const buttons = [...moveButtons(chosen, at, name, (to) => `option-${question.key}-${to}-en`), outButton(chosen, at, name, `q-${question.key}`)];
    parts.push(make("div", { class: "entry" }, words(id, text("option"), option.label, false), make("p", { class: "moves" }, ...buttons)));
  }
  const left = list.filter(({ value }) => !chosen.some((one) => one.value === value));
  if (isOwn || (question.options !== undefined && left.length > 0)) {
    const menu = isOwn ? null : menuOf(left.map(({ value, label }) => [value, best(label)]), left[0]?.value ?? "");
    const add = make("button", { type: "button" }, text("new-option"));
    add.addEventListener("click", () => {
      const from = list.find(({ value }) => value === menu?.value);
      question.options = [...chosen, from === undefined ? { value: freeName("option-", chosen.map(({ value }) => value)), label: {} } : { value: from.value, label: { ...from.label } }];
      touched();
      draw(`option-${question.key}-${chosen.length}-en`);
    });
    if (menu !== null) menu.setAttribute("aria-label", text("option"));
    parts.push(make("p", { class: "moves" }, ...(menu === null ? [] : [menu, " "]), add));
  }
  return make("fieldset", { class: "field" }, make("legend", {}, text("options")), ...parts);
}

function addQuestion(whole: Form, step: Step, at: number): HTMLElement {
  const asked = new Set(whole.steps.flatMap(({ questions }) => questions.map(({ key }) => key)));
  const free = answer.questions.filter(({ key }) => !asked.has(key));
  const menu = menuOf([...free.map((one): [string, string] => [one.key, best({ ...one.label })]), ...answer.own_types.map((type): [string, string] => [`${OWN}${type}`, text(`own-${type}`)])], "");
  const add = make("button", { type: "button" }, text("add"));
  add.addEventListener("click", () => {
    const found = known(menu.value);
    const type = menu.value.slice(OWN.length);
    const question: Question = found === undefined ? { key: freeName(OWN, [...asked]), type, label: {} } : { key: found.key, label: { ...found.label } };
    if (["choice", "multi"].includes(question.type ?? "")) question.options = [];
    step.questions.push(question);
    touched();
    draw(`q-${question.key}`);
  });
  menu.id = `add-${at}`;
  return make("p", { class: "moves" }, make("label", {}, `${text("add-question")} `, menu), " ", add);
}

/** One text in every language, each in a field of its own. */
function words(id: string, label: string, texts: Texts, isLong: boolean): HTMLElement {
  return make(
    "fieldset",
    { class: "field" },
    make("legend", {}, label),
    ...Object.entries(LANGUAGES).map(([code, name]) => {
      const box = isLong ? make("textarea", { rows: "2" }) : make("input", { type: "text" });
      Object.assign(box, { id: `${id}-${code}`, lang: code, value: texts[code] ?? "", maxLength: 600 });
      box.addEventListener("input", () => {
        if (box.value.trim() === "") delete texts[code];
        else texts[code] = box.value;
        touched();
      });
      return make("label", { class: "version" }, make("span", { class: "tongue" }, name), " ", box);
    }),
  );
}

function menuOf(choices: readonly (readonly [string, string])[], chosen: string): HTMLSelectElement {
  const menu = make("select", {}, ...choices.map(([value, label]) => make("option", { value }, label)));
  if (choices.some(([value]) => value === chosen)) menu.value = chosen;
  return menu;
}

function moveButtons<T>(list: T[], at: number, what: string, focus: (to: number) => string): HTMLElement[] {
  return ([["up", -1], ["down", 1]] as const).filter(([, by]) => list[at + by] !== undefined).map(([name, by]) => {
    const button = make("button", { type: "button", "aria-label": text(name, { what }) }, text(`${name}-short`));
    button.addEventListener("click", () => {
      const [one] = list.splice(at, 1);
      if (one !== undefined) list.splice(at + by, 0, one);
      touched();
      draw(focus(at + by));
    });
    return button;
  });
}

function outButton<T>(list: T[], at: number, what: string, focus: string): HTMLElement {
  const button = make("button", { type: "button", "aria-label": text("out", { what }) }, text("out-short"));
  button.addEventListener("click", () => {
    list.splice(at, 1);
    touched();
    draw(focus);
  });
  return button;
}

// ---- saving, publishing

function complain(problems: Readonly<Record<string, string>>): void {
  const box = byId("problems", HTMLElement);
  within(box, "ul", HTMLUListElement).replaceChildren(
    ...Object.entries(problems).map(([place, code]) => {
      const at = /^step:(\d+)$/.exec(place)?.[1];
      const id = at === undefined ? `q-${place}` : `step-${at}`;
      const question = form?.steps.flatMap(({ questions }) => questions).find(({ key }) => key === place);
      const name = at !== undefined ? text("step", { n: Number(at) + 1, title: best(form?.steps[Number(at)]?.title ?? {}) }) : best({ ...(question ?? known(place))?.label }) || place;
      const sentence = text(hasText(`problem-${code}`) ? `problem-${code}` : "problem-shape");
      const link = make("a", { href: `#${id}` }, name === "" ? sentence : `${name}: ${sentence}`);
      link.addEventListener("click", (event) => {
        event.preventDefault();
        draw(id);
      });
      return make("li", {}, link);
    }),
  );
  show(box, Object.keys(problems).length > 0);
  if (!box.hidden) box.focus();
}

async function save(): Promise<boolean> {
  if (form === null) return false;
  savedAs = (await api.saveForm(purpose, tidied(form))).sha256;
  isChanged = false;
  complain({});
  say(text("saved"));
  return true;
}

/** A move that cannot be taken back is asked for twice. */
function isSure(move: string): boolean {
  if (sureOf === move) return true;
  sureOf = move;
  say(text(`sure-${move}`));
  return false;
}

let queue: Promise<void> = Promise.resolve();

/** One move after the other: a second press waits until the first has come to its end. */
function act(move: () => Promise<unknown>): void {
  queue = queue.then(() => attempt(move));
}

async function attempt(move: () => Promise<unknown>): Promise<void> {
  try {
    await move();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 400 && Object.keys(error.fields).length > 0) return complain(error.fields);
    const closed = { 401: "sign-in", 403: "not-for-you", 409: "changed-meanwhile", 0: "unreachable" }[error.status] ?? "not-said";
    if (form !== null) return say(text(closed));
    const place = byId("closed", HTMLElement);
    place.textContent = text(closed);
    show(place);
  }
}

async function load(wanted: string): Promise<void> {
  answer = await api.forms();
  purpose = wanted;
  const draft = answer.forms[purpose]?.draft ?? null;
  form = draft === null ? null : (structuredClone(draft) as unknown as Form);
  savedAs = null;
  isChanged = false;
  complain({});
  show(byId("forms", HTMLElement));
  draw();
}

function on(id: string, move: () => Promise<unknown>): void {
  byId(id, HTMLButtonElement).addEventListener("click", () => act(move));
}

on("copy-form", async () => {
  form = structuredClone(answer.forms[purpose]?.document) as unknown as Form;
  await save();
  await load(purpose);
  byId("save-form", HTMLElement).focus();
});
on("save-form", save);
on("drop-form", async () => {
  if (!isSure("drop")) return;
  await api.dropForm(purpose);
  await load(purpose);
  say(text("dropped"));
});
on("publish-form", async () => {
  if (isChanged) return say(text("save-first"));
  if (savedAs === null) await save();
  if (savedAs === null || !isSure("publish")) return;
  await api.publishForm(purpose, savedAs);
  await load(purpose);
  say(text("published"));
});
on("take-text", async () => {
  let given: unknown;
  try {
    given = JSON.parse(byId("as-text", HTMLTextAreaElement).value);
  } catch {
    return say(text("no-json"));
  }
  // Judged before it is drawn: a text from elsewhere may hold anything.
  await api.saveForm(purpose, given);
  await load(purpose);
  say(text("saved"));
});
for (const button of all(document, "[data-purpose]", HTMLButtonElement)) {
  button.addEventListener("click", () => act(async () => (isChanged ? say(text("save-first")) : load(button.dataset["purpose"] ?? "alert"))));
}
window.addEventListener("beforeunload", (event) => {
  if (isChanged) event.preventDefault();
});
act(() => load("alert"));
