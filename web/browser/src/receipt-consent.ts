/**
 * "May exactly this be published?" The whole public text as its readers would see it, and under it the source's answer, signed over
 * the hash of that text and no other. Fetched only where the desk has asked.
 */

import { publicPage } from "./desk-preview.ts";
import { byId, dayInWords, make, show, text, today } from "./page.ts";
import type { Hands } from "./receipt-exchange.ts";
import { Refused } from "./refusal.ts";
import { answerConsent, whyNotMoved } from "./standing.ts";
import type { ConsentRequest, Mailbox } from "./types.ts";

interface Around {
  readonly mailbox: Mailbox;
  readonly hands: Hands;
  /** Only the newest text can be answered; the ones before it were replaced. */
  readonly isLatest: boolean;
}

let words: Promise<void> | null = null;

export async function showRequest(place: HTMLElement, request: ConsentRequest, around: Around): Promise<void> {
  words ??= fetchWords();
  await words.catch((error: unknown) => {
    words = null;
    throw error;
  });
  const page = make("div", { class: "paper" }, publicPage(request.fields));
  if (!around.isLatest) {
    place.replaceChildren(make("details", {}, make("summary", {}, text("text-replaced")), page));
    return;
  }
  const title = make("h3", { tabindex: "-1", id: "text-title" }, text("text-asked"));
  const mark = make("p", { class: "help" }, text("text-mark", { mark: request.sha256.slice(0, 16).replace(/(.{4})(?=.)/g, "$1 ") }));
  place.replaceChildren(title, make("p", {}, text("text-asked-why")), page, mark, ...answering(request, around));
}

/** What was answered to this very text, and the ways to answer anew. */
function answering(request: ConsentRequest, { mailbox, hands }: Around): HTMLElement[] {
  const last = mailbox.consents.findLast((one) => one.use === "publish");
  const answer = last === undefined || (last.text_sha256 ?? request.sha256) !== request.sha256 ? null : last;
  const isAgreed = answer?.answer === "yes" && answer.text_sha256 !== null;
  const told = make("p", { class: "standing", role: "status" });
  if (isAgreed || answer?.answer === "no") told.textContent = text(`text-${answer?.answer}`, { day: dayInWords(answer?.day ?? "") });
  const problem = make("p", { class: "problem", role: "alert" });
  show(problem, false);
  const reason = make("textarea", { rows: "4", maxlength: "20000", id: "text-reason", autocomplete: "off", spellcheck: "false" });
  const no = make("form", { novalidate: "", autocomplete: "off" }, ...reasonField(reason));
  const yes = make("button", { type: "button", class: "primary", id: "text-yes" }, text("agree-text"));
  const not = make("button", { type: "button", id: "text-no" }, text(isAgreed ? "take-back-text" : "refuse-text"));
  const buttons = make("p", { class: "moves" }, ...(isAgreed ? [not] : [yes, not]));
  show(no, false);

  const say = async (said: "yes" | "no"): Promise<void> => {
    for (const button of [yes, not, ...no.querySelectorAll("button")]) button.disabled = true;
    show(problem, false);
    try {
      const answers = await answerConsent(mailbox, said, { seq: mailbox.consents.length, day: today(), text: request.sha256 });
      const why = reason.value.trim();
      if (said === "no" && why !== "") await hands.send(why);
      hands.answered(answers);
      document.getElementById("text-title")?.focus();
    } catch (error) {
      problem.textContent = whyNotMoved(error);
      show(problem);
      for (const button of [yes, not, ...no.querySelectorAll("button")]) button.disabled = false;
    }
  };
  yes.addEventListener("click", () => void say("yes"));
  not.addEventListener("click", () => {
    show(no);
    reason.focus();
  });
  no.addEventListener("submit", (event) => {
    event.preventDefault();
    void say("no");
  });
  return [told, problem, buttons, no];
}

function reasonField(reason: HTMLTextAreaElement): HTMLElement[] {
  const field = make("div", { class: "field" }, make("label", { for: reason.id }, text("refuse-why")), make("p", { class: "help" }, text("refuse-help")), reason);
  return [field, make("p", { class: "moves" }, make("button", { type: "submit", id: "text-no-send" }, text("refuse-send")))];
}

/** The names of rights, States and everything else a public text consists of, in the page's language: the same for everybody. */
async function fetchWords(): Promise<void> {
  const { words: address = "", style = "" } = byId("exchange", HTMLOListElement).dataset;
  const page = await fetchPage(address);
  for (const template of page.querySelectorAll("template")) document.body.append(document.adoptNode(template));
  document.head.append(make("link", { rel: "stylesheet", href: style }));
}

/** A page of ours as a document. The browser makes it out of the answer itself: this page may turn no text into markup. */
async function fetchPage(address: string): Promise<Document> {
  const request = new XMLHttpRequest();
  request.open("GET", address);
  request.responseType = "document";
  await new Promise((done) => {
    request.onloadend = done;
    request.send();
  });
  const page = request.status === 200 ? request.responseXML : null;
  if (page === null) throw new Refused("unreachable");
  return page;
}
