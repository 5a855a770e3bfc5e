/** What the form needs once it is begun, fetched then as one part: who it is sealed for, the twelve words, sealing, sending. */

export { fromBase64 } from "./encoding.ts";
export { fetchManifest, timeRefusal, verifyManifest } from "./manifest.ts";
export { packAlert } from "./packages.ts";
export { digitsOf, entropyOf, newReceipt } from "./receipts.ts";
export { readdress, sealAlert, sendAlert } from "./seal.ts";
