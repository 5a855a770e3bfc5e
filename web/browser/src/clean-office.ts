/**
 * Office files (docx, xlsx, odt, ods) without what they say about their makers: properties, thumbnails, custom data, and the names in
 * comments and tracked changes. The texts of comments and changes stay: they are content.
 * Spec: ECMA-376 part 2 (packages), OASIS OpenDocument 1.3 part 2.
 */

import { strFromU8, strToU8, unzipSync, zipSync } from "fflate";
import type { Zippable } from "fflate";
import { withoutMetadata } from "./clean-jpeg.ts";
import { withoutTexts } from "./clean-png.ts";
import type { Looked, Tell } from "./cleaning.ts";
import { CannotClean } from "./cleaning.ts";

/** The first day a zip file can name. */
const NO_TIME = new Date(1980, 0, 1);
const PROPERTIES = /^(docProps|customXml)\/|^(meta\.xml|settings\.xml|Thumbnails\/.*|META-INF\/documentsignatures\.xml|manifest\.rdf)$/;
/** Whole files inside the file, programs, and pictures of programs: nobody can vouch for what they tell. */
const OTHERS = /(^|\/)(embeddings|activeX|macrosheets)\/|vbaProject\.bin$|^Object [^/]+\/|^Basic\//;
/** Kinds of pictures that can name a place or a maker, and that nothing here can take apart. */
const OTHER_PICTURES = /\.(tiff?|webp|hei[cf]|avif|jxl|gif|svg)$/i;
const LARGEST_UNPACKED = 256 * 1024 * 1024;
const NAMES: readonly [RegExp, string][] = [
  [/((?:\w+:)?(?:author|initials|userId|providerId|displayName|lastModifiedBy|userName)=)"[^"]*"/g, '$1""'],
  [/(\bw:date=)"[^"]*"/g, '$1"1980-01-01T00:00:00Z"'],
  [/(<author>)[^<]*(<\/author>)/g, "$1$2"],
  [/(<(?:dc:creator|meta:creator-initials|loext:sender-initials)>)[^<]*(<\/)/g, "$1$2"],
  [/(<dc:date>)[^<]*(<\/)/g, "$11980-01-01T00:00:00$2"],
  [/ w:rsid\w*="[^"]*"/g, ""],
  [/<w:rsids>[\s\S]*?<\/w:rsids>/g, ""],
];

export async function lookIntoOffice(bytes: Uint8Array): Promise<Omit<Looked, "clean"> & { readonly clean: Uint8Array | null }> {
  const entries = unpacked(bytes);
  const names = Object.keys(entries);
  if (/encryption-data/.test(textOf(entries, "META-INF/manifest.xml"))) throw new CannotClean("locked");
  const found = { traces: tracesOf(entries), tells: tellsOf(entries) };
  if (names.some((name) => OTHERS.test(name))) return { ...found, clean: null, why: "holds-files" };
  if (names.some((name) => OTHER_PICTURES.test(name))) return { ...found, clean: null, why: "pictures" };
  const clean = packed(entries);
  const again = unpacked(clean);
  const { place, time, device, author } = tracesOf(again);
  if (place || time || device !== "" || author !== "" || tellsOf(again).includes("commentators")) throw new CannotClean("broken");
  return { ...found, clean, why: null };
}

function unpacked(bytes: Uint8Array): Record<string, Uint8Array> {
  // An Office file with a password is no zip at all but an OLE container.
  if (bytes[0] === 0xd0 && bytes[1] === 0xcf) throw new CannotClean("locked");
  let size = 0;
  try {
    const entries = unzipSync(bytes, {
      filter: ({ originalSize }) => {
        size += originalSize;
        if (size > LARGEST_UNPACKED) throw new CannotClean("too-large");
        return true;
      },
    });
    if (Object.keys(entries).length > 0) return entries;
  } catch (error) {
    if (error instanceof CannotClean) throw error;
  }
  throw new CannotClean("broken");
}

function packed(entries: Record<string, Uint8Array>): Uint8Array {
  const kept: Zippable = {};
  // OpenDocument wants its media type first, and as it is.
  const names = Object.keys(entries).sort((left, right) => Number(right === "mimetype") - Number(left === "mimetype"));
  for (const name of names) {
    if (PROPERTIES.test(name) || name.endsWith("/")) continue;
    const content = entries[name] as Uint8Array;
    kept[name] = [cleaned(name, content), { mtime: NO_TIME, level: name === "mimetype" ? 0 : 6 }];
  }
  return zipSync(kept);
}

function cleaned(name: string, content: Uint8Array): Uint8Array {
  // By its bytes, whatever it is called.
  if (content[0] === 0xff && content[1] === 0xd8) return withoutMetadata(content);
  if (content[0] === 0x89 || /\.(jpe?g|png)$/i.test(name)) {
    const quiet = withoutTexts(content);
    if (quiet === null) throw new CannotClean("pictures");
    return quiet;
  }
  if (!/\.(xml|rels)$/i.test(name)) return content;
  let text = strFromU8(content);
  for (const [pattern, instead] of NAMES) text = text.replace(pattern, instead);
  if (name === "[Content_Types].xml") text = text.replace(/<Override [^>]*PartName="\/(?:docProps|customXml)\/[^>]*>/g, "");
  if (name.endsWith(".rels")) text = text.replace(/<Relationship [^>]*Target="(?:\.\.)?\/?(?:docProps|customXml)\/[^>]*>/g, "");
  if (name === "META-INF/manifest.xml") {
    text = text.replace(/<manifest:file-entry [^>]*manifest:full-path="(?:meta\.xml|settings\.xml|manifest\.rdf|Thumbnails\/[^"]*)"[^>]*>/g, "");
  }
  return strToU8(text);
}

function tracesOf(entries: Record<string, Uint8Array>): NonNullable<Looked["traces"]> {
  const said = ["docProps/core.xml", "docProps/app.xml", "docProps/custom.xml", "meta.xml"].map((name) => textOf(entries, name)).join("\n");
  const tag = (...names: string[]): string => {
    for (const name of names) {
      const value = new RegExp(`<${name}(?: [^>]*)?>([^<]+)<`).exec(said)?.[1]?.trim();
      if (value) return value.slice(0, 64);
    }
    return "";
  };
  return {
    place: false,
    time: tag("dcterms:created", "dcterms:modified", "meta:creation-date", "dc:date") !== "",
    device: tag("Application", "meta:generator"),
    author: tag("dc:creator", "cp:lastModifiedBy", "meta:initial-creator", "Company"),
  };
}

function tellsOf(entries: Record<string, Uint8Array>): readonly Tell[] {
  const tells = new Set<Tell>();
  for (const name of Object.keys(entries)) {
    if (OTHERS.test(name)) tells.add("holds-files");
    if (!name.endsWith(".xml") || PROPERTIES.test(name)) continue;
    const text = textOf(entries, name);
    if (/(?:\w+:)?(?:author|displayName)="[^"]+"|<author>[^<]+<|<dc:creator>[^<]+</.test(text)) tells.add("commentators");
    if (/<w:(?:ins|del) |<text:tracked-changes[^/]*>/.test(text)) tells.add("tracked-changes");
  }
  return [...tells];
}

function textOf(entries: Record<string, Uint8Array>, name: string): string {
  const content = entries[name];
  return content === undefined ? "" : strFromU8(content);
}
