/** One alert at the desk: opened with this person's key, asked about, taken into a case, or closed. */

import { openAttachment } from "./attachments.ts";
import type { AlertAnswer } from "./desk-api.ts";
import { CASE_ROLES, showAccess, signedList } from "./desk-access.ts";
import { api } from "./desk-api.ts";
import { intoDialogue } from "./desk-dialogue.ts";
import { nothingToOpen, showDoor } from "./desk-door.ts";
import { answersByForm, identityByForm } from "./desk-forms.ts";
import { showIdentityRequests } from "./desk-identity.ts";
import type { Seat } from "./desk-session.ts";
import { Complaint, complain, onSubmit, picked, say, slot, view } from "./desk-view.ts";
import { alertState, callName, sentenceOf, why } from "./desk-words.ts";
import { beginCase, composeMessage, openAlert } from "./open.ts";
import { FileList } from "./intake-files.ts";
import { all, dayInWords, make, show, sizeInWords, text, today, within } from "./page.ts";
import { Refused } from "./refusal.ts";
import type { Attachment, Entry, Hex, OpenedAlert } from "./types.ts";
import { Upload, sendUploads } from "./upload.ts";

const MAY_CLOSE = "intake";
const MAY_TAKE: readonly string[] = ["intake", "verifier"];

export async function alertView(seat: Seat, id: Hex, goTo: (address: string) => void): Promise<HTMLElement> {
  const root = view("view-alert");
  const reload = (): void => goTo(`#/alerts/${id}`);
  const record = await api.alert(id);
  slot(root, "name").textContent = callName(id);
  slot(root, "state").textContent = `${text("alert-line", { day: dayInWords(record.received_on), size: sizeOf(record) })}. ${alertState(record)}`;
  showDoor(root, seat, record, reload);
  if (nothingToOpen(record)) {
    // A file of the stock tool is taken up or closed like any other alert.
    slot(root, "door").append(slot(root, "moves"));
    prepareMoves(root, seat, record, goTo);
    return root;
  }
  let opened: OpenedAlert;
  try {
    opened = await openAlert(record, seat.keys, seat.desk);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const sentence = error.reason === "cannot-open" ? text("cannot-open") : text("broken-alert", { why: why(error.reason) });
    complain(slot(root, "problem"), sentence);
    showAccess(slot(root, "access"), seat, { kind: "alerts", id, access: record.access, held: {}, compartments: ["dialogue"] }, reload);
    return root;
  }
  show(slot(root, "opened"));
  slot(root, "answers").replaceChildren(...answersOf(opened));
  showFiles(root, opened, record);
  showIdentity(root, opened, record);
  const about = {
    kind: "alerts", id, access: record.access, held: opened.held, compartments: ["dialogue", "identity"], source: record.source.age,
  } as const;
  showIdentityRequests(slot(root, "identity-requests"), seat, about, record.may_open_identity, reload);
  showAccess(slot(root, "access"), seat, about, reload);
  slot(root, "exchange").replaceChildren(...opened.entries.map((entry) => entryLine(seat, opened, entry)));
  prepareQuestion(root, seat, opened, reload);
  prepareMoves(root, seat, record, goTo);
  return root;
}

export function answersOf(opened: OpenedAlert): HTMLElement[] {
  if (opened.submission !== null) return [answersByForm(opened.submission)];
  const first = opened.entries[0];
  const reason = first?.verified === false ? why(first.reason) : why("malformed");
  return [make("p", { class: "problem" }, text("no-answers"), " ", reason)];
}

function sizeOf(record: AlertAnswer): string {
  const sealed = record.objects.reduce((sum, object) => sum + Math.floor((object.sealed.length * 3) / 4), 0);
  return sizeInWords(record.attachments.reduce((sum, file) => sum + file.size, sealed));
}

function showFiles(root: HTMLElement, opened: OpenedAlert, record: AlertAnswer): void {
  const files = opened.submission?.attachments ?? [];
  show(slot(root, "files-part"), files.length > 0);
  slot(root, "files").replaceChildren(...files.map((file) => fileLine(opened, record.id, file)));
}

function fileLine(opened: OpenedAlert, alert: Hex, file: Attachment): HTMLElement {
  const label = text("open-file-short");
  const button = make("button", { type: "button", "aria-label": `${label}: ${file.name}`, title: text("open-file", { name: file.name }) }, label);
  button.addEventListener("click", () => void saveFile(opened, alert, file, button));
  return make("li", {}, make("span", { class: "name" }, file.name), " ", make("small", {}, `${file.media_type}, ${sizeInWords(file.size)}`), " ", button);
}

async function saveFile(opened: OpenedAlert, alert: Hex, file: Attachment, button: HTMLButtonElement): Promise<void> {
  button.disabled = true;
  say(text("opening-file"));
  try {
    const plain = await openAttachment(opened.held.dialogue, file, await api.attachment(alert, file.upload));
    // Saved, never shown: a page of ours must not run or draw what a stranger sent.
    const address = URL.createObjectURL(new Blob([plain], { type: "application/octet-stream" }));
    make("a", { href: address, download: file.name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    say(text("done"));
  } catch (error) {
    say(error instanceof Refused ? text("file-broken") : sentenceOf(error));
  } finally {
    button.disabled = false;
  }
}

function showIdentity(root: HTMLElement, opened: OpenedAlert, record: AlertAnswer): void {
  const place = slot(root, "identity");
  if (!record.may_open_identity) place.textContent = text("identity-closed");
  else if (opened.identity === null) place.textContent = text("identity-custodians");
  else if ("refused" in opened.identity) place.textContent = text("refused-entry", { why: why(opened.identity.refused) });
  else if (Object.keys(opened.identity.fields).length === 0) place.textContent = text("identity-none");
  else place.replaceChildren(identityByForm(opened.submission, opened.identity.fields));
}

function entryLine(seat: Seat, opened: OpenedAlert, entry: Entry): HTMLElement {
  if (!entry.verified) return make("li", { class: "broken" }, make("p", { class: "said" }, text("refused-entry", { why: why(entry.reason) })));
  const day = dayInWords(entry.day);
  const name = seat.desk.staff.find((member) => member.ed25519 === entry.sender)?.name ?? text("somebody");
  const from = entry.author === "source" ? text("from-source", { day }) : text("from-colleague", { name, day });
  const { content } = entry;
  const said = content.type === "message" ? content.text : text(content.type === "consent-request" ? "asked-about-text" : "first-alert");
  const files = content.type === "message" ? content.attachments : [];
  const mine = entry.author === "desk" ? { class: "mine" } : {};
  const list = files.length > 0 ? [make("ul", { class: "files" }, ...files.map((file) => fileLine(opened, opened.id, file)))] : [];
  return make("li", mine, make("p", { class: "from" }, from), make("p", { class: "said" }, said), ...list);
}

function prepareQuestion(root: HTMLElement, seat: Seat, opened: OpenedAlert, reload: () => void): void {
  const form = within(root, "form[data-ask]", HTMLFormElement);
  const box = within(form, "textarea", HTMLTextAreaElement);
  const problem = within(form, ".problem", HTMLElement);
  problem.dataset["error"] = "";
  let uploads: readonly Upload[] | null = null;
  const input = within(form, "input[type=file]", HTMLInputElement);
  const files = new FileList(input, within(form, "ul", HTMLUListElement), (sentence) => complain(problem, sentence), () => {
    uploads = null;
  });
  onSubmit(form, async () => {
    const words = box.value.trim();
    if (words === "" && files.count === 0) throw new Complaint(text("needed"));
    // Kept until they arrived: after a broken connection sending goes on where it stopped.
    uploads ??= (await files.toSend()).map((file) => new Upload(file, opened.dialogue.recipient));
    const sending = uploads;
    await sendUploads(sending, seat.desk.node, { onProgress: ({ file }) => say(text(file === null ? "sealing" : "sending-file", { n: (file ?? 0) + 1, all: sending.length })) });
    await intoDialogue(seat, opened, (current) => composeMessage(current, seat.keys, words, today(), sending), (message) => api.askSource(opened.id, message));
    say(text("sent"));
    reload();
  });
}

function prepareMoves(root: HTMLElement, seat: Seat, record: AlertAnswer, goTo: (address: string) => void): void {
  const [take, close] = [slot(root, "take"), slot(root, "close")];
  const [takeForm, closeForm] = [within(root, "[data-take-form]", HTMLFormElement), within(root, "[data-close-form]", HTMLFormElement)];
  const link = within(root, "[data-to-case]", HTMLAnchorElement);
  const isOpen = record.case === null && record.state !== "closed";
  show(link, record.case !== null);
  if (record.case !== null) link.href = `#/cases/${record.case}`;
  show(take, isOpen && seat.me.roles.some((role) => MAY_TAKE.includes(role)));
  show(close, isOpen && seat.me.roles.includes(MAY_CLOSE));
  for (const [button, form] of [[take, takeForm], [close, closeForm]] as const) {
    button.addEventListener("click", () => {
      show(takeForm, form === takeForm);
      show(closeForm, form === closeForm);
      form.querySelector<HTMLInputElement>("input:not([disabled])")?.focus();
    });
    slot(form, "cancel").addEventListener("click", () => {
      show(form, false);
      button.focus();
    });
  }
  listPeople(takeForm, seat);
  onSubmit(takeForm, async () => {
    const chosen = new Set(all(takeForm, "input:checked", HTMLInputElement).map((box) => box.value));
    const holders = seat.desk.staff.filter((member) => member.id === seat.me.id || chosen.has(member.id));
    // Only from the list the root signed: a server could name a recovery key of its own.
    const recovery = (await signedList())?.recovery ?? null;
    const wanted = await beginCase(seat.keys, { node: seat.desk.node, holders, recovery });
    await api.openCase(record.id, wanted);
    goTo(`#/cases/${wanted.id}`);
  });
  onSubmit(closeForm, async () => {
    const reason = picked(closeForm, "reason");
    if (reason === "") throw new Complaint(text("needed"));
    await api.closeAlert(record.id, reason);
    goTo(`#/alerts/${record.id}`);
  });
}

function listPeople(form: HTMLFormElement, seat: Seat): void {
  const others = seat.desk.staff.filter((member) => member.id !== seat.me.id && member.left !== true && member.roles.some((role) => CASE_ROLES.has(role)));
  slot(form, "people").replaceChildren(
    ...others.map((member) => {
      const box = make("input", { type: "checkbox", value: member.id });
      box.checked = true;
      const roles = member.roles.map((role) => text(`role-${role}`)).join(", ");
      return make("label", { class: "choice" }, box, make("span", {}, member.name, make("small", {}, roles)));
    }),
    ...(others.length === 0 ? [make("p", { class: "quiet" }, text("nobody-else"))] : []),
  );
}
