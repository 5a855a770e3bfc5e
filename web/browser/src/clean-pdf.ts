/**
 * A PDF taken apart, and written anew from what its pages show: nothing comes along but what is named here.
 *
 * Not carried over: the information about author and program, XMP, embedded files, scripts and actions, names of commentators, private
 * data of programs, deleted and earlier versions, the metadata inside pictures. What cannot be kept faithfully is refused, never guessed.
 * Spec: ISO 32000-1 §7.7 (document structure), §12.5 (annotations), §14.3 (metadata).
 */

import {
  PDFArray, PDFContext, PDFDict, PDFHexString, PDFName, PDFNumber, PDFObject, PDFParser, PDFRawStream, PDFRef, PDFStream, PDFString, PDFWriter,
  decodePDFRawStream,
} from "@cantoo/pdf-lib";
import { withoutMetadata } from "./clean-jpeg.ts";
import type { Looked, Tell } from "./cleaning.ts";
import { CannotClean } from "./cleaning.ts";

const PAGE = ["Resources", "MediaBox", "CropBox", "BleedBox", "TrimBox", "ArtBox", "Rotate", "UserUnit", "Contents", "Group"] as const;
const INHERITED: ReadonlySet<string> = new Set(["Resources", "MediaBox", "CropBox", "Rotate"]);
/** Annotations that are drawn on the page; all others hold files, sounds, films, or windows of their own. */
const DRAWN: ReadonlySet<string> = new Set([
  "Text", "FreeText", "Line", "Square", "Circle", "Polygon", "PolyLine", "Highlight", "Underline", "Squiggly", "StrikeOut", "Stamp", "Caret",
  "Ink", "Link", "Widget", "Watermark", "Redact",
]);
const ANNOTATION = ["Subtype", "Rect", "F", "AP", "AS", "Border", "BS", "C", "IC", "QuadPoints", "Contents"] as const;
/** Never taken over, wherever they stand. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  "Metadata", "PieceInfo", "LastModified", "OPI", "AF", "Alternates", "StructParent", "StructParents", "Thumb", "AA", "Measure", "PtData",
]);
const DEEPEST_PAGE_TREE = 64;

/** What a PDF tells, and its clean copy. Throws CannotClean. */
export async function lookIntoPdf(bytes: Uint8Array): Promise<Omit<Looked, "clean"> & { readonly clean: Uint8Array | null }> {
  const from = await parsed(bytes);
  const { catalog, info } = rootsOf(from);
  const found = { traces: tracesOf(from, info), tells: tellsOf(from, catalog, bytes) };
  try {
    const clean = await written(from, catalog);
    await requireClean(clean);
    return { ...found, clean, why: null };
  } catch (error) {
    if (!(error instanceof CannotClean)) throw error;
    return { ...found, clean: null, why: error.reason };
  }
}

async function parsed(bytes: Uint8Array): Promise<PDFContext> {
  let context: PDFContext;
  try {
    // Objects that cannot be read end it: a copy with something missing would pass for the whole.
    context = await PDFParser.forBytesWithOptions(bytes, 500, true).parseDocument();
  } catch {
    throw new CannotClean("broken");
  }
  if (context.trailerInfo.Encrypt !== undefined) throw new CannotClean("locked");
  return context;
}

function rootsOf(context: PDFContext): { readonly catalog: PDFDict; readonly info: PDFDict | null } {
  const catalog = context.lookup(context.trailerInfo.Root);
  const info = context.lookup(context.trailerInfo.Info);
  if (!(catalog instanceof PDFDict)) throw new CannotClean("broken");
  return { catalog, info: info instanceof PDFDict ? info : null };
}

// ---- what it tells --------------------------------------------------------------------------------------------------

function tracesOf(context: PDFContext, info: PDFDict | null): Looked["traces"] {
  const xmp = context.enumerateIndirectObjects().flatMap(([, object]) => (object instanceof PDFRawStream && isA(object.dict, "Metadata") ? [contentOf(object)] : [])).join("\n");
  const said = (key: string): string => textOf(info?.lookup(PDFName.of(key)));
  const tag = (name: string): string => new RegExp(`<${name}[^>]*>(?:\\s*<[^>]+>)*\\s*([^<]+)`).exec(xmp)?.[1]?.trim() ?? "";
  return {
    place: /exif:GPS/.test(xmp),
    time: [said("CreationDate"), said("ModDate"), tag("xmp:CreateDate")].some((one) => one !== ""),
    device: said("Creator") || said("Producer") || tag("xmp:CreatorTool"),
    author: said("Author") || tag("dc:creator"),
  };
}

function tellsOf(context: PDFContext, catalog: PDFDict, bytes: Uint8Array): readonly Tell[] {
  const tells = new Set<Tell>();
  for (const [, object] of context.enumerateIndirectObjects()) {
    for (const dict of dictsIn(object)) {
      if (isA(dict, "EmbeddedFile") || isA(dict, "Filespec")) tells.add("holds-files");
      if (dict.has(PDFName.of("JS")) || dict.has(PDFName.of("JavaScript"))) tells.add("scripts");
      if (dict.has(PDFName.of("Rect")) && textOf(dict.lookup(PDFName.of("T"))) !== "" && !dict.has(PDFName.of("FT"))) tells.add("commentators");
    }
  }
  if (catalog.has(PDFName.of("AcroForm"))) tells.add("form");
  if (versionsIn(bytes) > 1) tells.add("earlier-versions");
  return [...tells];
}

/** How often the file was saved on top of itself; a linearised file ends twice from the start. */
function versionsIn(bytes: Uint8Array): number {
  const text = new TextDecoder("latin1").decode(bytes);
  const ends = text.match(/startxref\s+\d+\s+%%EOF/g)?.length ?? 0;
  return ends - (/\/Linearized\b/.test(text.slice(0, 2048)) ? 1 : 0);
}

// ---- the clean copy -------------------------------------------------------------------------------------------------

async function written(from: PDFContext, catalog: PDFDict): Promise<Uint8Array> {
  requireKept(from, catalog);
  const copy = new Copy(from);
  const pages = pagesOf(from, catalog);
  if (pages.length === 0) throw new CannotClean("broken");
  const { to } = copy;
  const tree = to.obj({ Type: "Pages", Count: pages.length });
  const treeRef = to.register(tree);
  tree.set(PDFName.of("Kids"), to.obj(pages.map((page) => copy.page(page, treeRef))));
  const root = to.obj({ Type: "Catalog", Pages: treeRef });
  copy.layers(catalog, root);
  to.trailerInfo = { Root: to.register(root) };
  return PDFWriter.forContext(to, 500).serializeToBuffer();
}

/** A form whose answers are not drawn, or that is drawn by a program, would come out empty. */
function requireKept(from: PDFContext, catalog: PDFDict): void {
  const form = catalog.lookup(PDFName.of("AcroForm"));
  if (!(form instanceof PDFDict)) return;
  if (form.has(PDFName.of("XFA"))) throw new CannotClean("form");
  for (const [, object] of from.enumerateIndirectObjects()) {
    if (!(object instanceof PDFDict) || nameOf(object, "Subtype") !== "Widget") continue;
    const value = object.lookup(PDFName.of("V")) ?? parentOf(object)?.lookup(PDFName.of("V"));
    if (value !== undefined && textOf(value) !== "" && !object.has(PDFName.of("AP"))) throw new CannotClean("form");
  }
}

function pagesOf(from: PDFContext, catalog: PDFDict): readonly PDFDict[] {
  const walk = (node: PDFObject | undefined, depth: number): readonly PDFDict[] => {
    if (!(node instanceof PDFDict) || depth > DEEPEST_PAGE_TREE) throw new CannotClean("broken");
    const kids = node.lookup(PDFName.of("Kids"));
    if (!(kids instanceof PDFArray)) return [node];
    return kids.asArray().flatMap((kid) => walk(from.lookup(kid), depth + 1));
  };
  return walk(catalog.lookup(PDFName.of("Pages")), 0);
}

/** Carries objects over into a new document, each once, without what is left out. */
class Copy {
  readonly to = PDFContext.create();
  readonly #from: PDFContext;
  readonly #done = new Map<string, PDFRef>();

  constructor(from: PDFContext) {
    this.#from = from;
  }

  page(page: PDFDict, parent: PDFRef): PDFRef {
    const copied = this.to.obj({ Type: "Page", Parent: parent });
    for (const key of PAGE) {
      const value = page.get(PDFName.of(key)) ?? (INHERITED.has(key) ? inherited(page, key) : undefined);
      if (value !== undefined) copied.set(PDFName.of(key), this.object(value));
    }
    const notes = page.lookup(PDFName.of("Annots"));
    if (notes instanceof PDFArray) {
      const kept = notes.asArray().flatMap((one) => this.#annotation(this.#from.lookup(one)));
      if (kept.length > 0) copied.set(PDFName.of("Annots"), this.to.obj(kept));
    }
    return this.to.register(copied);
  }

  /** Which layers are shown, without their names. */
  layers(catalog: PDFDict, root: PDFDict): void {
    const properties = catalog.lookup(PDFName.of("OCProperties"));
    if (!(properties instanceof PDFDict)) return;
    const [groups, usual] = [properties.lookup(PDFName.of("OCGs")), properties.lookup(PDFName.of("D"))];
    if (!(groups instanceof PDFArray) || !(usual instanceof PDFDict)) return;
    const shown = this.to.obj({});
    for (const key of ["BaseState", "ON", "OFF"]) {
      const value = usual.get(PDFName.of(key));
      if (value !== undefined) shown.set(PDFName.of(key), this.object(value));
    }
    const kept = this.to.obj({});
    kept.set(PDFName.of("OCGs"), this.object(groups));
    kept.set(PDFName.of("D"), shown);
    root.set(PDFName.of("OCProperties"), kept);
  }

  object(value: PDFObject): PDFObject {
    if (value instanceof PDFRef) return this.#reference(value);
    if (value instanceof PDFRawStream) return this.#stream(value);
    if (value instanceof PDFStream) throw new CannotClean("broken");
    if (value instanceof PDFDict) return this.#dict(value);
    if (value instanceof PDFArray) {
      const copied = PDFArray.withContext(this.to);
      for (const one of value.asArray()) copied.push(this.object(one));
      return copied;
    }
    return value.clone(this.to);
  }

  #reference(ref: PDFRef): PDFRef {
    const known = this.#done.get(ref.toString());
    if (known !== undefined) return known;
    const target = this.to.nextRef();
    this.#done.set(ref.toString(), target);
    const value = this.#from.lookup(ref);
    // A page is reached from the page tree alone: a way to it from elsewhere would bring back what was left out.
    const isPage = value instanceof PDFDict && (isA(value, "Page") || isA(value, "Pages") || isA(value, "Catalog"));
    this.to.assign(target, value === undefined || isPage ? this.to.obj(null) : this.object(value));
    return target;
  }

  #dict(dict: PDFDict): PDFDict {
    const copied = PDFDict.withContext(this.to);
    const isLayer = isA(dict, "OCG");
    for (const [key, value] of dict.entries()) {
      if (LEFT_OUT.has(key.decodeText()) || (isLayer && !key.decodeText().match(/^(Type|Intent)$/))) continue;
      copied.set(key, this.object(value));
    }
    if (isLayer) copied.set(PDFName.of("Name"), PDFString.of(""));
    return copied;
  }

  #stream(stream: PDFRawStream): PDFRawStream {
    const dict = this.#dict(stream.dict);
    const filter = stream.dict.lookup(PDFName.of("Filter"));
    const only = filter instanceof PDFArray && filter.size() === 1 ? filter.lookup(0) : filter;
    if (only === PDFName.of("JPXDecode")) throw new CannotClean("pictures");
    const contents = only === PDFName.of("DCTDecode") ? withoutMetadata(stream.contents) : stream.contents;
    dict.set(PDFName.of("Length"), PDFNumber.of(contents.length));
    return PDFRawStream.of(dict, contents);
  }

  #annotation(note: PDFObject | undefined): PDFRef[] {
    const kind = note instanceof PDFDict ? nameOf(note, "Subtype") : "";
    if (!(note instanceof PDFDict) || !DRAWN.has(kind)) return [];
    const copied = this.to.obj({ Type: "Annot" });
    for (const key of ANNOTATION) {
      const value = note.get(PDFName.of(key));
      if (value !== undefined) copied.set(PDFName.of(key), this.object(value));
    }
    // What was a field of a form stays as it is drawn: there is no form any more.
    if (kind === "Widget") copied.set(PDFName.of("Subtype"), PDFName.of("Stamp"));
    if (kind === "Widget") copied.delete(PDFName.of("Contents"));
    const address = kind === "Link" ? addressOf(note) : null;
    if (address !== null) copied.set(PDFName.of("A"), this.to.obj({ S: "URI", URI: PDFString.of(address) }));
    return [this.to.register(copied)];
  }
}

/** The copy is read again as a stranger would: what still tells something is not handed out. */
async function requireClean(bytes: Uint8Array): Promise<void> {
  const context = await parsed(bytes);
  const { catalog, info } = rootsOf(context);
  const { place, time, device, author } = tracesOf(context, info) ?? {};
  if (info !== null || place || time || device || author || tellsOf(context, catalog, bytes).length > 0) throw new CannotClean("broken");
}

// ---- reading one object ---------------------------------------------------------------------------------------------

function inherited(page: PDFDict, key: string): PDFObject | undefined {
  let node = parentOf(page);
  for (let depth = 0; node !== undefined && depth < DEEPEST_PAGE_TREE; depth += 1) {
    const value = node.get(PDFName.of(key));
    if (value !== undefined) return value;
    node = parentOf(node);
  }
  return undefined;
}

function parentOf(dict: PDFDict): PDFDict | undefined {
  const parent = dict.lookup(PDFName.of("Parent"));
  return parent instanceof PDFDict ? parent : undefined;
}

function addressOf(link: PDFDict): string | null {
  const action = link.lookup(PDFName.of("A"));
  if (!(action instanceof PDFDict) || nameOf(action, "S") !== "URI") return null;
  const address = textOf(action.lookup(PDFName.of("URI")));
  return /^https?:\/\/[\x21-\x7e]+$/.test(address) && !/[()\\]/.test(address) ? address : null;
}

function nameOf(dict: PDFDict, key: string): string {
  const value = dict.lookup(PDFName.of(key));
  return value instanceof PDFName ? value.decodeText() : "";
}

function isA(dict: PDFDict, type: string): boolean {
  return nameOf(dict, "Type") === type;
}

function textOf(value: PDFObject | undefined): string {
  if (value instanceof PDFString || value instanceof PDFHexString || value instanceof PDFName) return value.decodeText().trim().slice(0, 64);
  return "";
}

function contentOf(stream: PDFRawStream): string {
  try {
    return new TextDecoder().decode(decodePDFRawStream(stream).decode());
  } catch {
    return "";
  }
}

function* dictsIn(object: PDFObject): Generator<PDFDict> {
  if (object instanceof PDFRawStream) yield* dictsIn(object.dict);
  else if (object instanceof PDFArray) for (const one of object.asArray()) yield* dictsIn(one);
  else if (object instanceof PDFDict) {
    yield object;
    for (const one of object.values()) yield* dictsIn(one);
  }
}
