/** The rooms of the desk: the list of alerts, the list of cases, the people. What is open stands in the address after "#". */

import { fingerprint } from "./access.ts";
import { alertView } from "./desk-alert.ts";
import type { AlertLine, CaseLine } from "./desk-api.ts";
import { ApiError, api } from "./desk-api.ts";
import { caseView } from "./desk-case.ts";
import { putUrgentFirst } from "./desk-forms.ts";
import type { Seat } from "./desk-session.ts";
import type { StaffMember } from "./types.ts";
import { Complaint, onSubmit, say, slot, view } from "./desk-view.ts";
import { alertState, callName, lineState, sentenceOf, standardName } from "./desk-words.ts";
import { all, byId, dayInWords, goTo, make, show, sizeInWords, text, within } from "./page.ts";
import { Refused } from "./refusal.ts";

type Room = "alerts" | "cases" | "people";

/** What each role waits for; the list says whose turn it is. */
function isMyTurn(seat: Seat, line: CaseLine): boolean {
  const role = line.waiting_for === "second-verifier" ? "verifier" : line.waiting_for;
  return role !== null && seat.me.roles.includes(role);
}

export class Rooms {
  readonly #seat: Seat;
  readonly #place = byId("view", HTMLElement);
  #shown = 0;
  #closing: string | null = null;
  #resetting: StaffMember | null = null;
  #refill: () => Promise<void> = async () => undefined;

  constructor(seat: Seat) {
    this.#seat = seat;
  }

  /** Shows what the address asks for. A slower answer to an earlier address never overwrites a later one. */
  async show(address: string): Promise<void> {
    const turn = (this.#shown += 1);
    const [, wanted = "", id = ""] = /^#\/(alerts|cases|people)(?:\/([0-9a-f]{32}))?$/.exec(address) ?? [];
    const room = wanted === "" ? firstRoom(this.#seat) : (wanted as Room);
    for (const link of all(document, "[data-room]", HTMLAnchorElement)) {
      if (link.dataset["room"] === room) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    // What is to be replaced takes no more clicks: what they open would be gone a moment later.
    const from = document.activeElement;
    this.#place.inert = true;
    try {
      const shown = room === "people" ? await this.#people() : await this.#list(room, id);
      if (turn !== this.#shown) return;
      this.#place.replaceChildren(shown);
      this.#place.inert = false;
      const heading = shown.querySelector<HTMLElement>(id ? ".open h2" : "h1");
      if (heading) goTo(heading);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) document.dispatchEvent(new CustomEvent("desk-lock"));
      else say(error instanceof Refused ? text("not-said") : sentenceOf(error));
      if (turn !== this.#shown) return;
      this.#place.inert = false;
      if (from instanceof HTMLElement) from.focus();
    }
  }

  /** Reads the list anew beside what is open; a failure leaves the older list standing. */
  async refresh(): Promise<void> {
    await this.#refill().catch(() => undefined);
  }

  search(): void {
    this.#place.querySelector<HTMLInputElement>("[data-filter]")?.focus();
  }

  step(by: 1 | -1): void {
    const links = all(this.#place, "[data-lines] li:not([hidden]) a", HTMLAnchorElement);
    const at = links.findIndex((link) => link === document.activeElement);
    links[at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1)]?.focus();
  }

  async #list(room: "alerts" | "cases", id: string): Promise<HTMLElement> {
    const root = view("view-room");
    root.classList.toggle("has-open", id !== "");
    within(root, "h1", HTMLElement).textContent = text(`list-${room}`);
    const empty = slot(root, "empty");
    const fill = async (): Promise<void> => {
      let lines: HTMLElement[] = [];
      let alerts: readonly AlertLine[] = [];
      try {
        alerts = room === "alerts" ? await api.alerts() : [];
        lines = room === "alerts" ? alerts.map((line) => alertLine(line, id)) : (await api.cases()).map((line) => this.#caseLine(line, id));
        empty.textContent = text(room === "alerts" ? "no-alerts" : "no-cases");
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 403) throw error;
        empty.textContent = text("not-for-you");
      }
      show(empty, lines.length === 0);
      slot(root, "lines").replaceChildren(...lines);
      filter(root, empty);
      void putUrgentFirst(this.#seat, alerts, lines);
    };
    await fill();
    this.#refill = fill;
    within(root, "[data-filter]", HTMLInputElement).addEventListener("input", () => filter(root, empty));
    const open = slot(root, "open");
    if (id === "") open.replaceChildren(view("view-nothing"));
    else if (room === "alerts") open.replaceChildren(await alertView(this.#seat, id, (address) => this.#goTo(address)));
    else open.replaceChildren(await caseView(this.#seat, id));
    return root;
  }

  #goTo(address: string): void {
    if (location.hash === address) void this.show(address);
    else location.hash = address;
  }

  #caseLine(line: CaseLine, open: string): HTMLElement {
    const turn = isMyTurn(this.#seat, line) ? [make("strong", { class: "turn" }, text("your-turn"))] : [];
    const facts = [text("since", { day: dayInWords(line.updated_on) }), standardName(line.standard)].filter(Boolean).join(" · ");
    const parts = [make("strong", {}, callName(line.alert)), make("span", {}, lineState(line.state)), make("small", {}, facts), ...turn];
    return listLine(`#/cases/${line.id}`, line.id === open, ...parts);
  }

  async #people(): Promise<HTMLElement> {
    const root = view("view-people");
    const staff = await api.staff();
    slot(root, "people").replaceChildren(
      ...staff.filter((member) => member.left !== true).map((member) => {
        const roles = member.roles.map((role) => text(`role-${role}`)).join(", ");
        const name = member.id === this.#seat.me.id ? text("you", { name: member.name }) : member.name;
        return make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, roles), make("td", { class: "eight" }, fingerprint(member), this.#closeButton(root, member)));
      }),
    );
    onSubmit(within(root, "[data-close-account]", HTMLFormElement), async () => {
      if (this.#closing === null) return;
      await api.closeAccount(this.#closing);
      this.#closing = null;
      await this.show("#/people");
      say(text("done"));
    });
    const resetForm = within(root, "[data-reset]", HTMLFormElement);
    onSubmit(resetForm, async () => {
      if (this.#resetting === null) return;
      const { id, name } = this.#resetting;
      const { link } = await api.reset(id);
      this.#resetting = null;
      slot(resetForm, "made-said").textContent = text("reset-made", { name });
      slot(resetForm, "link").textContent = link;
      show(slot(resetForm, "made"));
    });
    within(resetForm, "[data-cancel]", HTMLButtonElement).addEventListener("click", () => {
      show(resetForm, false);
      root.querySelector<HTMLElement>("h1")?.focus();
    });
    within(root, "[data-close-account] [data-cancel]", HTMLButtonElement).addEventListener("click", () => {
      show(slot(root, "close-account"), false);
      root.querySelector<HTMLElement>("h1")?.focus();
    });
    const form = within(root, "[data-invite]", HTMLFormElement);
    show(form, this.#seat.me.roles.includes("administrator"));
    onSubmit(form, async () => {
      const roles = all(form, "input:checked", HTMLInputElement).map((box) => box.value);
      if (roles.length === 0) throw new Complaint(text("needed"));
      const { link } = await api.invite(roles);
      slot(form, "made-said").textContent = text("link-made");
      slot(form, "link").textContent = link;
      show(slot(form, "made"));
    });
    return root;
  }

  /** An administrator's way to let somebody go; says first what that does, and what it does not. */
  #closeButton(root: HTMLElement, member: StaffMember): HTMLElement | string {
    if (!this.#seat.me.roles.includes("administrator") || member.id === this.#seat.me.id) return "";
    const button = make("button", { type: "button", "aria-label": text("close-account-of", { name: member.name }) }, text("close-account"));
    const reset = make("button", { type: "button", "aria-label": text("reset-of", { name: member.name }) }, text("reset"));
    reset.addEventListener("click", () => {
      this.#resetting = member;
      show(slot(root, "close-account"), false);
      slot(root, "reset-title").textContent = text("reset-of", { name: member.name });
      show(within(root, "[data-reset] [data-made]", HTMLElement), false);
      show(slot(root, "reset"));
      goTo(slot(root, "reset-title"));
    });
    button.addEventListener("click", () => {
      show(slot(root, "reset"), false);
      this.#closing = member.id;
      slot(root, "close-title").textContent = text("close-account-of", { name: member.name });
      show(slot(root, "close-account"));
      goTo(slot(root, "close-title"));
    });
    return make("span", { class: "moves" }, button, " ", reset);
  }
}

/** Where a person's work waits for them. */
function firstRoom(seat: Seat): Room {
  const may = (...roles: readonly string[]): boolean => roles.some((role) => seat.me.roles.includes(role));
  if (may("intake", "verifier")) return "alerts";
  return may("editor", "publisher") ? "cases" : "people";
}

function alertLine(line: AlertLine, open: string): HTMLElement {
  const facts = [text("alert-line", { day: dayInWords(line.received_on), size: sizeInWords(line.size) })];
  if (line.attachments > 0) facts.push(text("alert-files", { n: line.attachments }));
  const parts = [make("strong", {}, callName(line.id)), make("span", {}, alertState(line)), make("small", {}, facts.join(", "))];
  return listLine(`#/alerts/${line.id}`, line.id === open, ...parts);
}

function listLine(address: string, isOpen: boolean, ...parts: HTMLElement[]): HTMLElement {
  const link = make("a", { href: address }, ...parts);
  if (isOpen) link.setAttribute("aria-current", "true");
  return make("li", {}, link);
}

function filter(root: HTMLElement, empty: HTMLElement): void {
  const lines = all(slot(root, "lines"), "li", HTMLElement);
  const typed = within(root, "[data-filter]", HTMLInputElement).value;
  const words = typed.toLowerCase().split(/\s+/).filter((word) => word !== "");
  for (const line of lines) show(line, words.every((word) => (line.textContent ?? "").toLowerCase().includes(word)));
  if (lines.length === 0) return;
  empty.textContent = text("nothing-found");
  show(empty, lines.every((line) => line.hidden));
}
