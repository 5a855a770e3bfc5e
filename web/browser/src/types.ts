/**
 * The words the browser modules share: what travels, what is opened, and why something is refused.
 * No code lives here. The same formats are written and read by node/sealing.
 */

/** Lower-case hexadecimal. */
export type Hex = string;
/** Base64, standard alphabet, padded. */
export type Base64 = string;
/** `YYYY-MM-DD` in UTC: objects never carry a time of day. */
export type Day = string;
/** `age1pq1…`, an age hybrid (ML-KEM-768 + X25519) recipient. */
export type Recipient = string;
/** `AGE-SECRET-KEY-PQ-1…`, the identity that opens what was sealed to its recipient. */
export type Identity = string;
/** `z6Mk…`, an Ed25519 public key as Multikey. */
export type KeyId = string;

export type Compartment = "dialogue" | "identity" | "internal";
export type ObjectType = "submission" | "identity" | "message" | "consent-request" | "check" | "note" | "assessment";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** Why something was refused. Pages turn a reason into a sentence in the reader's language. */
export type Reason =
  | "not-hybrid" // a classical, mixed or several-recipient file, recipient or identity
  | "cannot-open" // not for this identity, cut short, or altered
  | "malformed" // opened, but not the shape it must have
  | "wrong-signature" // the signature does not hold, or the signer is not one we accept
  | "wrong-place" // made for another node, case, compartment or recipient
  | "out-of-order" // the chain of `seq` and `prev` is broken: something was dropped, moved or replayed
  | "manifest-malformed"
  | "manifest-wrong-signature"
  | "manifest-wrong-root"
  | "manifest-other-node"
  | "manifest-not-yet-valid"
  | "manifest-expired"
  | "manifest-too-few-handlers"
  | "manifest-forked"
  | "manifest-changed" // the server takes another manifest now: fetch it and start the sending again
  | "receipt-length"
  | "receipt-word" // a word that is not in the list; `detail` is that word
  | "receipt-checksum"
  | "file-unreadable" // a file changed or vanished while it was being read; `detail` is its name
  | "no-copy" // a copy without hidden details could not be made; `detail` is the name of the file
  | "not-found"
  | "refused" // the server said no; `detail` is its sentence
  | "work" // so much arrives that sending costs work; `detail` is how many bits
  | "too-large"
  | "conflict" // another one was first
  | "busy" // too much arrives for anything to be taken
  | "full" // the server has no room to keep anything
  | "another-day" // the server is at another day than this device
  | "closed" // nobody could open an alert at present
  | "shut" // nothing more is taken in this place
  | "unreachable"; // the network or the server did not answer; trying again later may work

// ---- keys ---------------------------------------------------------------------------------------------------------

/** An Ed25519 key that signs; `seed` is 32 secret bytes. */
export interface SigningKey {
  readonly id: KeyId;
  readonly seed: Uint8Array;
}

/** What a receipt's sixteen bytes derive to, on one node. */
export interface SourceKeys {
  readonly node: string;
  readonly mailboxToken: Hex;
  readonly mailbox: Hex;
  readonly identity: Identity;
  readonly recipient: Recipient;
  readonly signing: SigningKey;
}

/** A handler's own keys, as their vault holds them. */
export interface HandlerKeys {
  readonly identity: Identity;
  readonly recipient: Recipient;
  readonly signing: SigningKey;
}

/** A fresh compartment key pair. */
export interface CompartmentKey {
  readonly identity: Identity;
  readonly recipient: Recipient;
}

/** One of the keys of a compartment: the first, or a later one made after somebody left. */
export interface EpochKey extends CompartmentKey {
  readonly epoch: number;
}

// ---- sealed objects -----------------------------------------------------------------------------------------------

export interface Header {
  readonly v: 1;
  readonly type: ObjectType;
  readonly node: string;
  readonly case: Hex;
  readonly compartment: Compartment;
  readonly epoch: number;
  readonly seq: number;
  readonly prev: Hex | null;
  readonly sender: KeyId;
  readonly recipient: Hex;
  readonly day: Day;
  readonly body_sha256: Hex;
}

/** A sealed object, opened, its signature, place and body hash checked. */
export interface OpenedObject {
  readonly header: Header;
  readonly body: JsonObject;
  /** SHA-256 of the sealed bytes: the next object's `prev`. */
  readonly sha256: Hex;
}

/** Where the next object of a compartment goes. */
export interface Next {
  readonly seq: number;
  readonly prev: Hex | null;
}

export interface Attachment {
  readonly upload: Hex;
  readonly name: string;
  readonly media_type: string;
  readonly size: number;
  /** SHA-256 of the file itself. */
  readonly sha256: Hex;
}

export interface Submission {
  readonly form: Hex;
  readonly language: string;
  readonly answers: JsonObject;
  readonly attachments: readonly Attachment[];
}

/** One object of a dialogue as a page shows it. What does not hold is shown as refused, never hidden. */
export type Entry =
  | (EntryPlace & {
      readonly verified: true;
      readonly author: "source" | "desk";
      /** Signed by somebody who has left the organisation since, on a day when they were of it. */
      readonly former?: true;
      readonly sender: KeyId;
      readonly day: Day;
      readonly content:
        | { readonly type: "submission"; readonly submission: Submission }
        | { readonly type: "message"; readonly text: string; readonly attachments: readonly Attachment[] }
        | ConsentRequest;
    })
  | (EntryPlace & { readonly verified: false; readonly reason: Reason });

/** The desk asks about one public text, and the whole text is in it; `sha256` is of its canonical spelling. */
export interface ConsentRequest {
  readonly type: "consent-request";
  readonly fields: JsonObject;
  readonly sha256: Hex;
}

interface EntryPlace {
  readonly seq: number;
  readonly postedOn: Day;
}

// ---- manifest -----------------------------------------------------------------------------------------------------

export interface ManifestHandler {
  readonly id: string;
  readonly age: Recipient;
  readonly ed25519: KeyId;
  readonly custodian: boolean;
}

/** The days on which somebody stood in the signed list. */
export interface Stint {
  readonly ed25519: KeyId;
  readonly from: Day;
  readonly until: Day;
}

/** The signed list of intake keys, verified. `sha256` is of its exact bytes. */
export interface Manifest {
  readonly v: 1;
  readonly node: string;
  readonly organisation: string;
  readonly epoch: number;
  readonly not_before: string;
  readonly not_after: string;
  readonly handlers: readonly ManifestHandler[];
  readonly recovery: Recipient | null;
  readonly bundle_sha256: Hex | null;
  readonly previous: Hex | null;
  readonly root: KeyId;
  readonly sha256: Hex;
}

// ---- sending ------------------------------------------------------------------------------------------------------

/** What a source wants to send. Files are read as streams, never held whole. */
export interface AlertDraft {
  /** SHA-256 of the case form the answers belong to. */
  readonly form: Hex;
  readonly language: string;
  readonly answers: JsonObject;
  /** Sealed apart, for the custodians of identities. May be empty: an object is sent all the same. */
  readonly identityFields: JsonObject;
  readonly files: readonly File[];
  /** Said in clear: only where the page promised an answer within hours, and said what the server then keeps. */
  readonly urgent?: boolean;
}

export interface Progress {
  /** Bytes of ciphertext the server has, and all there will be. */
  readonly sent: number;
  readonly total: number;
  /** Index of the file on its way, or null while the alert itself is being sent. */
  readonly file: number | null;
}

export interface Received {
  readonly received_on: Day;
  readonly state: string;
}

/** How a module reaches the server. Tests hand in their own. */
export interface Door {
  /** "same-origin" where staff enter an alert; a source's requests carry no cookie. */
  readonly credentials?: RequestCredentials;
  /** Where alerts are handed in; the source's own address by default, the desk's for staff who enter one. */
  readonly path?: string;
  /** Where the server answers, when that is not the node's own name: its onion address. Keys and signatures keep the name. */
  readonly base?: string;
  readonly fetch?: typeof fetch;
  /** Waits between tries; tests hand in one that does not. */
  readonly sleep?: (milliseconds: number) => Promise<void>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

// ---- what the server hands out ------------------------------------------------------------------------------------

export interface WireWrap {
  readonly compartment: Compartment;
  readonly epoch?: number;
  readonly sealed: Base64;
}

export interface WireObject {
  readonly compartment: Compartment;
  readonly seq: number;
  readonly author?: string;
  readonly posted_on: Day;
  readonly sealed: Base64;
}

export interface WireAttachment {
  readonly upload: Hex;
  readonly parts: number;
  readonly size: number;
  readonly sha256: Hex;
}

/** Answer of GET /api/v1/mailbox. */
export interface MailboxRecord {
  readonly id: Hex;
  readonly state: string;
  readonly received_on: Day;
  readonly wraps: readonly WireWrap[];
  readonly objects: readonly WireObject[];
  readonly attachments: readonly WireAttachment[];
  readonly mode: string;
  readonly consents: readonly WireConsent[];
}

/** What a source answered about a use of its alert, as the server keeps it: the signature is the source's. */
export interface WireConsent {
  readonly seq: number;
  readonly use: "publish" | "share";
  readonly answer: "yes" | "no";
  /** Of the exact public text it is about, or null where it is about the use as such. */
  readonly text_sha256: Hex | null;
  readonly day: Day;
  readonly signature: Base64;
}

/** Answer of GET /api/v1/desk/alerts/{id}; `wraps` are the caller's own. */
export interface AlertRecord extends MailboxRecord {
  readonly source: { readonly age: Recipient; readonly ed25519: KeyId };
  readonly compartments: { readonly dialogue: Recipient; readonly identity: Recipient };
  readonly access?: Access;
}

/** Who holds the keys of an alert or a case, who asks, and what waits for a new key. */
export interface Access {
  readonly holders: { readonly [name in Compartment]?: readonly string[] };
  readonly grants: readonly GrantLine[];
  readonly requests: readonly RequestLine[];
  readonly keys: readonly { readonly compartment: Compartment; readonly epoch: number; readonly recipient: Recipient }[];
  readonly due: readonly { readonly compartment: Compartment; readonly left: string; readonly since: Day }[];
  /** The compartments whose keys the organisation's recovery key holds too. */
  readonly recovery: readonly Compartment[];
}

export interface GrantLine {
  readonly id: Hex;
  readonly compartment: Compartment;
  readonly epoch: number;
  readonly holder: string;
  readonly by: string;
  readonly on: Day;
  readonly until: Day | null;
}

export interface RequestLine {
  readonly id: string;
  readonly compartment: Compartment;
  readonly by: string;
  readonly on: Day;
  readonly reason: string | null;
  readonly state: "asked" | "granted" | "refused";
  readonly decided_by: string | null;
  readonly decided_on: Day | null;
  readonly until: Day | null;
  readonly refusal: string | null;
}

/** One key on its way to one colleague, with the giver's signature over what they did. */
export interface GivenWrap {
  readonly compartment: Compartment;
  readonly epoch: number;
  readonly holder: string;
  readonly sealed: Base64;
  readonly day: Day;
  readonly until: Day | null;
  readonly signature: Base64;
}

/** Body of the POSTs that take in a later key of a compartment. */
export interface NewKey {
  readonly compartment: Compartment;
  readonly epoch: number;
  readonly recipient: Recipient;
  readonly wraps: readonly GivenWrap[];
  readonly others: readonly { readonly holder: "source" | "recovery"; readonly sealed: Base64 }[];
}

export interface WireRecord {
  readonly seq: number;
  readonly type: "check" | "note" | "assessment";
  readonly author?: string;
  readonly posted_on: Day;
  readonly sealed: Base64;
}

/** The sealed half of GET /api/v1/desk/cases/{id}. */
export interface CaseRecord {
  readonly id: Hex;
  readonly alert: Hex;
  readonly internal: Recipient;
  readonly wraps: readonly { readonly epoch?: number; readonly sealed: Base64 }[];
  readonly records: readonly WireRecord[];
  readonly access?: Access;
}

/** One line of GET /api/v1/desk/staff. */
export interface StaffMember {
  readonly id: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly age: Recipient;
  readonly ed25519: KeyId;
  /** Who left holds no keys any more; what they signed still holds. */
  readonly left?: boolean;
}

// ---- opened, for pages --------------------------------------------------------------------------------------------

/** A source's mailbox, opened with the receipt. */
export interface Mailbox {
  readonly id: Hex;
  readonly state: string;
  readonly receivedOn: Day;
  /** By which door it came. */
  readonly mode: string;
  readonly consents: readonly WireConsent[];
  readonly entries: readonly Entry[];
  readonly keys: SourceKeys;
  /** The newest key of the dialogue: what is sealed to now. */
  readonly dialogue: EpochKey;
  /** Every key of the dialogue, oldest first: to read with. */
  readonly held: readonly EpochKey[];
  readonly attachments: readonly WireAttachment[];
  readonly next: Next;
}

/** An alert opened at the desk. */
export interface OpenedAlert {
  readonly id: Hex;
  readonly node: string;
  readonly entries: readonly Entry[];
  /** The submission where it could be read and holds, else null (the reason stands in `entries`). */
  readonly submission: Submission | null;
  /** Identity fields; null when this handler is no custodian. */
  readonly identity: { readonly fields: JsonObject } | { readonly refused: Reason } | null;
  readonly attachments: readonly WireAttachment[];
  /** The newest key of the dialogue: what is sealed to now. */
  readonly dialogue: EpochKey;
  /** Every key this handler holds, oldest first: to read with, and to give on. */
  readonly held: { readonly dialogue: readonly EpochKey[]; readonly identity: readonly EpochKey[] };
  readonly next: Next;
}

export type CaseEntry =
  | (EntryPlace & {
      readonly verified: true;
      readonly type: "check" | "note" | "assessment";
      readonly sender: KeyId;
      readonly day: Day;
      readonly body: JsonObject;
    })
  | (EntryPlace & { readonly verified: false; readonly reason: Reason });

/** A case's internal records, opened at the desk. */
export interface OpenedCase {
  readonly id: Hex;
  readonly node: string;
  readonly entries: readonly CaseEntry[];
  readonly internal: EpochKey;
  readonly held: readonly EpochKey[];
  readonly next: Next;
}

/** Body of the POSTs that add one sealed object; a message may bring files. */
export interface NewObject {
  readonly seq: number;
  readonly sealed: Base64;
  readonly attachments?: readonly WireAttachment[];
}

/** Body of POST …/alerts/{id}/case. */
export interface NewCase {
  readonly id: Hex;
  readonly internal: Recipient;
  readonly wraps: readonly { readonly holder: string; readonly sealed: Base64 }[];
}

// ---- vault --------------------------------------------------------------------------------------------------------

/** Slow key derivation from a passphrase: 32 bytes. */
export type Kdf = (passphrase: string, salt: Uint8Array) => Promise<Uint8Array>;

export interface Login {
  /** Sent to the server as `auth`. */
  readonly auth: Base64;
  /** Opens the vault; never leaves the page. */
  readonly vaultIdentity: Identity;
}

/** Body of POST /api/v1/desk/welcome, without `token` and `name`. */
export interface Enrolment {
  readonly salt: Base64;
  readonly auth: Base64;
  readonly vault: Base64;
  readonly recovery_vault: Base64;
  /** Proof of the recovery code; the server keeps its hash. */
  readonly recovery_auth: Base64;
  readonly age: Recipient;
  readonly ed25519: KeyId;
}

/*
 * The functions built on these words, module by module.
 *
 * refusal.ts    class Refused extends Error { reason: Reason; detail?: string }
 * receipts.ts   newReceipt(): string                                       twelve words, one space between
 *               readReceipt(words: string): string                         normalised, or Refused receipt-…
 *               sourceKeys(receipt: string, node: string): Promise<SourceKeys>
 * manifest.ts   fetchManifest(node: string, root: KeyId, now: Date, door?: Door): Promise<Manifest>
 *               verifyManifest(bytes: Uint8Array, expected: { node; root; now }): Manifest
 *               checkSuccession(older: Manifest, newer: Manifest): void
 * seal.ts       sealAlert(draft: AlertDraft, to: { manifest: Manifest; receipt: string; day: Day }): Promise<SealedAlert>
 *               sendAlert(alert: SealedAlert, door?: Door): Promise<Received>    call it again to resume
 *               readdress(alert: SealedAlert, manifest: Manifest): void          after Refused manifest-changed
 * mailbox.ts    openMailbox(receipt: string, manifest: Manifest, door?: Door): Promise<Mailbox>
 *               sendMessage(mailbox: Mailbox, text: string, to: { manifest: Manifest; day: Day }, door?: Door): Promise<Mailbox>
 * vault.ts      workerKdf(address: string): Kdf;  deriveLogin(passphrase: string, salt: Base64, kdf: Kdf): Promise<Login>
 *               enrol(passphrase: string, kdf: Kdf): Promise<{ enrolment: Enrolment; keys: HandlerKeys; recoveryCode: string }>
 *               openVault(vault: Base64, identity: Identity): Promise<HandlerKeys>;  recoveryIdentity(code: string): Identity
 * open.ts       openAlert(record: AlertRecord, me: HandlerKeys, at: { node: string; staff: readonly StaffMember[] }): Promise<OpenedAlert>
 *               openAttachment(alert: OpenedAlert, attachment: Attachment, sealed: Blob): Promise<Blob>
 *               composeMessage(alert: OpenedAlert, me: HandlerKeys, text: string, day: Day): Promise<NewObject>
 *               beginCase(me: HandlerKeys, at: { node: string; holders: readonly StaffMember[] }): Promise<NewCase>
 *               openCase(record: CaseRecord, me: HandlerKeys, at: { node: string; staff: readonly StaffMember[] }): Promise<OpenedCase>
 *               composeRecord(opened: OpenedCase, me: HandlerKeys, type: "check" | "note" | "assessment", body: JsonObject, day: Day): Promise<NewObject>
 */
