/** Requests to the node: no cookies on the source's path, patience with a bad connection, refusals with their reason. */

import { isObject } from "./canonical.ts";
import { Refused } from "./refusal.ts";
import type { Door } from "./types.ts";

const TRIES = 6;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_SECONDS = 60;

export async function get(node: string, path: string, door: Door, headers: Record<string, string> = {}): Promise<Response> {
  return request(node, path, { method: "GET", headers }, door);
}

export async function remove(node: string, path: string, door: Door, headers: Record<string, string>): Promise<Response> {
  return request(node, path, { method: "DELETE", headers }, door);
}

export async function putBytes(node: string, path: string, bytes: Uint8Array, door: Door): Promise<Response> {
  const headers = { "content-type": "application/octet-stream" };
  return request(node, path, { method: "PUT", headers, body: bytes as BodyInit }, door);
}

export async function postJson(
  node: string,
  path: string,
  body: string,
  door: Door,
  headers: Record<string, string> = {},
): Promise<Response> {
  return request(node, path, { method: "POST", headers: { ...headers, "content-type": "application/json" }, body }, door);
}

/** Asks, and asks again after a while where nobody answered; every request made here may safely be repeated. */
async function request(node: string, path: string, init: RequestInit, door: Door): Promise<Response> {
  const ask = door.fetch ?? fetch;
  // A page asks whoever served it: at the node's onion address its own name would be a stranger.
  const base = door.base ?? (typeof location === "undefined" ? node : "");
  const sleep = door.sleep ?? ((ms: number) => new Promise((done) => setTimeout(done, ms)));
  let last = new Refused("unreachable");
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    if (attempt > 0) await sleep(FIRST_WAIT_MS * 2 ** (attempt - 1));
    let response: Response;
    try {
      // No cookie but at the desk, no cache, no redirect: what is asked stays between this page and its own node.
      response = await ask(`${base}${path}`, {
        ...init,
        credentials: door.credentials ?? "omit",
        cache: "no-store",
        redirect: "error",
        referrerPolicy: "no-referrer",
        signal: door.signal ?? null,
      });
    } catch (error) {
      if (door.signal?.aborted === true) throw error;
      last = new Refused("unreachable");
      continue;
    }
    if (response.ok) return response;
    const refusal = await refusalOf(response);
    if (response.status < 500 && response.status !== 429) throw refusal;
    // Who is told to come back in an hour gains nothing by asking again in a second.
    if (["closed", "full"].includes(refusal.reason) || Number(response.headers.get("retry-after")) > LONGEST_WAIT_SECONDS) throw refusal;
    last = refusal;
  }
  throw last;
}

async function refusalOf(response: Response): Promise<Refused> {
  const answer: unknown = await response.json().catch(() => null);
  const sentence = isObject(answer) && typeof answer["error"] === "string" ? answer["error"] : undefined;
  const word = isObject(answer) ? answer["code"] : undefined;
  if (response.status === 429) return new Refused("busy", sentence);
  if (word === "door-closed") return new Refused("closed", sentence);
  if (word === "no-room") return new Refused("full", sentence);
  if (response.status >= 500) return new Refused("unreachable", sentence);
  if (word === "wrong-state") return new Refused("shut", sentence);
  if (response.status === 409) return new Refused(sentence === "manifest" ? "manifest-changed" : "conflict", sentence);
  if (response.status === 404) return new Refused("not-found", sentence);
  if (response.status === 428 && isObject(answer)) return new Refused("work", String(answer["bits"]));
  if (response.status === 413) return new Refused("too-large", sentence);
  return new Refused("refused", sentence);
}
