/** The desk's side of the node's API: typed requests, and refusals with the sentence the server gave. */

import type {
  Access, AlertRecord, CaseRecord, Compartment, Enrolment, GivenWrap, Hex, JsonObject, KeyId, NewCase, NewKey, NewObject, StaffMember, WireConsent,
} from "./types.ts";

export interface Person {
  readonly id: string;
  readonly name: string;
  readonly roles: readonly string[];
}

export interface SessionAnswer {
  readonly staff: Person;
  readonly vault: string;
}

export interface AlertLine {
  readonly id: Hex;
  readonly received_on: string;
  readonly state: string;
  readonly case: Hex | null;
  readonly size: number;
  readonly attachments: number;
}

export interface AlertAnswer extends AlertRecord {
  readonly case: Hex | null;
  readonly mode: string;
  readonly is_blocked: boolean;
  readonly closed_for: string | null;
  readonly may_open_identity: boolean;
  readonly access: Access;
}

export interface CaseLine {
  readonly id: Hex;
  readonly alert: Hex;
  readonly state: string;
  readonly standard: string | null;
  readonly kind: string | null;
  readonly updated_on: string;
  readonly waiting_for: string | null;
}

export interface Move {
  readonly action: string;
  readonly open: boolean;
  readonly why: string;
}

export interface HistoryLine {
  readonly action: string;
  readonly by: string;
  readonly on: string;
  readonly reason?: string | null;
}

export interface CaseAnswer extends CaseRecord {
  readonly access: Access;
  readonly state: string;
  readonly standard: string | null;
  readonly updated_on: string;
  readonly waiting_for: string | null;
  readonly draft: { readonly fields: JsonObject; readonly sha256: Hex; readonly by: string; readonly on: string; readonly reach: "whole" | "shortened" | "partial" | null } | null;
  /** Whose signature the answers about publication carry. */
  readonly source: KeyId;
  readonly consents: readonly WireConsent[];
  readonly withdrawal: { readonly by: string; readonly reason: string } | null;
  readonly history: readonly HistoryLine[];
  readonly moves: readonly Move[];
  readonly people: { readonly [id: string]: string };
  readonly publication: { readonly url: string; readonly state: string } | null;
}

type Texts = { readonly [language: string]: string };

export interface AskableQuestion {
  readonly key: string;
  readonly type: string;
  readonly label: Texts;
  readonly options: readonly { readonly value: string; readonly label: Texts }[];
}

export interface FormVersion {
  readonly sha256: Hex;
  readonly number: number | null;
  readonly published_on: string | null;
  readonly published_by: string | null;
}

export interface FormsAnswer {
  readonly forms: {
    readonly [purpose: string]: {
      readonly sha256: Hex;
      readonly document: JsonObject;
      readonly draft: JsonObject | null;
      readonly versions: readonly FormVersion[];
      readonly required: readonly string[];
      readonly kept: readonly string[];
    };
  };
  readonly people: { readonly [id: string]: string };
  readonly questions: readonly AskableQuestion[];
  readonly own_types: readonly string[];
}

/** What a drafter answers for: reasons why something may stand, and that the consent was read. */
export interface Clearances {
  readonly cleared: { readonly [field: string]: string };
  readonly reply_waiver: string | null;
  readonly consent: boolean;
}

/** The server said no, or could not be reached (`status` 0). `fields` has a sentence for each field concerned. */
export class ApiError extends Error {
  readonly status: number;
  readonly sentence: string;
  readonly fields: Readonly<Record<string, string>>;

  constructor(status: number, sentence: string, fields: Readonly<Record<string, string>> = {}) {
    super(`${status} ${sentence}`);
    this.name = "ApiError";
    this.status = status;
    this.sentence = sentence;
    this.fields = fields;
  }
}

/** What keys belong to, as the API's addresses name it. */
export type Kind = "alerts" | "cases";

const BASE = "/api/v1/desk";

/** Where a picture of a case is looked at before it is public, by who may read the case. */
export function pictureAt(id: Hex): (sha256: string) => string {
  return (sha256) => `${BASE}/cases/${id}/pictures/${encodeURIComponent(sha256)}`;
}

async function ask(method: string, path: string, body?: unknown): Promise<Response> {
  const file = body instanceof Blob;
  const kind = file ? "application/octet-stream" : "application/json";
  let response: Response;
  try {
    response = await fetch(BASE + path, {
      method,
      headers: body === undefined ? {} : { "content-type": kind },
      body: body === undefined ? null : file ? body : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
    });
  } catch {
    throw new ApiError(0, "");
  }
  if (response.ok) return response;
  const said = (await response.json().catch(() => ({}))) as { error?: string; fields?: Record<string, string> };
  throw new ApiError(response.status, said.error ?? "", said.fields ?? {});
}

async function json<T>(method: string, path: string, body?: unknown): Promise<T> {
  return (await (await ask(method, path, body)).json()) as T;
}

export const api = {
  salt: (name: string) => json<{ salt: string }>("GET", `/salt?name=${encodeURIComponent(name)}`),
  signIn: (name: string, auth: string) => json<SessionAnswer>("POST", "/session", { name, auth }),
  session: () => json<SessionAnswer>("GET", "/session"),
  signOut: () => ask("DELETE", "/session"),
  welcome: (token: string, name: string, enrolment: Enrolment) => json<Person>("POST", "/welcome", { token, name, ...enrolment }),
  recover: (name: string, proof: string) => json<{ recovery_vault: string }>("POST", "/recovery", { name, recovery_auth: proof }),
  reseal: (name: string, proof: string, sealed: { readonly salt: string; readonly auth: string; readonly vault: string }) =>
    ask("POST", "/recovery/passphrase", { name, recovery_auth: proof, ...sealed }),
  reset: (id: string) => json<{ link: string }>("POST", `/staff/${id}/reset`, {}),
  staff: () => json<StaffMember[]>("GET", "/staff"),
  invite: (roles: readonly string[]) => json<{ link: string }>("POST", "/staff", { roles }),
  closeAccount: (id: string) => ask("DELETE", `/staff/${id}`),
  give: (kind: Kind, id: Hex, wraps: readonly GivenWrap[]) => json<Access>("POST", `/${kind}/${id}/wraps`, { wraps }),
  askFor: (kind: Kind, id: Hex, compartment: Compartment, reason: string | null) =>
    json<Access>("POST", `/${kind}/${id}/requests`, { compartment, reason }),
  renew: (kind: Kind, id: Hex, key: NewKey) => json<Access>("POST", `/${kind}/${id}/keys`, key),
  grantIdentity: (request: string, days: number, wraps: readonly GivenWrap[]) =>
    json<Access>("POST", `/requests/${request}/grant`, { days, wraps }),
  refuseIdentity: (request: string, reason: string) => json<Access>("POST", `/requests/${request}/refuse`, { reason }),
  forms: () => json<FormsAnswer>("GET", "/forms"),
  saveForm: (purpose: string, document: unknown) => json<{ sha256: Hex }>("PUT", `/forms/${purpose}/draft`, { document }),
  dropForm: (purpose: string) => ask("DELETE", `/forms/${purpose}/draft`),
  publishForm: (purpose: string, sha256: Hex) => json<FormVersion>("POST", `/forms/${purpose}/publish`, { sha256 }),
  alerts: () => json<AlertLine[]>("GET", "/alerts"),
  alert: (id: Hex) => json<AlertAnswer>("GET", `/alerts/${id}`),
  attachment: async (id: Hex, upload: Hex) => (await ask("GET", `/alerts/${id}/attachments/${upload}`)).blob(),
  askSource: (id: Hex, message: NewObject) => json<unknown>("POST", `/alerts/${id}/messages`, message),
  block: (id: Hex, isBlocked: boolean) => json<unknown>("POST", `/alerts/${id}/${isBlocked ? "block" : "unblock"}`, {}),
  closeAlert: (id: Hex, reason: string) => json<unknown>("POST", `/alerts/${id}/close`, { reason }),
  openCase: (alert: Hex, wanted: NewCase) => json<CaseAnswer>("POST", `/alerts/${alert}/case`, wanted),
  cases: () => json<CaseLine[]>("GET", "/cases"),
  case: (id: Hex) => json<CaseAnswer>("GET", `/cases/${id}`),
  record: (id: Hex, type: string, record: NewObject) => json<CaseAnswer>("POST", `/cases/${id}/records`, { ...record, type }),
  propose: (id: Hex, standard: string) => json<CaseAnswer>("POST", `/cases/${id}/propose`, { standard }),
  confirm: (id: Hex) => json<CaseAnswer>("POST", `/cases/${id}/confirm`, {}),
  sendBack: (id: Hex, reason: string) => json<CaseAnswer>("POST", `/cases/${id}/return`, { reason }),
  draft: (id: Hex, fields: JsonObject) => json<CaseAnswer>("PUT", `/cases/${id}/draft`, { fields }),
  askAboutText: (id: Hex, question: NewObject & { readonly text_sha256: Hex }) => json<CaseAnswer>("POST", `/cases/${id}/consent`, question),
  submit: (id: Hex, clearances: Clearances) => json<CaseAnswer>("POST", `/cases/${id}/submit`, clearances),
  approve: (id: Hex, sha256: Hex | null) => json<CaseAnswer>("POST", `/cases/${id}/approve`, { sha256 }),
  reject: (id: Hex, reason: string) => json<CaseAnswer>("POST", `/cases/${id}/reject`, { reason }),
  addPicture: (id: Hex, file: Blob) => json<JsonObject>("POST", `/cases/${id}/pictures`, file),
  correct: (id: Hex, fields: JsonObject, note: string, clearances: Clearances) =>
    json<CaseAnswer>("POST", `/cases/${id}/correct`, { fields, note, ...clearances }),
  withdraw: (id: Hex, reason: string) => json<CaseAnswer>("POST", `/cases/${id}/withdraw`, { reason }),
};
