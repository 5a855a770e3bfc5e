/**
 * What a file tells about its maker, read from its first and last bytes: Exif in JPEG, PNG and WebP, texts in PNG, the information
 * of a PDF. A quick look, never a proof that nothing is there.
 */

const LOOKED_AT = 256 * 1024;
const EXIF = "Exif\0\0";
const PNG = "\x89PNG\r\n\x1a\n";
const PDF = "%PDF-";
const TAG = { make: 0x010f, model: 0x0110, time: 0x0132, artist: 0x013b, exif: 0x8769, gps: 0x8825 } as const;
const PNG_TEXTS: ReadonlySet<string> = new Set(["tEXt", "iTXt"]);

export interface Traces {
  readonly place: boolean;
  readonly time: boolean;
  /** Camera, or program. */
  readonly device: string;
  readonly author: string;
}

const NOTHING: Traces = { place: false, time: false, device: "", author: "" };

/** What was found, or null where nothing was. */
export async function tracesIn(file: Blob): Promise<Traces | null> {
  const start = new Uint8Array(await file.slice(0, LOOKED_AT).arrayBuffer());
  const head = latin1(start);
  let found = NOTHING;
  if (head.startsWith(PDF)) {
    const tail = file.size > LOOKED_AT ? latin1(new Uint8Array(await file.slice(-LOOKED_AT).arrayBuffer())) : "";
    found = inPdf(head + tail);
  } else if (head.startsWith(PNG)) found = inPng(start, head);
  else {
    const at = head.indexOf(EXIF);
    if (at >= 0) found = inTiff(new DataView(start.buffer, at + EXIF.length));
  }
  return found.place || found.time || found.device !== "" || found.author !== "" ? found : null;
}

function inPdf(text: string): Traces {
  const value = (name: string): string => {
    const match = new RegExp(`/${name}\\s*(?:\\(((?:\\\\.|[^\\\\()])*)\\)|<([0-9A-Fa-f\\s]*)>)`).exec(text);
    return match === null ? "" : readable(match[1] ?? fromHexText(match[2] ?? ""));
  };
  return { place: false, time: value("CreationDate") !== "", device: value("Creator") || value("Producer"), author: value("Author") };
}

function inPng(bytes: Uint8Array, head: string): Traces {
  const view = new DataView(bytes.buffer);
  let found = NOTHING;
  for (let at = PNG.length; at + 8 <= bytes.length; at += view.getUint32(at) + 12) {
    const [length, kind, from] = [view.getUint32(at), head.slice(at + 4, at + 8), at + 8];
    if (kind === "eXIf" && from + length <= bytes.length) found = merged(found, inTiff(new DataView(bytes.buffer, from, length)));
    if (kind === "tIME") found = { ...found, time: true };
    if (!PNG_TEXTS.has(kind)) continue;
    const [name = "", ...rest] = head.slice(from, from + length).split("\0");
    const text = readable(rest.join(" "));
    if (name === "Author") found = { ...found, author: text };
    else if (name === "Software") found = { ...found, device: text };
    else if (name === "Creation Time") found = { ...found, time: true };
  }
  return found;
}

/** Reads the first directory of a TIFF structure (Exif 2.32 §4.6); a broken one tells nothing. */
function inTiff(view: DataView): Traces {
  try {
    const little = view.getUint16(0) === 0x4949;
    const start = view.getUint32(4, little);
    let found = NOTHING;
    const words = (entry: number): string => {
      const length = view.getUint32(entry + 4, little);
      const at = length > 4 ? view.getUint32(entry + 8, little) : entry + 8;
      return readable(String.fromCharCode(...Array.from({ length: Math.min(length, 64) }, (_, index) => view.getUint8(at + index))));
    };
    for (let index = 0; index < view.getUint16(start, little); index += 1) {
      const entry = start + 2 + index * 12;
      const tag = view.getUint16(entry, little);
      if (tag === TAG.make || tag === TAG.model) found = { ...found, device: `${found.device} ${words(entry)}`.trim() };
      else if (tag === TAG.artist) found = { ...found, author: words(entry) };
      else if (tag === TAG.time || tag === TAG.exif) found = { ...found, time: true };
      else if (tag === TAG.gps) found = { ...found, place: true };
    }
    return found;
  } catch {
    return NOTHING;
  }
}

function merged(one: Traces, other: Traces): Traces {
  return {
    place: one.place || other.place, time: one.time || other.time, device: other.device || one.device, author: other.author || one.author,
  };
}

function fromHexText(hex: string): string {
  return (hex.replace(/\s/g, "").match(/../g) ?? []).map((pair) => String.fromCharCode(Number.parseInt(pair, 16))).join("");
}

function readable(text: string): string {
  // UTF-16 in a PDF begins with its mark; its zero bytes are not letters.
  return text.replace(/^\xfe\xff/, "").replace(/\\(.)/g, "$1").replace(/[\0-\x1f\x7f]/g, "").trim().slice(0, 64);
}

/** One letter for each byte; a TextDecoder's "latin1" is windows-1252 and changes some. */
function latin1(bytes: Uint8Array): string {
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += 8192) pieces.push(String.fromCharCode(...bytes.subarray(at, at + 8192)));
  return pieces.join("");
}
