/**
 * The files a source chose: which may go, what hidden details a picture carries, and a copy without them.
 * Nothing is uploaded here; the chosen bytes stay in this page until they are sealed.
 */

import { all, byId, make, sizeInWords, text } from "./page.ts";

const MAX_FILES = 10;
const MAX_BYTES = 2 * 1000 * 1000 * 1000;
const KINDS: ReadonlySet<string> = new Set("pdf png jpg jpeg webp txt odt docx ods xlsx csv mp4 mp3".split(" "));
const PICTURES: ReadonlySet<string> = new Set(["image/jpeg", "image/png", "image/webp"]);

interface Chosen {
  readonly original: File;
  clean: boolean;
}

export interface HiddenDetails {
  readonly place: boolean;
  readonly time: boolean;
  readonly device: string;
  readonly author: string;
}

/** The list of chosen files, kept beside its <input>. */
export class FileList {
  readonly #chosen: Chosen[] = [];
  readonly #list = byId("files", HTMLUListElement);
  readonly #input = byId("f-attachments", HTMLInputElement);
  readonly #complain: (sentence: string | null) => void;

  constructor(complain: (sentence: string | null) => void) {
    this.#complain = complain;
    this.#input.addEventListener("change", () => this.#take());
  }

  get count(): number {
    return this.#chosen.length;
  }

  /** The bytes to seal: each file as it is, or its clean copy. */
  async toSend(): Promise<File[]> {
    return await Promise.all(this.#chosen.map(async ({ original, clean }) => (clean ? await cleanCopy(original) : original)));
  }

  forget(): void {
    this.#chosen.length = 0;
    this.#list.replaceChildren();
    this.#input.value = "";
  }

  #take(): void {
    const complaints: string[] = [];
    for (const file of this.#input.files ?? []) {
      const ending = file.name.toLowerCase().split(".").at(-1) ?? "";
      if (!KINDS.has(ending)) complaints.push(text("bad-type", { name: file.name }));
      else if (file.size > MAX_BYTES) complaints.push(text("too-large", { name: file.name }));
      else if (this.#chosen.length >= MAX_FILES) complaints.push(text("too-many-files"));
      else this.#add({ original: file, clean: false });
    }
    // The chosen files live in our list; an emptied input lets the same file be chosen again after it was taken out.
    this.#input.value = "";
    this.#complain(complaints.length > 0 ? [...new Set(complaints)].join(" ") : null);
  }

  #add(chosen: Chosen): void {
    this.#chosen.push(chosen);
    const out = make("button", { type: "button", class: "link", "aria-label": text("take-out", { name: chosen.original.name }) }, text("take-out-short"));
    const line = make("li", {}, make("span", { class: "name" }, chosen.original.name), " ", make("small", {}, sizeInWords(chosen.original.size)), " ", out);
    out.addEventListener("click", () => {
      this.#chosen.splice(this.#chosen.indexOf(chosen), 1);
      line.remove();
      (all(this.#list, "button", HTMLButtonElement)[0] ?? this.#input).focus();
    });
    this.#list.append(line);
    if (PICTURES.has(chosen.original.type)) void this.#offerCleanCopy(chosen, line);
  }

  async #offerCleanCopy(chosen: Chosen, line: HTMLElement): Promise<void> {
    const details = inWords(await hiddenDetails(chosen.original));
    if (!drawsTruly()) {
      if (details) line.append(make("p", { class: "help" }, details));
      return;
    }
    const name = `copy-${crypto.randomUUID()}`;
    const option = (label: string, clean: boolean): HTMLElement => {
      const radio = make("input", { type: "radio", name });
      radio.checked = chosen.clean === clean;
      radio.addEventListener("change", () => {
        chosen.clean = clean;
      });
      return make("label", { class: "choice" }, radio, " ", make("span", {}, label));
    };
    line.append(
      make("fieldset", {}, make("legend", {}, details || chosen.original.name), option(text("send-original"), false), option(text("send-clean"), true)),
    );
  }
}

function inWords(details: HiddenDetails | null): string {
  if (details === null) return "";
  const said: string[] = [];
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

const EXIF = "Exif\0\0";
const TAG_MAKE = 0x010f;
const TAG_MODEL = 0x0110;
const TAG_TIME = 0x0132;
const TAG_ARTIST = 0x013b;
const TAG_EXIF = 0x8769;
const TAG_GPS = 0x8825;

/** What the Exif part of a picture tells, or null where there is none. Looks at the first 128 KiB only. */
export async function hiddenDetails(file: Blob): Promise<HiddenDetails | null> {
  const bytes = new Uint8Array(await file.slice(0, 131072).arrayBuffer());
  const found = indexOfText(bytes, EXIF);
  return found < 0 ? null : readTiff(new DataView(bytes.buffer, found + EXIF.length));
}

function indexOfText(bytes: Uint8Array, wanted: string): number {
  const codes = [...wanted].map((letter) => letter.charCodeAt(0));
  return bytes.findIndex((_, start) => codes.every((code, at) => bytes[start + at] === code));
}

/** Reads the first directory of a TIFF structure (Exif 2.32 §4.6); a broken one tells nothing. */
function readTiff(view: DataView): HiddenDetails | null {
  try {
    const little = view.getUint16(0) === 0x4949;
    const start = view.getUint32(4, little);
    const details = { place: false, time: false, device: "", author: "" };
    const words = (entry: number): string => {
      const length = view.getUint32(entry + 4, little);
      const at = length > 4 ? view.getUint32(entry + 8, little) : entry + 8;
      const letters = Array.from({ length: Math.min(length, 64) }, (_, index) => view.getUint8(at + index));
      return String.fromCharCode(...letters.filter((code) => code >= 32 && code < 127)).trim();
    };
    for (let index = 0; index < view.getUint16(start, little); index += 1) {
      const entry = start + 2 + index * 12;
      const tag = view.getUint16(entry, little);
      if (tag === TAG_MAKE || tag === TAG_MODEL) details.device = `${details.device} ${words(entry)}`.trim();
      else if (tag === TAG_ARTIST) details.author = words(entry);
      else if (tag === TAG_TIME || tag === TAG_EXIF) details.time = true;
      else if (tag === TAG_GPS) details.place = true;
    }
    return details;
  } catch {
    return null;
  }
}
