/** One case at the desk: where it stands, whose hands are on it, what was checked, and the steps that are open. */

import type { CaseAnswer, Move } from "./desk-api.ts";
import { showAccess } from "./desk-access.ts";
import { ApiError, api, pictureAt } from "./desk-api.ts";
import { answersOf } from "./desk-alert.ts";
import { askWhyItMayStand, clearancesOf } from "./desk-clearances.ts";
import { DraftForm } from "./desk-draft.ts";
import { showConsent } from "./desk-consent.ts";
import { publicPage } from "./desk-preview.ts";
import { recordForm, recordLine } from "./desk-records.ts";
import type { Seat } from "./desk-session.ts";
import { Complaint, complain, onSubmit, picked, say, slot, ticked, view, written } from "./desk-view.ts";
import { TOO_LONG, callName, caseState, standardName, valueInWords, who, why } from "./desk-words.ts";
import { openAlert, openCase } from "./open.ts";
import { all, dayInWords, goTo, hasText, make, show, text, within } from "./page.ts";
import { Refused } from "./refusal.ts";
import type { Hex, JsonObject, OpenedAlert, OpenedCase } from "./types.ts";

/** The moves whose form shows the public text itself. */
const ABOUT_THE_TEXT: ReadonlySet<string> = new Set(["draft", "correct", "approve"]);
/** The moves that end something; they are drawn as such and ask for the reason first. */
const GRAVE: ReadonlySet<string> = new Set(["withdraw", "reject", "return"]);

/** Steps whose kept reason is not for reading: what an approval set free, the hash of the text a source was asked about. */
const WITHOUT_REASON: ReadonlySet<string> = new Set(["approved", "consent-asked"]);

/**
 * A public text that was begun and not saved, so that a lock or a colleague's step in between does not cost it.
 * It is meant for everybody; what is sealed is never kept like this. Only its writer gets it back, and only from memory.
 */
let unsaved: { readonly by: string; readonly case: Hex; readonly fields: JsonObject } | null = null;

export async function caseView(seat: Seat, id: Hex): Promise<HTMLElement> {
  const file = new CaseFile(seat, await api.case(id));
  await file.open();
  return file.root;
}

class CaseFile {
  readonly root = view("view-case");
  readonly #seat: Seat;
  #answer: CaseAnswer;
  #opened: OpenedCase | null = null;
  #alert: OpenedAlert | null = null;

  constructor(seat: Seat, answer: CaseAnswer) {
    this.#seat = seat;
    this.#answer = answer;
  }

  async open(): Promise<void> {
    try {
      this.#alert = await openAlert(await api.alert(this.#answer.alert), this.#seat.keys, this.#seat.desk);
    } catch (error) {
      // An editor or publisher need not be among those an alert is sealed to; the case is readable without it.
      if (!(error instanceof Refused || (error instanceof ApiError && error.status === 403))) throw error;
    }
    await this.#show(this.#answer);
  }

  async #show(answer: CaseAnswer): Promise<void> {
    this.#answer = answer;
    this.#opened = null;
    const problem = slot(this.root, "problem");
    complain(problem, null);
    try {
      this.#opened = await openCase(answer, this.#seat.keys, this.#seat.desk);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      complain(problem, error.reason === "cannot-open" ? text("cannot-open") : text("broken-alert", { why: why(error.reason) }));
    }
    slot(this.root, "name").textContent = callName(answer.alert);
    slot(this.root, "state").textContent = caseState(answer, this.#waitedFor());
    this.#showMoves();
    this.#showPairs();
    this.#showText();
    this.#showRecords();
    this.#showAlert();
    this.#showHistory();
    const held = this.#opened === null ? {} : { internal: this.#opened.held };
    const about = { kind: "cases", id: answer.id, access: answer.access, held, compartments: ["internal"] } as const;
    showAccess(slot(this.root, "access"), this.#seat, about, () => void this.#reload());
  }

  async #reload(): Promise<void> {
    await this.#done(await api.case(this.#answer.id));
  }

  #who(id: string | null | undefined): string {
    return who(this.#seat, this.#answer.people, id);
  }

  #last(action: string): { by: string; on: string } | undefined {
    return this.#answer.history.findLast((line) => line.action === action);
  }

  #waitedFor(): string {
    if (this.#answer.state === "assessed") return this.#who(this.#last("proposed")?.by);
    return this.#who(this.#answer.draft?.by);
  }

  // ---- what is shown

  #showMoves(): void {
    const lines = this.#answer.moves.map((move) => {
      const name = text(hasText(`move-${move.action}`) ? `move-${move.action}` : "not-said");
      const button = make("button", { type: "button", "data-move": move.action, class: GRAVE.has(move.action) ? "danger" : "" }, name);
      if (!move.open) {
        // Not `disabled`: the reason must be reachable by keyboard and read aloud with the button.
        const reason = make("span", { class: "quiet small", id: `why-${move.action}` }, move.why);
        button.setAttribute("aria-disabled", "true");
        button.setAttribute("aria-describedby", reason.id);
        return make("li", {}, button, " ", reason);
      }
      button.addEventListener("click", () => this.#begin(move));
      return make("li", {}, button);
    });
    slot(this.root, "moves").replaceChildren(...lines);
    slot(this.root, "panel").replaceChildren();
  }

  #showPairs(): void {
    const { draft, withdrawal, state } = this.#answer;
    const proposed = this.#answer.standard === null ? undefined : this.#last("proposed");
    const confirmed = this.#answer.standard !== null && !["verifying", "assessed"].includes(state) ? this.#last("confirmed") : undefined;
    const pair = (kind: string, what: string, first: string | undefined, second: string | undefined): HTMLElement =>
      make(
        "div",
        {},
        make("dt", {}, text(`pair-${kind}`), what ? make("small", {}, what) : ""),
        make(
          "dd",
          {},
          make("span", {}, text(`pair-first-${kind}`, { who: this.#who(first) })),
          make("span", {}, second === undefined ? text(`pair-open-${kind}`) : text(`pair-second-${kind}`, { who: this.#who(second) })),
        ),
      );
    const pairs: HTMLElement[] = [];
    if (proposed) pairs.push(pair("finding", standardName(this.#answer.standard), proposed.by, confirmed?.by));
    if (draft) pairs.push(pair("text", "", draft.by, state === "published" ? this.#last("approved")?.by : undefined));
    if (withdrawal) {
      pairs.push(pair("withdrawal", valueInWords("withdrawal", withdrawal.reason), withdrawal.by, state === "withdrawn" ? this.#last("approved")?.by : undefined));
    }
    slot(this.root, "pairs").replaceChildren(...pairs);
  }

  #showText(): void {
    const { draft, publication } = this.#answer;
    const said = slot(this.root, "text-by");
    said.textContent = draft ? text("by-text", { name: this.#who(draft.by), day: dayInWords(draft.on) }) : text("no-draft");
    if (publication) {
      const shared = make("a", { href: `/desk/published/${this.#answer.id}`, target: "_blank", rel: "noopener" }, text("who-has-it"));
      said.append(" ", make("a", { href: publication.url }, text("published-at")), " · ", shared);
    }
    sayReach(slot(this.root, "text-reach"), draft?.reach ?? "whole");
    slot(this.root, "text").replaceChildren(...(draft ? [publicPage(draft.fields, pictureAt(this.#answer.id))] : []));
    showConsent(slot(this.root, "source-consent"), this.#seat, this.#answer, this.#alert, (answer) => this.#done(answer));
    show(slot(this.root, "text"), draft !== null);
    show(slot(this.root, "text-part"));
  }

  #showRecords(): void {
    const entries = this.#opened?.entries ?? [];
    slot(this.root, "records").replaceChildren(
      ...(entries.length > 0
        ? entries.map((entry) => recordLine(this.#seat, this.#answer.people, entry))
        : [make("li", { class: "quiet" }, text("no-records"))]),
    );
  }

  #showAlert(): void {
    show(slot(this.root, "alert-part"), this.#alert !== null);
    within(this.root, "[data-to-alert]", HTMLAnchorElement).href = `#/alerts/${this.#answer.alert}`;
    if (this.#alert !== null) slot(this.root, "answers").replaceChildren(...answersOf(this.#alert));
  }

  #showHistory(): void {
    const lines = this.#answer.history.map((line) => {
      const name = `history-${line.action}`;
      const isFinding = line.action === "proposed" || line.action === "confirmed";
      const places = { who: this.#who(line.by), action: line.action, standard: isFinding ? standardName(line.reason ?? null) : "" };
      const said = make("p", {}, text(hasText(name) ? name : "history-other", places));
      const reason = line.reason && !isFinding && !WITHOUT_REASON.has(line.action) ? [make("p", { class: "quiet" }, valueInWords("withdrawal", line.reason))] : [];
      return make("li", {}, make("p", { class: "from" }, dayInWords(line.on)), said, ...reason);
    });
    slot(this.root, "history").replaceChildren(...lines);
  }

  // ---- the steps

  #begin(move: Move): void {
    const panel = slot(this.root, "panel");
    const form = this.#formFor(move.action);
    if (form === null) return say(text("cannot-open"));
    panel.replaceChildren(form);
    // The text stands in the panel now; twice on one page it would not be plain which is being approved.
    show(slot(this.root, "text-part"), !ABOUT_THE_TEXT.has(move.action));
    for (const cancel of all(form, "[data-cancel]", HTMLButtonElement)) {
      cancel.addEventListener("click", () => {
        panel.replaceChildren();
        show(slot(this.root, "text-part"));
        this.root.querySelector<HTMLElement>(`[data-move="${move.action}"]`)?.focus();
      });
    }
    const first = form.querySelector<HTMLElement>("input:not([type=hidden]), select, textarea, button");
    form.scrollIntoView({ block: "nearest" });
    first?.focus({ preventScroll: true });
  }

  async #done(answer: CaseAnswer): Promise<void> {
    await this.#show(answer);
    document.dispatchEvent(new CustomEvent("desk-changed"));
    say(text("done"));
    goTo(slot(this.root, "name"));
  }

  #formFor(action: string): HTMLElement | null {
    switch (action) {
      case "record":
        return this.#opened === null ? null : recordForm(this.#seat, this.#opened, (answer) => void this.#done(answer));
      case "draft":
      case "correct":
        return this.#draftForm(action === "correct");
      case "approve":
        return this.#answer.state === "withdrawal-proposed" ? this.#withdrawalForm() : this.#approveForm();
      case "submit":
        return this.#submitForm();
      default:
        return this.#plainForm(action);
    }
  }

  /** The forms that need no more than one choice or one sentence. */
  #plainForm(action: string): HTMLElement | null {
    const id = this.#answer.id;
    const form = this.#form(`step-${action}`);
    const finding = form.querySelector<HTMLElement>("[data-finding]");
    if (finding) finding.textContent = standardName(this.#answer.standard);
    onSubmit(form, async () => {
      switch (action) {
        case "propose": {
          const standard = picked(form, "standard");
          if (standard === "") throw new Complaint(text("needed"));
          return this.#done(await api.propose(id, standard));
        }
        case "confirm":
          if (!["read", "tried", "free"].every((name) => ticked(form, name))) throw new Complaint(text("needed"));
          return this.#done(await api.confirm(id));
        case "return":
          return this.#done(await api.sendBack(id, reasonOf(form)));
        case "reject":
          return this.#done(await api.reject(id, reasonOf(form)));
        default: {
          const reason = picked(form, "reason");
          if (reason === "") throw new Complaint(text("needed"));
          return this.#done(await api.withdraw(id, reason));
        }
      }
    });
    return form;
  }

  #form(template: string): HTMLFormElement {
    const form = view(template);
    if (!(form instanceof HTMLFormElement)) throw new Error(`The template ${template} is not a form.`);
    return form;
  }

  #draftForm(isCorrection: boolean): HTMLElement {
    const form = this.#form("step-draft");
    const id = this.#answer.id;
    const by = this.#seat.me.id;
    const begun = unsaved?.case === id && unsaved.by === by ? unsaved.fields : null;
    const draft = new DraftForm(form, begun ?? this.#answer.draft?.fields ?? null, this.#alert?.submission ?? null, {
      at: pictureAt(id),
      add: (file) => api.addPicture(id, file),
    });
    const count = (): void => {
      const saved = this.#answer.draft?.reach;
      sayReach(slot(form, "reach"), !draft.isLong() ? "whole" : saved === "partial" ? saved : "shortened");
    };
    count();
    const keep = (): void => {
      count();
      unsaved = { by, case: id, fields: draft.read() };
    };
    form.addEventListener("input", keep);
    form.addEventListener("change", keep);
    for (const cancel of all(form, "[data-cancel]", HTMLButtonElement)) {
      cancel.addEventListener("click", () => {
        unsaved = null;
      });
    }
    show(slot(form, "note"), isCorrection);
    show(slot(form, "consent"), isCorrection);
    show(slot(form, "save"), !isCorrection);
    show(slot(form, "propose-correction"), isCorrection);
    const copy = within(form, "[data-copy-choices]", HTMLButtonElement);
    show(copy, this.#alert !== null);
    copy.addEventListener("click", () => draft.copyChoices());
    onSubmit(form, async () => {
      // The text says the standard that two people agreed on, never another one.
      const standard = this.#answer.standard;
      const fields = { ...draft.read(), ...(standard === null ? {} : { standard }) };
      try {
        if (isCorrection) await this.#done(await api.correct(id, fields, written(form, "note"), clearancesOf(form)));
        else await this.#done(await api.draft(id, fields));
        unsaved = null;
        say(text("saved"));
      } catch (error) {
        if (!(error instanceof ApiError) || Object.keys(error.fields).length === 0) throw error;
        if (isCorrection) askWhyItMayStand(form, error.fields);
        // The two sentences together would contradict one another.
        if (TOO_LONG in error.fields) sayReach(slot(form, "reach"), "whole");
        const homeless = draft.complain(error.fields);
        const isMarked = homeless.length < Object.keys(error.fields).length;
        throw new Complaint([...(isMarked ? [text("look-above")] : []), ...homeless].join(" "));
      }
    });
    return form;
  }

  #submitForm(): HTMLElement {
    const form = this.#form("step-submit");
    onSubmit(form, async () => {
      if (!ticked(form, "consent")) throw new Complaint(text("needed"));
      try {
        await this.#done(await api.submit(this.#answer.id, clearancesOf(form)));
      } catch (error) {
        if (!(error instanceof ApiError) || Object.keys(error.fields).length === 0) throw error;
        askWhyItMayStand(form, error.fields);
        throw TOO_LONG in error.fields ? error : new Complaint(text("look-above"));
      }
    });
    return form;
  }

  #approveForm(): HTMLElement | null {
    const { draft, id } = this.#answer;
    if (draft === null) return null;
    const form = this.#form("step-approve");
    slot(form, "text").replaceChildren(publicPage(draft.fields, pictureAt(id)));
    slot(form, "hash").textContent = text("hash", { hash: draft.sha256 });
    onSubmit(form, async () => {
      if (!ticked(form, "read")) throw new Complaint(text("read-it"));
      await this.#done(await api.approve(id, draft.sha256));
    });
    return form;
  }

  #withdrawalForm(): HTMLElement {
    const form = this.#form("step-approve-withdrawal");
    slot(form, "reason").textContent = valueInWords("withdrawal", this.#answer.withdrawal?.reason ?? "");
    onSubmit(form, async () => this.#done(await api.approve(this.#answer.id, null)));
    return form;
  }
}

/** Who will not see all of a long text. That is no fault, only good to know while there is time to shorten it. */
function sayReach(place: HTMLElement, reach: "whole" | "shortened" | "partial"): void {
  const sentence = reach === "whole" ? "" : text(`reach-${reach}`);
  // Said once, not at every key.
  if (place.textContent !== sentence) place.textContent = sentence;
  show(place, sentence !== "");
}

function reasonOf(form: HTMLFormElement): string {
  const reason = written(form, "reason");
  if (reason === "") throw new Complaint(text("reason-needed"));
  return reason;
}
