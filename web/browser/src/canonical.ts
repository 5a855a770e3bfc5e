/** Canonical JSON (RFC 8785): the one spelling of a value that is signed and hashed. Byte for byte that of vocab.canonical. */

import { utf8 } from "./encoding.ts";
import { Refused } from "./refusal.ts";
import type { Json, JsonObject } from "./types.ts";

export function canonical(value: Json): Uint8Array {
  return utf8(write(value));
}

/** A JSON object from bytes that must be well-formed UTF-8. */
export function readObject(bytes: Uint8Array): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw new Refused("malformed", "JSON");
  }
  if (!isObject(value)) throw new Refused("malformed", "JSON");
  return value;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function write(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(write).join(",")}]`;
  if (isObject(value)) {
    // RFC 8785 §3.2.3: keys in the order of their UTF-16 code units, which is what sort() does.
    const members = Object.keys(value).sort().map((key) => `${write(key)}:${write(value[key] as Json)}`);
    return `{${members.join(",")}}`;
  }
  // RFC 8785 §3.2.2: numbers and strings are spelled as ECMAScript spells them; it knows no NaN and no lone surrogates.
  const isSpeakable = value === null || typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value));
  if (isSpeakable || (typeof value === "string" && !/\p{Surrogate}/u.test(value))) return JSON.stringify(value);
  throw new Refused("malformed", "not a JSON value");
}
