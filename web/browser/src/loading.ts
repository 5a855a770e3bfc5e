/**
 * Parts of the program that are fetched when they are needed. In the sources such a part is an ordinary `import()`; the
 * build (build.mjs) writes each as a classic script and turns `import()` into `srt.load(…)`, which is defined here.
 *
 * Classic scripts, because every browser holds them against their hash before they run, and because one that did not
 * arrive can be asked for again: a module that failed once stays failed until the page, with all that was typed, is gone.
 */

import { Refused } from "./refusal.ts";
import { scriptAddress } from "./trusted.ts";

/** A part: the name under which it hands over its exports, its file, and the hash that file must have. */
export type Part = readonly [name: string, file: string, integrity: string];

interface Loaded {
  /** The parts that have run, by name. */
  [name: string]: unknown;
  load?: (parts: readonly Part[]) => Promise<unknown>;
}

declare global {
  var srt: Loaded | undefined;
}

const BUILT = "/static/built/";
const TRIES = 5;
const FIRST_WAIT_MS = 400;

const loaded = (globalThis.srt ??= {});
const coming = new Map<string, Promise<void>>();

/** Runs the parts that have not run yet, in this order, and hands over the last one's exports. Refused: unreachable. */
loaded.load = async (parts) => {
  // Fetched side by side, run one after the other: scripts that are not async keep their order.
  await Promise.all(parts.map((part) => arrival(part)));
  return loaded[parts.at(-1)?.[0] ?? ""];
};

/** One part, once: whoever asks while it is on its way waits for the same. After a failure it may be asked for again. */
function arrival(part: Part): Promise<void> {
  const [name] = part;
  if (name in loaded) return Promise.resolve();
  const found = coming.get(name) ?? fetchPart(part).finally(() => coming.delete(name));
  coming.set(name, found);
  return found;
}

async function fetchPart([, file, integrity]: Part): Promise<void> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    if (attempt > 0) await new Promise((done) => setTimeout(done, FIRST_WAIT_MS * 2 ** (attempt - 1)));
    if (await runs(`${BUILT}${file}`, integrity)) return;
  }
  throw new Refused("unreachable", file);
}

/** Whether the script arrived with the right hash and ran. */
async function runs(address: string, integrity: string): Promise<boolean> {
  const src = scriptAddress(address);
  const script = Object.assign(document.createElement("script"), { src, integrity, async: false });
  const came = await new Promise<boolean>((done) => {
    script.addEventListener("load", () => done(true));
    script.addEventListener("error", () => done(false));
    document.head.append(script);
  });
  script.remove();
  return came;
}
