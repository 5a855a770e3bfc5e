/** A worker of its own for the slow step, so that the page stays alive meanwhile. No WebAssembly: strict browsers lack it. */

import { stretch } from "./argon2.ts";

self.onmessage = (event: MessageEvent<{ readonly passphrase: string; readonly salt: Uint8Array }>) => {
  self.postMessage(stretch(event.data.passphrase, event.data.salt));
};
