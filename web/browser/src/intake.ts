/**
 * The source's door: asks the questions, shows the twelve words, then seals and sends.
 * Keeps nothing that was not asked for: no storage but a locked draft, no history entries, no request before the words were noted but, once the form is begun, for the
 * part that seals and for the signed list of keys. Without either the form does not open.
 */

import type { AlertDraft, Manifest, Progress, Reason } from "./types.ts";
import { all, byId, dayInWords, goTo, locale, make, nodeOrigin, openWayOut, rootKey, show, text, today, within } from "./page.ts";
import { FileList } from "./intake-files.ts";
import { copyMenus, mark, overview, problems, readAnswers, searchIn, settleConditions, settleCounts, settleSame } from "./intake-form.ts";
import { ReceiptCard } from "./intake-receipt.ts";
import { Refused } from "./refusal.ts";
import type { SealedAlert } from "./seal.ts";

const form = byId("alert", HTMLFormElement);
const opening = byId("opening", HTMLElement);
const steps = all(form, ".step", HTMLElement);
const narrow = matchMedia("(max-width: 54rem)");
const files = new FileList(byId("f-attachments", HTMLInputElement), byId("files", HTMLUListElement), (sentence) => mark(within(form, '[data-field="attachments"]', HTMLElement), sentence), changed);

type Sealing = typeof import("./sealing.ts");

let sealing: Sealing | null = null;
let manifest: Manifest | null = null;
let sealed: SealedAlert | null = null;
let hasArrived = false;
/** Other answers are another alert. Unchanged ones are sent again byte for byte: they may have arrived although no answer came back. */
function changed(): void {
  sealed = null;
}

/** Whether the draft in the browser's storage is one of these answers: then it goes when they are sent. */
let isDraftOurs = false;

/** At the desk the same form takes what somebody told in person, by telephone or by letter. */
const byStaff = document.querySelector('meta[name="srt-entered-by"]') !== null;
const AT_THE_DESK = { path: "/api/v1/desk/alerts", credentials: "same-origin" } as const;

/** The page that is carried away brings the list of keys along, and sends nothing. */
const carried = carriedList();

/** The name under which drafts.ts keeps a locked draft, if somebody asked for one; see there. */
const DRAFT = "form";

const card = new ReceiptCard({ send: () => void send(), change: backToAnswers });

function carriedList(): { readonly node: string; readonly list: string } | null {
  const found = document.querySelector("template#keys");
  if (!(found instanceof HTMLTemplateElement)) return null;
  return { node: found.dataset["node"] ?? "", list: found.content.textContent?.trim() ?? "" };
}

/** The way out takes the draft along where its owner wished so. */
function leave(): void {
  forget();
  try {
    if (carried === null && localStorage.getItem(DRAFT)?.startsWith("1")) localStorage.removeItem(DRAFT);
  } catch {
    // A browser without storage keeps nothing; nothing may stand in the way out.
  }
}

function prepareDrafts(): void {
  const around = (hidden: HTMLElement) => ({ form, mayStay: carried === null, back: () => show(hidden) });
  const said = byId("draft-said", HTMLElement);
  const keep = byId("keep", HTMLButtonElement);
  keep.addEventListener("click", () => {
    void import("./drafts.ts").then((drafts) => {
      show(form, false);
      const back = (): void => {
        show(form);
        keep.focus();
      };
      drafts.keep({ ...around(form), back }, isDraftOurs, () => {
        isDraftOurs = true;
        said.textContent = text("draft-kept");
      });
    }, () => (said.textContent = text("why-network")));
  });
  byId("resume", HTMLButtonElement).addEventListener("click", () => {
    void import("./drafts.ts").then((drafts) => {
      show(opening, false);
      drafts.resume(around(opening), begin, () => (isDraftOurs = true));
    }, () => (byId("begin-said", HTMLElement).textContent = text("why-network")));
  });
}

function forget(): void {
  form.reset();
  files.forget();
  card.forget();
  sealed = null;
  hasArrived = true;
}

// ---- the parts of the form ------------------------------------------------------------------------------------------


function markStep(index: number): void {
  for (const [at, step] of steps.entries()) step.toggleAttribute("data-current", at === index);
  for (const [at, link] of all(byId("steps", HTMLElement), "a", HTMLAnchorElement).entries()) {
    if (at === index) link.setAttribute("aria-current", "step");
    else link.removeAttribute("aria-current");
  }
}

function goToStep(index: number): void {
  const step = steps[index];
  if (!step) return;
  markStep(index);
  if (step.dataset["step"] === "look") refreshOverview();
  goTo(within(step, "h2", HTMLElement));
}

function refreshOverview(): void {
  const asked = steps.filter((step) => step.dataset["step"] !== "look");
  byId("overview", HTMLElement).replaceChildren(...overview(asked, files.count, (step) => goToStep(steps.indexOf(step))));
}

function prepareSteps(): void {
  const list = within(byId("steps", HTMLElement), "ol", HTMLOListElement);
  for (const [index, step] of steps.entries()) {
    within(step, "[data-where]", HTMLElement).textContent = text("where", { n: index + 1, all: steps.length });
    const link = make("a", { href: `#${step.id}` }, step.dataset["title"] ?? "");
    link.addEventListener("click", (event) => {
      // Following the link would leave an entry in the browser's history.
      event.preventDefault();
      goToStep(index);
    });
    list.append(make("li", {}, link));
    step.querySelector("[data-back]")?.addEventListener("click", () => {
      if (index > 0) return goToStep(index - 1);
      show(opening);
      show(form, false);
      goTo(within(opening, "h1", HTMLElement));
    });
    step.querySelector("[data-next]")?.addEventListener("click", () => {
      if (checkPart(step)) goToStep(index + 1);
    });
  }
  // On a desk all parts stand on one page: the list beside them shows the one in the upper half of the window.
  const inView = new IntersectionObserver(
    (entries) => {
      const seen = entries.find((entry) => entry.isIntersecting)?.target;
      if (!narrow.matches && seen instanceof HTMLElement) markStep(steps.indexOf(seen));
    },
    { rootMargin: "-20% 0px -60% 0px" },
  );
  for (const step of steps) inView.observe(step);
  const month = new Intl.DateTimeFormat(locale(), { month: "long", timeZone: "UTC" });
  for (const option of all(form, '[data-part="month"] option', HTMLOptionElement)) {
    if (option.value) option.textContent = month.format(new Date(Date.UTC(2020, Number(option.value) - 1, 1)));
  }
}

/** Whether a part may be left; what cannot be right is said beside its field. */
function checkPart(step: HTMLElement): boolean {
  const found = problems(form, new Date()).filter(({ field }) => step.contains(field));
  for (const field of all(step, "[data-field][data-wrong]", HTMLElement)) mark(field, null);
  for (const { field, sentence } of found) mark(field, sentence);
  const first = found[0]?.field.querySelector("input, select, textarea");
  if (first instanceof HTMLElement) first.focus();
  return found.length === 0;
}

function checkAll(): boolean {
  const found = problems(form, new Date());
  for (const field of all(form, "[data-field][data-wrong]", HTMLElement)) mark(field, null);
  for (const { field, sentence } of found) mark(field, sentence);
  const box = byId("problems", HTMLElement);
  within(box, "ul", HTMLUListElement).replaceChildren(
    ...found.map(({ field, sentence }) => {
      const link = make("a", { href: "#" }, sentence);
      link.addEventListener("click", (event) => {
        event.preventDefault();
        const step = field.closest(".step");
        if (step instanceof HTMLElement) goToStep(steps.indexOf(step));
        const control = field.querySelector("input, select, textarea");
        if (control instanceof HTMLElement) control.focus();
      });
      return make("li", {}, link);
    }),
  );
  show(box, found.length > 0);
  if (found.length > 0) {
    if (narrow.matches) goToStep(steps.length - 1);
    box.focus();
  }
  return found.length === 0;
}

// ---- the words and the sending --------------------------------------------------------------------------------------

function showWords({ digitsOf, entropyOf, newReceipt }: Sealing): void {
  show(form, false);
  show(opening, false);
  // Answers may have been changed since the words were first shown; the words stay.
  const words = card.words ?? newReceipt();
  card.open(words, digitsOf(entropyOf(words)));
}

function backToAnswers(): void {
  card.close();
  show(form);
  goToStep(steps.length - 1);
}

async function draft(): Promise<AlertDraft> {
  const { answers, identity } = readAnswers(form);
  return {
    form: form.dataset["form"] ?? "",
    language: String(answers["language"] ?? document.documentElement.lang),
    answers,
    identityFields: identity,
    files: await files.toSend(),
    urgent: "promised" in form.dataset,
  };
}

function onProgress(progress: Progress): void {
  const share = progress.total > 0 ? progress.sent / progress.total : 1;
  const said = progress.file === null ? text("sending") : text("sending-file", { n: progress.file + 1, all: files.count });
  card.progress(said, 10 + 90 * share);
}

async function send(): Promise<void> {
  const receipt = card.words;
  if (receipt === null || sealing === null) return;
  const { packAlert, readdress, sealAlert, sendAlert, timeRefusal } = sealing;
  card.progress(text("sealing"), 4);
  try {
    if (manifest === null || timeRefusal(manifest, new Date()) !== null) {
      manifest = await currentManifest(sealing);
      if (sealed !== null) readdress(sealed, manifest);
    }
    // Sealed once: a second try goes on under the same id, so that nothing can arrive twice.
    sealed ??= await sealAlert(await draft(), { manifest, receipt, day: today() });
    if (carried !== null) {
      return handOver(await packAlert(sealed, { onProgress }), sealed.day);
    }
    const answer = await sendAlert(sealed, { onProgress, ...(byStaff ? AT_THE_DESK : {}) });
    forget();
    arrived(answer.received_on);
  } catch (error) {
    // Nobody else has these words: what lies in their mailbox is what was sent before.
    const isThere = error instanceof Refused && error.reason === "conflict" && (sealed?.body ?? null) !== null;
    if (isThere) card.isThere();
    else card.failed(whyFailed(error));
  }
}

/** Hands the package to the device; where it is kept is its owner's choice. */
function save(content: Blob): void {
  const address = URL.createObjectURL(content);
  make("a", { href: address, download: "alert.sealed" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

function whyFailed(error: unknown): string {
  if (!(error instanceof Refused)) return text("failed-refused");
  if (error.reason === "manifest-changed") {
    manifest = null;
    return text("failed-manifest");
  }
  if (isOutOfTime(error)) {
    manifest = null;
    return text("failed-clock", { day: dayInWords(today()) });
  }
  if (error.reason === "too-large") return text("failed-large");
  if (error.reason === "file-unreadable") {
    sealed = null;
    return text("failed-file", { name: error.detail ?? "" });
  }
  if (error.reason === "no-copy") return text("failed-copy", { name: error.detail ?? "" });
  if (error.reason === "busy" || error.reason === "closed" || error.reason === "full") return text(`failed-${error.reason}`);
  return error.reason === "unreachable" ? text("failed-network") : text("failed-refused");
}

/** Nothing is forgotten before its owner says that the file is there: a download may be refused, or lost. */
function handOver(content: Blob, day: string): void {
  const again = byId("save-again", HTMLButtonElement);
  const done = byId("have-file", HTMLButtonElement);
  again.onclick = () => save(content);
  done.onclick = () => {
    again.onclick = null;
    forget();
    show(byId("until-saved", HTMLElement), false);
    byId("forgotten", HTMLElement).textContent = text("forgotten");
  };
  save(content);
  arrived(day);
}

function arrived(day: string): void {
  if (isDraftOurs) localStorage.removeItem(DRAFT);
  card.close();
  const section = byId("arrived", HTMLElement);
  within(section, "[data-received]", HTMLElement).textContent = text("received", { day: dayInWords(day) });
  show(section);
  goTo(byId("title-arrived", HTMLElement));
}

// ---- opening the page -----------------------------------------------------------------------------------------------

async function currentManifest({ fetchManifest, fromBase64, verifyManifest }: Sealing): Promise<Manifest> {
  const root = rootKey();
  if (root === null) throw new Refused("manifest-wrong-root");
  if (carried !== null) return verifyManifest(fromBase64(carried.list), { node: carried.node, root, now: new Date() });
  return await fetchManifest(nodeOrigin(), root, new Date());
}

/** A list of another time than this device's: its clock is wrong, or the list is an old one. Only the source can tell. */
function isOutOfTime(error: unknown): boolean {
  return error instanceof Refused && (error.reason === "manifest-not-yet-valid" || error.reason === "manifest-expired");
}

function closeDoor(error: unknown): void {
  const cannot = byId("cannot", HTMLElement);
  const reason = error instanceof Refused ? error.reason : "refused";
  const sentences: Partial<Record<Reason, string>> = { unreachable: "why-network", full: "why-full", closed: "failed-closed" };
  const why = isOutOfTime(error) ? text("why-clock", { day: dayInWords(today()) }) : text(sentences[reason] ?? "why-manifest");
  within(cannot, "[data-why]", HTMLElement).textContent = why;
  show(cannot);
  // A connection may come back, a disk be cleared and a clock set; a list that nobody vouches for does not get better by asking again.
  show(byId("begin", HTMLButtonElement), reason === "unreachable" || reason === "full" || isOutOfTime(error));
}

/** Fetches what seals and the list of those it is sealed for; the form opens only once both were found good. */
async function begin(): Promise<boolean> {
  const button = byId("begin", HTMLButtonElement);
  const said = byId("begin-said", HTMLElement);
  button.disabled = true;
  said.textContent = text("one-moment");
  show(byId("cannot", HTMLElement), false);
  try {
    sealing ??= await import("./sealing.ts");
    manifest ??= await currentManifest(sealing);
  } catch (error) {
    closeDoor(error);
    return false;
  } finally {
    button.disabled = false;
    said.textContent = "";
  }
  const handlers = text("handlers", { n: manifest.handlers.length, name: manifest.organisation });
  for (const place of all(document, "[data-handlers]", HTMLElement)) place.textContent = handlers;
  show(opening, false);
  show(form);
  // Another language would be another page: it is chosen before anything is typed.
  show(within(document, ".tongues", HTMLElement), false);
  goToStep(0);
  return true;
}

function openDoor(): void {
  openWayOut(leave);
  if (!("crypto" in window) || crypto.subtle === undefined) {
    const cannot = byId("cannot", HTMLElement);
    within(cannot, "[data-why]", HTMLElement).textContent = text("why-browser");
    return show(cannot);
  }
  copyMenus(form);
  prepareSteps();
  settleConditions(form);
  settleCounts(form);
  // The page says whether anybody could open an alert at all.
  const start = byId("begin", HTMLButtonElement);
  show(start, byId("cannot", HTMLElement).hidden === true);
  show(byId("resume", HTMLButtonElement), !start.hidden && !byStaff);
  show(byId("keep", HTMLButtonElement), !byStaff);
  start.addEventListener("click", () => void begin());
  if (!byStaff) prepareDrafts();
  form.addEventListener("change", (event) => {
    if (event.target instanceof HTMLInputElement) settleSame(form, event.target);
    settleConditions(form);
    if (!narrow.matches) refreshOverview();
  });
  form.addEventListener("input", (event) => {
    changed();
    const box = event.target;
    const wrong = box instanceof Element ? box.closest("[data-field][data-wrong]") : null;
    if (wrong instanceof HTMLElement) mark(wrong, null);
    if (!(box instanceof HTMLInputElement) || !box.dataset["search"]) return;
    const field = box.closest("[data-field]");
    if (field instanceof HTMLElement) searchIn(field, box.value, within(field, "[data-search-said]", HTMLElement));
  });
  form.addEventListener("keydown", (event) => {
    // Enter in a line of text would send the form from its middle; on the choice of files it opens it.
    if (event.key === "Enter" && event.target instanceof HTMLInputElement && event.target.type !== "file") event.preventDefault();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (sealing !== null && checkAll()) showWords(sealing);
  });
  window.addEventListener("beforeunload", (event) => {
    if (hasArrived || (form.hidden && card.words === null)) return;
    event.preventDefault();
  });
}

openDoor();
