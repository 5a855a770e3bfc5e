/** A JPEG without its metadata, pixel for pixel the same: segments that only describe are cut out (ITU-T T.81 §B.2.4). */

import { joined } from "./encoding.ts";

const SOI = 0xd8;
const SOS = 0xda;
const COMMENT = 0xfe;
/** JFIF, colour profile, Adobe's colour transform: needed to show the picture as it is. */
const NEEDED: ReadonlySet<number> = new Set([0xe0, 0xe2, 0xee]);

export function withoutMetadata(jpeg: Uint8Array): Uint8Array {
  if (jpeg[0] !== 0xff || jpeg[1] !== SOI) return jpeg;
  const kept: Uint8Array[] = [jpeg.subarray(0, 2)];
  let at = 2;
  while (at + 4 <= jpeg.length && jpeg[at] === 0xff && jpeg[at + 1] !== SOS) {
    const marker = jpeg[at + 1] ?? 0;
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const end = at + 2 + (((jpeg[at + 2] ?? 0) << 8) | (jpeg[at + 3] ?? 0));
    const describes = marker === COMMENT || (marker >= 0xe0 && marker <= 0xef && !NEEDED.has(marker));
    if (!describes) kept.push(jpeg.subarray(at, end));
    at = end;
  }
  kept.push(jpeg.subarray(at));
  return joined(kept);
}
