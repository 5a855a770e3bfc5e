/** A PNG without what it only says: texts, Exif, times and whatever is private. Every pixel stays (PNG, third edition, §5 and §11). */

import { joined } from "./encoding.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Chunks that may be left out and yet say how the picture has to look. */
const NEEDED: ReadonlySet<string> = new Set("tRNS gAMA cHRM sRGB iCCP cICP sBIT bKGD hIST sPLT pHYs acTL fcTL fdAT".split(" "));

/** Ends with IEND: what was hung on behind it does not come along. Null where the chunks do not add up. */
export function withoutTexts(png: Uint8Array): Uint8Array | null {
  if (!SIGNATURE.every((byte, at) => png[at] === byte)) return null;
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const kept: Uint8Array[] = [png.subarray(0, SIGNATURE.length)];
  for (let at = SIGNATURE.length; at + 12 <= png.length; ) {
    const end = at + 12 + view.getUint32(at);
    const kind = String.fromCharCode(...png.subarray(at + 4, at + 8));
    if (end > png.length) return null;
    // A capital first letter: without this chunk there is no picture.
    if (/^[A-Z]/.test(kind) || NEEDED.has(kind)) kept.push(png.subarray(at, end));
    if (kind === "IEND") return joined(kept);
    at = end;
  }
  return null;
}
