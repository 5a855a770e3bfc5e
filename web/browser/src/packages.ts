/**
 * A package: one sealed alert in one file, to be carried to the node instead of being sent. node/sealing/packages.py reads it.
 *
 * The alert is "sent" to a door that keeps what it is given, so that a package holds the same bytes that would have travelled.
 */

import { utf8 } from "./encoding.ts";
import type { SealedAlert } from "./seal.ts";
import { sendAlert } from "./seal.ts";
import type { Door } from "./types.ts";

const MAGIC = "social-rights-tracker alert v1\n";

export async function packAlert(alert: SealedAlert, door: Pick<Door, "onProgress"> = {}): Promise<Blob> {
  // Parts come in the order of the body: file by file, and each from its first part to its last.
  const parts: BlobPart[] = [];
  let body: Uint8Array | null = null;
  const keep = async (_address: string, init: RequestInit): Promise<Response> => {
    if (init.method === "PUT") {
      parts.push(new Blob([init.body as BlobPart]));
      return new Response(null, { status: 204 });
    }
    body = utf8(init.body as string);
    return Response.json({ received_on: alert.day, state: "received" });
  };
  await sendAlert(alert, { ...door, fetch: keep as unknown as typeof fetch });
  if (body === null) throw new Error("the alert has no body");
  const whole: Uint8Array = body;
  return new Blob([utf8(`${MAGIC}${whole.length}\n`) as BlobPart, whole as BlobPart, ...parts], { type: "application/octet-stream" });
}
