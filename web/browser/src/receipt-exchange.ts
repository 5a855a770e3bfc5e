/** The exchange as a source sees it: what was said, files to open, and questions about a public text. Fetched once a mailbox is open. */

import { openAttachment } from "./attachments.ts";
import { fetchAttachment } from "./mailbox.ts";
import { byId, dayInWords, make, sizeInWords, text } from "./page.ts";
import type { Attachment, Entry, Mailbox, WireConsent } from "./types.ts";

/** What the page does when something here is answered. */
export interface Hands {
  readonly answered: (consents: readonly WireConsent[]) => void;
  readonly send: (words: string) => Promise<void>;
}

type Verified = Extract<Entry, { verified: true }>;

export function showExchange(mailbox: Mailbox, hands: Hands): void {
  const latest = mailbox.entries.findLast((one) => one.verified && one.content.type === "consent-request");
  const lines = mailbox.entries.map((entry) => entryLine(entry, mailbox, hands, entry === latest));
  byId("exchange", HTMLOListElement).replaceChildren(...lines);
}

function entryLine(entry: Entry, mailbox: Mailbox, hands: Hands, isLatest: boolean): HTMLElement {
  if (!entry.verified) return make("li", { class: "broken" }, make("p", { class: "said" }, text("refused")));
  const mine = entry.author === "source";
  const from = make("p", { class: "from" }, text(mine ? "from-you" : entry.former ? "from-former" : "from-desk", { day: dayInWords(entry.day) }));
  const line = make("li", mine ? { class: "mine" } : {}, from);
  if (entry.content.type === "consent-request") void ask(line, entry.content, mailbox, hands, isLatest);
  else line.append(...said(entry.content, mailbox));
  return line;
}

function said(content: Exclude<Verified["content"], { type: "consent-request" }>, mailbox: Mailbox): HTMLElement[] {
  const isFirst = content.type === "submission";
  const words = isFirst ? String(content.submission.answers["summary"] ?? text("your-alert")) : content.text;
  const files = isFirst ? content.submission.attachments : content.attachments;
  const lines: HTMLElement[] = words === "" ? [] : [make("p", { class: "said" }, words)];
  if (files.length > 0) lines.push(make("ul", { class: "files" }, ...files.map((file) => fileLine(file, mailbox))));
  return lines;
}

function fileLine(file: Attachment, mailbox: Mailbox): HTMLElement {
  const label = text("open-file-short");
  const button = make("button", { type: "button", class: "link", "aria-label": `${label}: ${file.name}` }, label);
  const told = make("small", { role: "status" });
  button.addEventListener("click", () => {
    button.disabled = true;
    told.textContent = text("opening-file");
    save(file, mailbox)
      .then(() => {
        told.textContent = text("file-opened");
      })
      .catch(() => {
        told.textContent = text("file-broken");
      })
      .finally(() => {
        button.disabled = false;
      });
  });
  return make("li", {}, make("span", { class: "name" }, file.name), " ", make("small", {}, sizeInWords(file.size)), " ", button, " ", told);
}

async function save(file: Attachment, mailbox: Mailbox): Promise<void> {
  const plain = await openAttachment(mailbox.held, file, await fetchAttachment(mailbox, file));
  // Handed to the device, never shown here: a page of ours must not run or draw what somebody sent.
  const address = URL.createObjectURL(new Blob([plain], { type: "application/octet-stream" }));
  make("a", { href: address, download: file.name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

async function ask(line: HTMLElement, request: Extract<Verified["content"], { type: "consent-request" }>, mailbox: Mailbox, hands: Hands, isLatest: boolean): Promise<void> {
  const place = make("div", { class: "request", "aria-busy": "true" }, make("p", { class: "help" }, text("fetching-text")));
  line.append(place);
  try {
    const { showRequest } = await import("./receipt-consent.ts");
    await showRequest(place, request, { mailbox, hands, isLatest });
  } catch {
    place.replaceChildren(make("p", { class: "problem" }, text("no-text")));
  }
  place.removeAttribute("aria-busy");
}
