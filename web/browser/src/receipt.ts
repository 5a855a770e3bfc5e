/** Coming back with twelve words: the state in plain words, the desk's questions, an answer. Keeps nothing. */

import type { Entry, Mailbox, Manifest, Reason } from "./types.ts";
import { sendMessage, openMailbox } from "./mailbox.ts";
import { fetchManifest } from "./manifest.ts";
import { byId, dayInWords, goTo, hasText, make, nodeOrigin, openWayOut, rootKey, show, text, today } from "./page.ts";
import { prepareStanding, showStanding } from "./receipt-moves.ts";
import { readReceipt } from "./receipts.ts";
import { Refused } from "./refusal.ts";

const typed = byId("words-typed", HTMLTextAreaElement);
const answer = byId("answer-text", HTMLTextAreaElement);

let mailbox: Mailbox | null = null;
let manifest: Manifest | null = null;

function forget(): void {
  mailbox = null;
  byId("enter", HTMLFormElement).reset();
  byId("answer", HTMLFormElement).reset();
  byId("exchange", HTMLOListElement).replaceChildren();
}

function sentenceFor(reason: Reason, detail: string | undefined): string {
  switch (reason) {
    case "receipt-length":
      return text("length", { n: typed.value.trim().split(/\s+/).filter((word) => word !== "").length });
    case "receipt-word":
      return text("unknown-word", { word: detail ?? "" });
    case "receipt-checksum":
      return text("checksum");
    case "not-found":
      return text("not-found");
    case "unreachable":
      return text("unreachable");
    default:
      return text(reason.startsWith("manifest-") ? "untrusted" : "broken");
  }
}

function say(place: string, sentence: string | null, input: HTMLTextAreaElement): void {
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
    manifest = await fetchManifest(nodeOrigin(), root, new Date());
    mailbox = await openMailbox(receipt, manifest);
    typed.value = "";
    showMailbox(mailbox);
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

function showMailbox(opened: Mailbox): void {
  const state = `state-${opened.state}`;
  byId("state", HTMLElement).textContent = text(hasText(state) ? state : "state-open", { day: dayInWords(opened.receivedOn) });
  byId("exchange", HTMLOListElement).replaceChildren(...opened.entries.map(entryLine));
  void showStanding(opened);
}

function entryLine(entry: Entry): HTMLElement {
  if (!entry.verified) return make("li", { class: "broken" }, make("p", { class: "said" }, text("refused")));
  const mine = entry.author === "source";
  const from = make("p", { class: "from" }, text(mine ? "from-you" : "from-desk", { day: dayInWords(entry.day) }));
  return make("li", mine ? { class: "mine" } : {}, from, ...said(entry.content));
}

function said(content: Extract<Entry, { verified: true }>["content"]): HTMLElement[] {
  if (content.type === "message") return [make("p", { class: "said" }, content.text)];
  const { answers, attachments } = content.submission;
  const lines = [make("p", { class: "said" }, String(answers["summary"] ?? text("your-alert")))];
  if (attachments.length > 0) {
    lines.push(make("p", { class: "said" }, text("your-files", { names: attachments.map((one) => one.name).join(", ") })));
  }
  return lines;
}

async function sendAnswer(): Promise<void> {
  if (mailbox === null || manifest === null) return;
  const button = byId("send-answer", HTMLButtonElement);
  const line = byId("answer-said", HTMLElement);
  const words = answer.value.trim();
  if (words === "") return say("error-answer", text("empty"), answer);
  say("error-answer", null, answer);
  button.disabled = true;
  line.textContent = text("sealing");
  try {
    mailbox = await sendMessage(mailbox, words, { manifest, day: today() });
    answer.value = "";
    showMailbox(mailbox);
    line.textContent = text("sent");
  } catch (error) {
    const unreachable = error instanceof Refused && error.reason === "unreachable";
    say("error-answer", text(unreachable ? "unreachable" : "not-sent"), answer);
    line.textContent = "";
  } finally {
    button.disabled = false;
  }
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
prepareStanding(() => mailbox, burnt);
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
byId("done", HTMLButtonElement).addEventListener("click", close);
