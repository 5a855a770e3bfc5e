// What Fedify's own verification says of a request and of a document, in plain words.
import { detachSignature, verifyProof, verifyRequestDetailed } from "@fedify/fedify/sig";
import { DataIntegrityProof } from "@fedify/vocab";

/** The HTTP signature of a delivery, and the proofs on the activity and on its embedded object. */
export async function witness(request, context) {
  const loaders = { documentLoader: context.documentLoader, contextLoader: context.contextLoader };
  const signed = await verifyRequestDetailed(request.clone(), loaders);
  let activity = null;
  try {
    activity = await request.clone().json();
  } catch {
    // Not JSON: Fedify will say so itself.
  }
  const object = activity?.object;
  return {
    signature: {
      verified: signed.verified,
      key: signed.verified ? signed.key.id?.href : null,
      dialect: request.headers.has("signature-input") ? "rfc9421" : request.headers.has("signature") ? "cavage" : null,
      reason: signed.verified ? null : signed.reason.type,
    },
    proof: await proofOf(activity, loaders),
    objectProof: await proofOf(object, loaders, activity?.["@context"]),
    activity,
  };
}

/** Whether the document's own proof holds; null where it carries none. `around` is the context of what embeds it. */
export async function proofOf(document, loaders, around) {
  if (document === null || typeof document !== "object" || !document.proof) return null;
  // RsaSignature2017 is put on after the proof, which therefore does not cover it.
  const signed = detachSignature(document);
  const proofs = Array.isArray(document.proof) ? document.proof : [document.proof];
  const results = [];
  for (const written of proofs) {
    // A proof without a context of its own is read in the context of what it stands on (VC Data Integrity §2.1).
    const proof = await DataIntegrityProof.fromJsonLd(
      { "@context": document["@context"] ?? around, ...written },
      loaders,
    );
    const key = await verifyProof(signed, proof, loaders);
    results.push({
      cryptosuite: written.cryptosuite,
      verified: key !== null,
      key: key?.id?.href ?? null,
      controller: key?.controllerId?.href ?? null,
    });
  }
  return results;
}
