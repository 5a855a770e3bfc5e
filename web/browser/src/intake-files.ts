/**
 * The files a source chose: which may go, what they tell about their maker, and a copy that tells less.
 * Nothing is uploaded here; the chosen bytes stay in this page until they are sealed.
 */

import { all, make, sizeInWords, text } from "./page.ts";
import type { Looked } from "./cleaning.ts";
import { Refused } from "./refusal.ts";
import type { Traces } from "./traces.ts";
import { tracesIn } from "./traces.ts";

const MAX_FILES = 10;
const MAX_BYTES = 2 * 1000 * 1000 * 1000;
/** Sound, video and pictures that nothing here reads: to find nothing in them tells nothing. */
const UNREAD: ReadonlySet<string> = new Set("mp4 mp3 mov m4a ogg opus 3gp heic".split(" "));
const KINDS: ReadonlySet<string> = new Set(["pdf", "png", "jpg", "jpeg", "webp", "txt", "odt", "docx", "ods", "xlsx", "csv", ...UNREAD]);
const DOCUMENTS: ReadonlySet<string> = new Set("pdf odt docx ods xlsx".split(" "));
const PICTURES: ReadonlySet<string> = new Set(["image/jpeg", "image/png", "image/webp"]);

/** What goes: the file as it is (the evidence), a copy without hidden details, or both. */
type Copies = "original" | "clean" | "both";

interface Chosen {
  readonly original: File;
  copies: Copies;
  /** Makes the copy without hidden details, where there can be one. */
  clean: (() => Promise<File>) | null;
}

/** The list of chosen files, kept beside its <input>. */
export class FileList {
  readonly #chosen: Chosen[] = [];
  readonly #list: HTMLUListElement;
  readonly #input: HTMLInputElement;
  readonly #complain: (sentence: string | null) => void;
  readonly #changed: () => void;

  constructor(input: HTMLInputElement, list: HTMLUListElement, complain: (sentence: string | null) => void, changed: () => void = () => {}) {
    this.#input = input;
    this.#list = list;
    this.#complain = complain;
    this.#changed = changed;
    this.#input.addEventListener("change", () => this.#take());
  }

  get count(): number {
    return this.#chosen.reduce((sum, { copies }) => sum + (copies === "both" ? 2 : 1), 0);
  }

  /** The bytes to seal: each file as it is, or its clean copy. */
  async toSend(): Promise<File[]> {
    const files = await Promise.all(
      this.#chosen.map(async ({ original, copies, clean }) => [
        ...(copies === "clean" ? [] : [original]),
        ...(copies === "original" || clean === null ? [] : [await copyOf(original, clean)]),
      ]),
    );
    return files.flat();
  }

  forget(): void {
    this.#chosen.length = 0;
    this.#list.replaceChildren();
    this.#input.value = "";
  }

  #take(): void {
    const complaints: string[] = [];
    for (const file of this.#input.files ?? []) {
      if (!KINDS.has(endingOf(file))) complaints.push(text("bad-type", { name: file.name }));
      else if (file.size > MAX_BYTES) complaints.push(text("too-large", { name: file.name }));
      else if (this.count >= MAX_FILES) complaints.push(text("too-many-files"));
      else this.#add({ original: file, copies: "original", clean: null });
    }
    // The chosen files live in our list; an emptied input lets the same file be chosen again after it was taken out.
    this.#input.value = "";
    this.#complain(complaints.length > 0 ? [...new Set(complaints)].join(" ") : null);
  }

  #add(chosen: Chosen): void {
    this.#chosen.push(chosen);
    this.#changed();
    const out = make("button", { type: "button", class: "link", "aria-label": text("take-out", { name: chosen.original.name }) }, text("take-out-short"));
    const line = make("li", {}, make("span", { class: "name" }, chosen.original.name), " ", make("small", {}, sizeInWords(chosen.original.size)), " ", out);
    out.addEventListener("click", () => {
      this.#chosen.splice(this.#chosen.indexOf(chosen), 1);
      this.#changed();
      line.remove();
      (all(this.#list, "button", HTMLButtonElement)[0] ?? this.#input).focus();
    });
    this.#list.append(line);
    void this.#tellTraces(chosen, line);
  }

  /** Says what the file tells about its maker, before anything is sent; a picture may go without it. */
  async #tellTraces(chosen: Chosen, line: HTMLElement): Promise<void> {
    const isDocument = DOCUMENTS.has(endingOf(chosen.original));
    const looked = isDocument ? await lookInto(chosen.original, line) : null;
    const details = inWords(looked?.traces ?? (await tracesIn(chosen.original)), looked);
    if (PICTURES.has(chosen.original.type) && drawsTruly()) chosen.clean = () => cleanCopy(chosen.original);
    else if (looked?.clean) chosen.clean = () => Promise.resolve(looked.clean as File);
    if (chosen.clean === null) {
      const isUnread = details === "" && UNREAD.has(endingOf(chosen.original));
      const sentences = [details, isUnread ? text("not-looked-into") : "", isDocument ? text(`no-clean-${looked?.why ?? "here"}`) : ""].filter((one) => one !== "");
      if (sentences.length > 0) line.append(make("p", { class: "help" }, sentences.join(" ")));
      return;
    }
    const name = `copy-${crypto.randomUUID()}`;
    const option = (label: string, copies: Copies): HTMLElement => {
      const radio = make("input", { type: "radio", name });
      radio.checked = chosen.copies === copies;
      radio.addEventListener("change", () => {
        const before = chosen.copies;
        chosen.copies = copies;
        this.#changed();
        if (this.count <= MAX_FILES) return this.#complain(null);
        chosen.copies = before;
        this.#complain(text("too-many-files"));
      });
      return make("label", { class: "choice" }, radio, " ", make("span", {}, label));
    };
    const options = [option(text("send-original"), "original"), option(text("send-clean"), "clean"), option(text("send-both"), "both")];
    line.append(make("fieldset", {}, make("legend", {}, details || chosen.original.name), ...options));
  }
}

async function copyOf({ name }: File, clean: () => Promise<File>): Promise<File> {
  try {
    return await clean();
  } catch {
    throw new Refused("no-copy", name);
  }
}

function endingOf(file: File): string {
  return file.name.toLowerCase().split(".").at(-1) ?? "";
}

/** Takes a document apart, with the part of the program that can; null where that part does not come. */
async function lookInto(file: File, line: HTMLElement): Promise<Looked | null> {
  const busy = make("small", { role: "status" }, text("looking-into"));
  line.append(" ", busy);
  try {
    const cleaning = await import("./cleaning.ts");
    return await cleaning.lookInto(file);
  } catch {
    return null;
  } finally {
    busy.remove();
  }
}

function inWords(details: Traces | null, looked: Looked | null): string {
  const said: string[] = looked?.tells.map((one) => text(`tells-${one}`)) ?? [];
  if (details === null) return said.length > 0 ? text("hidden-details", { what: said.join("; ") }) : "";
  if (details.place) said.push(text("detail-place"));
  if (details.time) said.push(text("detail-time"));
  if (details.device) said.push(text("detail-device", { device: details.device }));
  if (details.author) said.push(text("detail-author", { author: details.author }));
  return said.length > 0 ? text("hidden-details", { what: said.join("; ") }) : "";
}

/**
 * Whether this browser gives back what was drawn. Tor Browser hands out noise, so that pages cannot tell machines apart:
 * a copy made there would be a blank sheet in the place of evidence, so none is offered.
 */
function drawsTruly(): boolean {
  const brush = make("canvas", { width: "2", height: "1" }).getContext("2d");
  if (brush === null) return false;
  brush.fillStyle = "rgb(12, 34, 56)";
  brush.fillRect(0, 0, 1, 1);
  brush.fillStyle = "rgb(210, 180, 90)";
  brush.fillRect(1, 0, 1, 1);
  return [...brush.getImageData(0, 0, 2, 1).data].join() === "12,34,56,255,210,180,90,255";
}

/** The same picture drawn anew: what is not pixels does not come along. */
export async function cleanCopy(file: File): Promise<File> {
  const picture = await createImageBitmap(file);
  const canvas = make("canvas", { width: String(picture.width), height: String(picture.height) });
  canvas.getContext("2d")?.drawImage(picture, 0, 0);
  picture.close();
  const type = file.type === "image/png" ? "image/png" : "image/jpeg";
  const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, type, 0.92));
  if (blob === null) throw new Error("The picture could not be drawn anew.");
  const name = file.name.replace(/\.[^.]*$/, "") + (type === "image/png" ? ".png" : ".jpg");
  return new File([blob], name, { type, lastModified: 0 });
}
