/** Made-up people, manifests and a node in memory, for tests. All of it is fictional. */

import { randomBytes, toBase64, toHex, utf8 } from "../src/encoding.ts";
import { canonical } from "../src/canonical.ts";
import { generateKey } from "../src/age.ts";
import { MANIFEST_PATH, verifyManifest } from "../src/manifest.ts";
import { sha256Hex } from "../src/encoding.ts";
import { sign, signingKey } from "../src/signing.ts";
import type { AlertRecord, HandlerKeys, Json, JsonObject, Manifest, SigningKey, StaffMember, WireAttachment, WireObject } from "../src/types.ts";

export const NODE = "https://a.example";
export const NOW = new Date("2026-11-21T12:00:00Z");
export const DAY = "2026-11-21";

export interface Person extends StaffMember {
  readonly keys: HandlerKeys;
}

export async function aPerson(name: string): Promise<Person> {
  const keys = { ...(await generateKey()), signing: signingKey(randomBytes(32)) };
  return { id: name, name, roles: ["handler"], age: keys.recipient, ed25519: keys.signing.id, keys };
}

export const aRoot = (): SigningKey => signingKey(randomBytes(32));

export function signedManifest(people: readonly Person[], root: SigningKey, changes: Record<string, Json> = {}): Uint8Array {
  const terms: JsonObject = {
    v: 1, node: NODE, organisation: "An association (fictional)", epoch: 1,
    not_before: "2026-11-20T00:00:00Z", not_after: "2026-12-11T00:00:00Z",
    handlers: people.map(({ id, age, ed25519 }) => ({ id, age, ed25519, custodian: false })),
    recovery: null, bundle_sha256: null, previous: null, root: root.id, ...changes,
  };
  return canonical({ ...terms, signature: sign(terms, root) });
}

export function aManifest(people: readonly Person[], root: SigningKey, changes: Record<string, Json> = {}): Manifest {
  return verifyManifest(signedManifest(people, root, changes), { node: NODE, root: root.id, now: NOW });
}

/** The sealed-alert API of a node, in memory. It stores what it is sent and opens nothing. */
export class MemoryNode {
  readonly uploads = new Map<string, Uint8Array>();
  readonly requests: string[] = [];
  manifest: Uint8Array = new Uint8Array();
  alert: any = null;
  dialogue: WireObject[] = [];
  /** Earlier lists of keys, by their hash. */
  readonly lists = new Map<string, Uint8Array>();
  /** The files that came with messages. */
  later: WireAttachment[] = [];
  /** Tests put a failure here: it sees each request before the node does. */
  before: (line: string) => Response | "drop" | undefined = () => undefined;

  readonly fetch = (async (address: string, init: RequestInit): Promise<Response> => {
    const line = `${init.method} ${new URL(address).pathname}`;
    this.requests.push(line);
    const said = this.before(line);
    if (said === "drop") throw new TypeError("network");
    return said ?? this.#answer(line, init, address);
  }) as unknown as typeof fetch;

  readonly door = { fetch: this.fetch, sleep: async () => {} };

  record(holder: string): AlertRecord {
    const { alert } = this;
    return {
      id: alert.id, state: "received", received_on: DAY, source: alert.source, compartments: alert.compartments,
      wraps: alert.wraps.filter((wrap: any) => wrap.holder === holder),
      objects: [...alert.objects.map((one: any) => ({ ...one, author: "source", posted_on: DAY })), ...this.dialogue],
      attachments: [...alert.attachments, ...this.later], mode: "sealed", consents: [],
    };
  }

  /** A sealed file as the desk gets it: its parts, joined. */
  file(upload: string): Blob {
    const { parts } = [...this.alert.attachments, ...this.later].find((one: any) => one.upload === upload);
    return new Blob(Array.from({ length: parts }, (_, at) => this.uploads.get(`${upload}/${at}`) as BlobPart));
  }

  async #answer(line: string, init: RequestInit, address: string): Promise<Response> {
    const part = /^PUT \/api\/v1\/uploads\/([0-9a-f]{32}\/\d+)$/.exec(line)?.[1];
    if (part !== undefined) {
      // Copied, as a real fetch copies: what was handed over may be written again.
      this.uploads.set(part, Uint8Array.from(init.body as Uint8Array));
      return new Response(null, { status: 204 });
    }
    if (line === `GET ${MANIFEST_PATH}` && address.includes("?sha256=")) {
      const list = this.lists.get(address.slice(-64));
      return list === undefined ? new Response(null, { status: 404 }) : new Response(list as BodyInit);
    }
    if (line === `GET ${MANIFEST_PATH}`) return new Response(this.manifest as BodyInit);
    if (line === "POST /api/v1/alerts") {
      this.alert = JSON.parse(init.body as string);
      return Response.json({ received_on: DAY, state: "received" }, { status: 201 });
    }
    const authorization = new Headers(init.headers).get("authorization") ?? "";
    const token = Uint8Array.from(authorization.slice(8).match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
    if (this.alert === null || sha256Hex(token) !== this.alert.mailbox) return Response.json({ error: "nothing" }, { status: 404 });
    if (line === "GET /api/v1/mailbox") return Response.json(this.record("source"));
    if (line === "POST /api/v1/mailbox/messages") {
      const { seq, sealed, attachments } = JSON.parse(init.body as string);
      if (this.record("source").objects.some((one) => one.compartment === "dialogue" && one.seq === seq)) return Response.json({}, { status: 409 });
      this.post(seq, sealed, "source");
      this.later.push(...(attachments ?? []));
      return new Response(null, { status: 201 });
    }
    const asked = /^GET \/api\/v1\/mailbox\/attachments\/([0-9a-f]{32}\/\d+)$/.exec(line)?.[1];
    if (asked !== undefined) return new Response(this.uploads.get(asked) as BodyInit);
    return new Response(null, { status: 404 });
  }

  post(seq: number, sealed: string, author: string): void {
    this.dialogue.push({ compartment: "dialogue", seq, sealed, author, posted_on: DAY });
  }
}

export const aFile = (name: string, bytes: Uint8Array): File => new File([bytes as BlobPart], name, { type: "text/plain" });
export const flipped = (sealed: string): string => {
  const bytes = Uint8Array.from(atob(sealed), (one) => one.charCodeAt(0));
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
  return toBase64(bytes);
};
export { toHex, utf8 };
