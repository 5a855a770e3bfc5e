/** What files tell about their makers. The files are made here, by hand, and fictional. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { tracesIn } from "../src/traces.ts";

const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const blob = (text: string): Blob => new Blob([bytes(text)]);

function tiff(entries: readonly (readonly [tag: number, text: string])[]): string {
  const u16 = (value: number): string => String.fromCharCode(value & 255, value >> 8);
  const u32 = (value: number): string => u16(value & 0xffff) + u16(value >>> 16);
  let [directory, data] = [u16(entries.length), ""];
  const after = 8 + 2 + entries.length * 12 + 4;
  for (const [tag, text] of entries) {
    directory += u16(tag) + u16(2) + u32(text.length + 1) + u32(after + data.length);
    data += `${text}\0`;
  }
  return `II*\0${u32(8)}${directory}${u32(0)}${data}`;
}

function png(...chunks: readonly (readonly [string, string])[]): string {
  const u32 = (value: number): string => String.fromCharCode(value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255);
  return `\x89PNG\r\n\x1a\n${chunks.map(([kind, data]) => `${u32(data.length)}${kind}${data}CRC!`).join("")}`;
}

test("a file without traces, and one that is broken, tell nothing", async () => {
  for (const text of ["", "hello", "\xff\xd8\xff", "\xff\xd8Exif\0\0II*\0\xff\xff\xff\xff", png(["IDAT", "x"]), "%PDF-1.7 (nothing)"]) {
    assert.equal(await tracesIn(blob(text)), null);
  }
});

test("a photograph tells its camera, its place and its author", async () => {
  const found = await tracesIn(blob(`\xff\xd8\xff\xe1xxExif\0\0${tiff([[0x010f, "Fictional"], [0x0110, "Camera 1"], [0x013b, "Ana Invented"], [0x8825, "...."]])}`));
  assert.deepEqual(found, { place: true, time: false, device: "Fictional Camera 1", author: "Ana Invented" });
});

test("a PNG tells what stands in its texts and in its Exif", async () => {
  const found = await tracesIn(blob(png(["tEXt", "Author\0Ana Invented"], ["tEXt", "Software\0Fictional Paint"], ["eXIf", tiff([[0x8825, "...."]])], ["tIME", "0123456"])));
  assert.deepEqual(found, { place: true, time: true, device: "Fictional Paint", author: "Ana Invented" });
});

test("a PDF tells its author, also in UTF-16, and its program, also at its end", async () => {
  const end = `/Author <FEFF0041006E0061> /Creator (Fictional \\(Writer\\)) /CreationDate (D:2026)`;
  const found = await tracesIn(blob(`%PDF-1.7 ${"x".repeat(600_000)}${end}`));
  assert.deepEqual(found, { place: false, time: true, device: "Fictional (Writer)", author: "Ana" });
});
