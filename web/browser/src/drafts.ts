/**
 * A draft of the form on the source's own device, kept only when asked for and only locked with a passphrase: in the
 * browser's storage under a name that says nothing, or as a file. Answers only, no files. Nothing here sends anything.
 */

import { isObject } from "./canonical.ts";
import { fromBase64, toBase64, utf8 } from "./encoding.ts";
import { settleCounts } from "./intake-form.ts";
import { all, byId, goTo, make, show, text, within } from "./page.ts";
import { SHORTEST, lock, unlock } from "./passphrases.ts";
import { Refused } from "./refusal.ts";

/** Under this name, as on any page: `1` or `0` (goes with the way out, or stays), then the locked draft. */
const PLACE = "form";
const PAD = 4096;
const LONGEST_FILE = 4 * 1024 * 1024;

interface Draft {
  readonly v: 1;
  readonly form: string;
  readonly purpose: string;
  readonly values: readonly (readonly [string, string])[];
}

interface Around {
  readonly form: HTMLFormElement;
  /** Whether this browser may keep it; a page from a disk shares its storage with every other one. */
  readonly mayStay: boolean;
  /** What was shown before, and is shown again. */
  readonly back: () => void;
}

/**
 * Asks for a passphrase and keeps what was answered so far.
 *
 * isOurs  the draft that lies in this browser is one of these answers; another one is replaced only when asked twice.
 */
export function keep({ form, mayStay, back }: Around, isOurs: boolean, kept: () => void): void {
  const { box, section, said, problem, close } = open("keep-draft", back);
  const [first, again] = all(box, "input[type=password]", HTMLInputElement);
  const goesAlong = within(box, "[name=goes-along]", HTMLInputElement);
  let mayReplace = isOurs || !mayStay || stored() === null;
  show(within(section, "[value=here]", HTMLButtonElement), mayStay);
  box.onsubmit = (event) => {
    event.preventDefault();
    const passphrase = first?.value ?? "";
    if (passphrase.length < SHORTEST) return complain(problem, text("draft-short"), first);
    if (passphrase !== again?.value) return complain(problem, text("draft-not-same"), again);
    const isFile = event.submitter?.getAttribute("value") === "file";
    if (!isFile && !mayReplace) {
      mayReplace = true;
      return complain(problem, text("draft-there"), event.submitter);
    }
    show(problem, false);
    void slowly(box, said, async () => {
      const locked = await lock(written(form), passphrase);
      if (isFile) save(locked);
      else localStorage.setItem(PLACE, (goesAlong.checked ? "1" : "0") + toBase64(locked));
      close();
      if (!isFile) kept();
    }).catch(() => complain(problem, text("draft-not-kept"), first));
  };
}

/** Asks for the passphrase of a draft and fills the form in; `begin` opens the form first, where it may be opened. */
export function resume({ form, mayStay, back }: Around, begin: () => Promise<boolean>, opened: () => void): void {
  const { box, said, problem, close } = open("open-draft", back);
  const passphrase = within(box, "input[type=password]", HTMLInputElement);
  const file = within(box, "input[type=file]", HTMLInputElement);
  const here = mayStay ? stored() : null;
  const remove = within(box, "[data-remove]", HTMLButtonElement);
  show(within(box, "[data-here]", HTMLElement), here !== null);
  show(remove, here !== null);
  remove.onclick = () => {
    localStorage.removeItem(PLACE);
    close();
  };
  box.onsubmit = (event) => {
    event.preventDefault();
    void slowly(box, said, async () => {
      const chosen = file.files?.[0];
      if (chosen === undefined && here === null) return complain(problem, text("draft-none"), file);
      if (chosen !== undefined && chosen.size > LONGEST_FILE) throw new Refused("cannot-open");
      const locked = chosen === undefined ? fromBase64((here ?? "").slice(1)) : new Uint8Array(await chosen.arrayBuffer());
      const draft = read(await unlock(locked, passphrase.value));
      if (draft.purpose !== form.dataset["purpose"]) return complain(problem, text("draft-other-form"), null);
      close();
      if (!(await begin())) return;
      fill(form, draft);
      if (chosen === undefined) opened();
    }).catch((error: unknown) => {
      if (!(error instanceof Refused)) throw error;
      passphrase.select();
      complain(problem, text("draft-wrong"), passphrase);
    });
  };
}

function stored(): string | null {
  try {
    return localStorage.getItem(PLACE);
  } catch {
    // Where storage is shut off, a draft can only be a file.
    return null;
  }
}

function open(id: string, back: () => void): { box: HTMLFormElement; section: HTMLElement; said: HTMLElement; problem: HTMLElement; close: () => void } {
  const section = byId(id, HTMLElement);
  const box = within(section, "form", HTMLFormElement);
  const problem = within(box, ".problem", HTMLElement);
  const close = (): void => {
    box.reset();
    show(section, false);
    back();
  };
  show(problem, false);
  within(box, "[data-cancel]", HTMLButtonElement).onclick = close;
  show(section);
  goTo(within(section, "h2", HTMLElement));
  return { box, section, said: within(box, "[role=status]", HTMLElement), problem, close };
}

/** Says that it takes a while, and does it; the page stays alive meanwhile, its way out too. */
async function slowly(box: HTMLFormElement, said: HTMLElement, act: () => Promise<void>): Promise<void> {
  const buttons = all(box, "button", HTMLButtonElement);
  said.textContent = text("draft-slow");
  for (const button of buttons) button.disabled = true;
  try {
    await act();
  } finally {
    said.textContent = "";
    for (const button of buttons) button.disabled = false;
  }
}

function complain(place: HTMLElement, sentence: string, focus: HTMLElement | null | undefined): void {
  place.textContent = sentence;
  show(place);
  focus?.focus();
}

function written(form: HTMLFormElement): Uint8Array {
  const values = [...new FormData(form)].filter((one): one is [string, string] => typeof one[1] === "string" && one[1] !== "");
  const draft: Draft = { v: 1, form: form.dataset["form"] ?? "", purpose: form.dataset["purpose"] ?? "", values };
  const bytes = utf8(JSON.stringify(draft));
  // Blanks behind JSON are none: how much was written shows in steps only.
  const padded = new Uint8Array(Math.ceil((bytes.length + 1) / PAD) * PAD).fill(0x20);
  padded.set(bytes);
  return padded;
}

function read(bytes: Uint8Array): Draft {
  let found: unknown;
  try {
    found = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new Refused("cannot-open");
  }
  const isPair = (one: unknown): boolean => Array.isArray(one) && one.length === 2 && one.every((part) => typeof part === "string");
  if (!isObject(found) || found["v"] !== 1 || !Array.isArray(found["values"]) || !found["values"].every(isPair)) throw new Refused("cannot-open");
  return found as unknown as Draft;
}

/** Writes the answers into the form as it is asked now. What has no place any more is shown, so that nothing is lost. */
function fill(form: HTMLFormElement, draft: Draft): void {
  const left = new Set(draft.values);
  const of = (name: string): (readonly [string, string])[] => draft.values.filter(([key]) => key === name);
  form.reset();
  for (const control of all(form, "input[name], select[name], textarea[name]", HTMLElement)) {
    if (!(control instanceof HTMLInputElement || control instanceof HTMLSelectElement || control instanceof HTMLTextAreaElement)) continue;
    const kept = of(control.name);
    if (control instanceof HTMLInputElement && ["checkbox", "radio"].includes(control.type)) {
      const same = kept.find(([, value]) => value === control.value);
      control.checked = same !== undefined;
      if (same) left.delete(same);
    } else if (kept[0]) {
      control.value = kept[0][1];
      if (control.value === kept[0][1]) left.delete(kept[0]);
    }
  }
  settleCounts(form);
  form.dispatchEvent(new Event("change"));
  const homeless = byId("homeless", HTMLElement);
  within(homeless, "ul", HTMLUListElement).replaceChildren(...[...left].map(([, value]) => make("li", {}, value)));
  show(homeless, left.size > 0);
}

function save(locked: Uint8Array): void {
  const address = URL.createObjectURL(new Blob([locked as Uint8Array<ArrayBuffer>], { type: "application/octet-stream" }));
  make("a", { href: address, download: "form.age" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
