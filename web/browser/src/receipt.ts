/** Coming back with twelve words: the state in plain words, the desk's questions, an answer. Keeps nothing. */

import type { Mailbox, Manifest, Reason, WireConsent } from "./types.ts";
import { sendMessage, openMailbox } from "./mailbox.ts";
import { fetchLatest } from "./manifest.ts";
import { byId, dayInWords, goTo, hasText, nodeOrigin, openWayOut, rootKey, show, text, today } from "./page.ts";
import { prepareStanding, showStanding } from "./receipt-moves.ts";
import type { AnswerFiles } from "./receipt-files.ts";
import { readReceipt } from "./receipts.ts";
import { Refused } from "./refusal.ts";

const typed = byId("words-typed", HTMLTextAreaElement);
const answer = byId("answer-text", HTMLTextAreaElement);

let mailbox: Mailbox | null = null;
let manifest: Manifest | null = null;
let files: AnswerFiles | null = null;

function forget(): void {
  mailbox = null;
  byId("enter", HTMLFormElement).reset();
  byId("answer", HTMLFormElement).reset();
  files?.forget();
  byId("exchange", HTMLOListElement).replaceChildren();
}

function sentenceFor(reason: Reason, detail: string | undefined): string {
  switch (reason) {
    case "receipt-length":
      if (/^[\d\s,.-]+$/.test(typed.value)) return text("length-digits", { n: typed.value.replace(/\D/g, "").length });
      return text("length", { n: typed.value.trim().split(/\s+/).filter((word) => word !== "").length });
    case "receipt-word":
      return text("unknown-word", { word: detail ?? "" });
    case "receipt-checksum":
      return text("checksum");
    case "not-found":
      return text("not-found");
    case "unreachable":
    case "busy":
    case "full":
    case "closed":
      return text(reason);
    default:
      return text(reason.startsWith("manifest-") ? "untrusted" : "broken");
  }
}

function say(place: string, sentence: string | null, input: HTMLTextAreaElement | HTMLInputElement): void {
  const line = byId(place, HTMLElement);
  line.textContent = sentence ?? "";
  show(line, sentence !== null);
  if (sentence === null) input.removeAttribute("aria-invalid");
  else {
    input.setAttribute("aria-invalid", "true");
    input.focus();
  }
}

async function enter(): Promise<void> {
  const button = byId("open", HTMLButtonElement);
  const said = byId("opening-said", HTMLElement);
  say("error-words", null, typed);
  try {
    // Checked here first: a slip of the pen is found without asking the server anything.
    const receipt = readReceipt(typed.value);
    button.disabled = true;
    said.textContent = text("looking");
    const root = rootKey();
    if (root === null) throw new Refused("manifest-wrong-root");
    // A mailbox outlives the door: what is sealed here goes to the exchange's own key, never to whom the list names.
    manifest = await fetchLatest(nodeOrigin(), root);
    await showMailbox(await openMailbox(receipt, manifest));
    typed.value = "";
    show(byId("ask", HTMLElement), false);
    show(byId("mailbox", HTMLElement));
    goTo(byId("title-mailbox", HTMLElement));
  } catch (error) {
    say("error-words", error instanceof Refused ? sentenceFor(error.reason, error.detail) : text("broken"), typed);
  } finally {
    button.disabled = false;
    said.textContent = "";
  }
}

async function showMailbox(opened: Mailbox): Promise<void> {
  mailbox = opened;
  const state = `state-${opened.state}`;
  byId("state", HTMLElement).textContent = text(hasText(state) ? state : "state-open", { day: dayInWords(opened.receivedOn) });
  showStanding(opened);
  const { showExchange } = await import("./receipt-exchange.ts");
  showExchange(opened, { answered, send: sendWords });
}

function answered(consents: readonly WireConsent[]): void {
  if (mailbox !== null) void showMailbox({ ...mailbox, consents });
}

/** Sends what was written elsewhere on the page, without the answer in the box; where that fails, it waits there, after what stands in it. */
async function sendWords(words: string): Promise<void> {
  if (mailbox === null || manifest === null) return;
  const line = byId("answer-said", HTMLElement);
  line.textContent = text("sealing");
  try {
    await showMailbox(await sendMessage(mailbox, words, { manifest, day: today() }));
    line.textContent = text("sent");
  } catch (error) {
    answer.value = [answer.value.trimEnd(), words].filter((one) => one !== "").join("\n\n");
    say("error-answer", whyNotSent(error), answer);
    line.textContent = "";
  }
}

async function addFiles(): Promise<void> {
  const button = byId("add-files", HTMLButtonElement);
  button.disabled = true;
  try {
    const { AnswerFiles } = await import("./receipt-files.ts");
    files = new AnswerFiles((sentence) => say("error-files", sentence, byId("f-attachments", HTMLInputElement)));
    show(button, false);
  } catch {
    say("error-answer", text("unreachable"), answer);
    button.disabled = false;
  }
}

async function sendAnswer(): Promise<void> {
  if (mailbox === null || manifest === null) return;
  const button = byId("send-answer", HTMLButtonElement);
  const line = byId("answer-said", HTMLElement);
  const words = answer.value.trim();
  const hasFiles = files !== null && files.count > 0;
  if (words === "" && !hasFiles) return say("error-answer", text("empty"), answer);
  say("error-answer", null, answer);
  button.disabled = true;
  line.textContent = text("sealing");
  try {
    const to = { manifest, day: today() };
    const tell = (said: string): void => {
      line.textContent = said;
    };
    const sent = files !== null && hasFiles ? await files.send(mailbox, words, { ...to, tell }) : await sendMessage(mailbox, words, to);
    answer.value = "";
    files?.forget();
    await showMailbox(sent);
    line.textContent = text("sent");
  } catch (error) {
    say("error-answer", whyNotSent(error), answer);
    line.textContent = "";
  } finally {
    button.disabled = false;
  }
}

function whyNotSent(error: unknown): string {
  if (!(error instanceof Refused)) return text("not-sent");
  if (error.reason === "file-unreadable") return text("failed-file", { name: error.detail ?? "" });
  if (error.reason === "no-copy") return text("failed-copy", { name: error.detail ?? "" });
  const { reason } = error;
  return text(["unreachable", "busy", "full", "shut"].includes(reason) ? reason : "not-sent");
}

function close(): void {
  forget();
  show(byId("mailbox", HTMLElement), false);
  show(byId("ask", HTMLElement));
  goTo(byId("title-ask", HTMLElement));
}

function burnt(): void {
  close();
  byId("opening-said", HTMLElement).textContent = text("burnt");
}

openWayOut(forget);
prepareStanding(() => mailbox, { answered, burnt });
show(byId("ask", HTMLElement));
byId("enter", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  void enter();
});
typed.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  void enter();
});
byId("answer", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  void sendAnswer();
});
byId("add-files", HTMLButtonElement).addEventListener("click", () => void addFiles());
byId("done", HTMLButtonElement).addEventListener("click", close);
