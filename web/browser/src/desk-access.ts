/** Who holds the keys of what is open at the desk: giving them to a colleague, asking for them, making a new one. */

import { fingerprint, giveKey, makeNewKey, trustIn } from "./access.ts";
import type { Trust } from "./access.ts";
import type { Kind } from "./desk-api.ts";
import { api } from "./desk-api.ts";
import type { Seat } from "./desk-session.ts";
import { Complaint, onSubmit, say, slot, view } from "./desk-view.ts";
import { sentenceOf, who } from "./desk-words.ts";
import { fetchLatest, timeRefusal } from "./manifest.ts";
import { all, dayInWords, make, nodeOrigin, show, text, today, within } from "./page.ts";
import { Refused } from "./refusal.ts";
import type { Access, Compartment, EpochKey, GivenWrap, Hex, Manifest, Recipient, StaffMember } from "./types.ts";

/** Roles whose people work on cases; their keys can be given a case's records. */
export const CASE_ROLES: ReadonlySet<string> = new Set(["intake", "verifier", "editor", "publisher"]);
const ALERT_ROLES: ReadonlySet<string> = new Set(["intake", "verifier"]);

/** An alert or a case, with what its reader holds of it. */
export interface About {
  readonly kind: Kind;
  readonly id: Hex;
  readonly access: Access;
  readonly held: { readonly [name in Compartment]?: readonly EpochKey[] };
  readonly compartments: readonly Compartment[];
  /** The source's recipient: a new key of the dialogue is sealed to it too. */
  readonly source?: Recipient;
}

export function showAccess(place: HTMLElement, seat: Seat, about: About, reload: () => void): void {
  const root = view("view-access");
  const main = about.kind === "alerts" ? "dialogue" : "internal";
  const holders = (about.access.holders[main] ?? []).map((id) => nameOf(seat, id));
  slot(root, "holders").replaceChildren(...holdersOf(seat, about, main).map((line) => make("li", {}, line)));
  const waiting = about.access.requests.filter((one) => one.state === "asked" && one.compartment === main);
  slot(root, "waiting").replaceChildren(
    ...waiting.filter((one) => one.by !== seat.me.id).map((one) => make("li", {}, text("waits", { who: nameOf(seat, one.by), day: dayInWords(one.on) }))),
  );
  const canOpen = (about.held[main] ?? []).length > 0;
  if (canOpen) {
    prepareGiving(root, seat, about, reload);
    prepareRenewal(root, seat, about, main, reload);
  } else {
    const asked = waiting.find((one) => one.by === seat.me.id);
    const said = slot(root, "ask-said");
    if (holders.length === 0) said.textContent = text("ask-nobody");
    else if (asked) said.textContent = text("you-wait", { day: dayInWords(asked.on), who: holders.join(", ") });
    else said.textContent = text("ask-whom", { who: holders.join(", ") });
    show(said);
    const button = within(root, "[data-ask-access]", HTMLButtonElement);
    show(button, asked === undefined && holders.length > 0);
    button.addEventListener("click", () => {
      button.disabled = true;
      api.askFor(about.kind, about.id, main, null).then(reload, (error: unknown) => say(sentenceOf(error)));
    });
  }
  place.replaceChildren(root);
}

function holdersOf(seat: Seat, about: About, compartment: Compartment): string[] {
  return (about.access.holders[compartment] ?? []).map((id) => {
    const grant = about.access.grants.find((one) => one.holder === id && one.compartment === compartment && one.epoch === 1);
    const name = nameOf(seat, id);
    if (grant === undefined) return text("holder-first", { who: name });
    return text("holder-given", { who: name, by: nameOf(seat, grant.by), day: dayInWords(grant.on) });
  });
}

function nameOf(seat: Seat, id: string): string {
  return who(seat, {}, id);
}

// ---- giving on

function prepareGiving(root: HTMLElement, seat: Seat, about: About, reload: () => void): void {
  const button = within(root, "[data-give]", HTMLButtonElement);
  show(button);
  button.addEventListener("click", () => void open());
  const open = async (): Promise<void> => {
    const manifest = await signedList();
    const people = seat.desk.staff.filter((member) => missing(seat, about, member).length > 0);
    const asking = new Set(about.access.requests.filter((one) => one.state === "asked").map((one) => one.by));
    const panel = openPanel(root, { title: text("give-title"), help: text("give-help"), act: text("give-do") }, button);
    const lines = people.map((member) => new PersonLine(member, manifest, asking.has(member.id)));
    slot(panel, "people").replaceChildren(...(lines.length > 0 ? lines.map((line) => line.root) : [make("p", { class: "quiet" }, text("give-nobody"))]));
    show(within(panel, "[data-submit]", HTMLButtonElement), lines.length > 0);
    focusFirst(panel);
    onSubmit(panel, async () => {
      const chosen = lines.filter((line) => line.isChosen);
      if (chosen.length === 0) throw new Complaint(text("needed"));
      for (const line of chosen) line.requireTrust();
      const wraps: GivenWrap[] = [];
      for (const { member } of chosen) {
        for (const [compartment, key] of missing(seat, about, member)) {
          const place = { node: seat.desk.node, case: about.id, compartment };
          wraps.push(await giveKey(key, member, { place, me: seat.keys, day: today(), manifest: manifest?.sha256 ?? null }));
        }
      }
      await api.give(about.kind, about.id, wraps);
      say(text("done"));
      reload();
    });
  };
}

/** The keys that this person may have, does not have, and that are ours to give. */
function missing(seat: Seat, about: About, member: StaffMember): [Compartment, EpochKey][] {
  if (member.left === true || member.id === seat.me.id) return [];
  const custodians = new Set(seat.desk.staff.filter((one) => one.left !== true && one.roles.includes("custodian") && has(one, ALERT_ROLES)).map((one) => one.id));
  const found: [Compartment, EpochKey][] = [];
  for (const compartment of about.compartments) {
    const isApt =
      compartment === "internal"
        ? has(member, CASE_ROLES)
        : has(member, ALERT_ROLES) && (compartment === "dialogue" || custodians.size === 0 || custodians.has(member.id));
    if (!isApt || (about.access.holders[compartment] ?? []).includes(member.id)) continue;
    for (const key of about.held[compartment] ?? []) found.push([compartment, key]);
  }
  return found;
}

function has(member: StaffMember, roles: ReadonlySet<string>): boolean {
  return member.roles.some((role) => roles.has(role));
}

// ---- a new key

function prepareRenewal(root: HTMLElement, seat: Seat, about: About, compartment: Compartment, reload: () => void): void {
  const due = about.access.due.find((one) => one.compartment === compartment);
  show(slot(root, "due"), due !== undefined);
  if (due === undefined) return;
  slot(root, "due-said").textContent = text("due", { who: nameOf(seat, due.left), day: dayInWords(due.since) });
  const button = within(root, "[data-renew]", HTMLButtonElement);
  const open = async (): Promise<void> => {
    const manifest = await signedList();
    const holders = seat.desk.staff.filter((member) => (about.access.holders[compartment] ?? []).includes(member.id));
    const panel = openPanel(root, { title: text("renew-title"), help: text("renew-help"), act: text("renew-do") }, button);
    const lines = holders.map((member) => new PersonLine(member, manifest, true, member.id === seat.me.id));
    slot(panel, "people").replaceChildren(...lines.map((line) => line.root));
    focusFirst(panel);
    onSubmit(panel, async () => {
      for (const line of lines) line.requireTrust();
      const present = (about.held[compartment] ?? []).at(-1);
      if (present === undefined) throw new Complaint(text("cannot-open"));
      const others: { holder: "source" | "recovery"; age: Recipient }[] = [];
      if (about.source !== undefined) others.push({ holder: "source", age: about.source });
      if (about.access.recovery.includes(compartment) && manifest?.recovery) others.push({ holder: "recovery", age: manifest.recovery });
      const place = { node: seat.desk.node, case: about.id, compartment };
      const giving = { place, me: seat.keys, day: today(), manifest: manifest?.sha256 ?? null };
      await api.renew(about.kind, about.id, await makeNewKey(present, holders, others, giving));
      say(text("done"));
      reload();
    });
  };
  button.addEventListener("click", () => void open());
}

// ---- whose keys are whose

/** The list that the organisation's root signed, also while the door is closed; null where it cannot be had or does not hold. */
export async function signedList(): Promise<Manifest | null> {
  const root = document.querySelector('meta[name="srt-root"]')?.getAttribute("content");
  if (!root) return null;
  try {
    const latest = await fetchLatest(nodeOrigin(), root);
    // New keys are given by it: an old list may name who left, or a recovery key that was retired.
    return timeRefusal(latest, new Date()) === null ? latest : null;
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}

/** One person in a form that gives keys away: chosen or not, and why their keys are believed. */
export class PersonLine {
  readonly root = make("div", { class: "person" });
  readonly member: StaffMember;
  readonly #trust: Trust;
  readonly #box = make("input", { type: "checkbox" });
  readonly #compared = make("input", { type: "checkbox" });
  readonly #isMe: boolean;

  constructor(member: StaffMember, manifest: Manifest | null, isChosen: boolean, isMe = false) {
    this.member = member;
    this.#isMe = isMe;
    this.#trust = trustIn(member, manifest);
    this.#box.checked = isChosen;
    const roles = member.roles.map((role) => text(`role-${role}`)).join(", ");
    this.root.append(make("label", { class: "choice" }, this.#box, make("span", {}, isMe ? text("you", { name: member.name }) : member.name, make("small", {}, roles))));
    if (isMe) return;
    const words = fingerprint(member);
    if (this.#trust === "contradicted") this.root.append(make("p", { class: "problem" }, text("trust-contradicted")));
    else if (this.#trust === "listed") this.root.append(make("p", { class: "quiet small" }, text("trust-listed")));
    else {
      this.root.append(
        make("p", { class: "small" }, text("trust-unlisted", { words })),
        make("label", { class: "choice" }, this.#compared, make("span", {}, text("trust-compared", { name: member.name }))),
      );
    }
  }

  get isChosen(): boolean {
    return this.#box.checked;
  }

  /** Throws a Complaint while nobody has made sure that these keys are this person's. */
  requireTrust(): void {
    if (this.#isMe || this.#trust === "listed") return;
    if (this.#trust === "contradicted") throw new Complaint(text("trust-refused"));
    if (!this.#compared.checked) throw new Complaint(text("trust-needed"));
  }
}

interface Saying {
  readonly title: string;
  readonly help: string;
  readonly act: string;
}

/** A fresh copy of the form, so that what was prepared for another purpose does not answer too. */
function openPanel(root: HTMLElement, saying: Saying, from: HTMLElement): HTMLFormElement {
  const old = within(root, "[data-give-form]", HTMLFormElement);
  const panel = old.cloneNode(true) as HTMLFormElement;
  old.replaceWith(panel);
  slot(panel, "give-title").textContent = saying.title;
  slot(panel, "give-help").textContent = saying.help;
  slot(panel, "submit").textContent = saying.act;
  within(panel, "[data-cancel]", HTMLButtonElement).addEventListener("click", () => {
    show(panel, false);
    from.focus();
  });
  show(panel);
  return panel;
}

function focusFirst(panel: HTMLFormElement): void {
  panel.scrollIntoView({ block: "nearest" });
  (all(panel, "input", HTMLInputElement)[0] ?? within(panel, "[data-cancel]", HTMLButtonElement)).focus({ preventScroll: true });
}
