/**
 * The one place that names the address of a script: where browsers enforce Trusted Types (`web/security.py` asks for it), no other
 * code of a page can start one, nor turn a text into markup. Only files of our own build, by their plain names.
 */

interface Policy {
  createScriptURL(address: string): string;
}

const BUILT = /^\/static\/built\/[\w-]+\.js$/;
const { trustedTypes } = globalThis as { trustedTypes?: { createPolicy(name: string, rules: Policy): Policy } };
const rules: Policy = {
  createScriptURL(address) {
    if (!BUILT.test(address)) throw new TypeError("not a script of ours");
    return address;
  },
};
const policy = trustedTypes?.createPolicy("srt", rules) ?? rules;

export function scriptAddress(address: string): string {
  return policy.createScriptURL(address);
}
