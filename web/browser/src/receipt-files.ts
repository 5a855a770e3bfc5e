/** Files with an answer: the same choice and the same look at hidden details as in the form. Fetched when a source adds the first. */

import { FileList } from "./intake-files.ts";
import { byId, goTo, show, text } from "./page.ts";
import type { Day, Mailbox, Manifest } from "./types.ts";
import { sendMessage } from "./mailbox.ts";
import { Refused } from "./refusal.ts";
import { Upload, sendUploads } from "./upload.ts";

interface To {
  readonly manifest: Manifest;
  readonly day: Day;
  /** Says how far it is. */
  readonly tell: (said: string) => void;
}

export class AnswerFiles {
  readonly #list: FileList;
  /** On their way, or waiting to go on after a broken connection; made anew when another choice is made. */
  #uploads: readonly Upload[] | null = null;

  constructor(complain: (sentence: string | null) => void) {
    this.#list = new FileList(byId("f-attachments", HTMLInputElement), byId("files", HTMLUListElement), complain, () => {
      this.#uploads = null;
    });
    show(byId("files-part", HTMLElement));
    goTo(byId("f-attachments", HTMLInputElement));
  }

  get count(): number {
    return this.#list.count;
  }

  /** Seals and sends the files, then the message that names them. Safe to call again after it failed. */
  async send(mailbox: Mailbox, words: string, to: To): Promise<Mailbox> {
    try {
      return await this.#send(mailbox, words, to);
    } catch (error) {
      // After a broken connection it goes on where it stopped; whatever else went wrong, it begins anew.
      if (!(error instanceof Refused) || !["unreachable", "full"].includes(error.reason)) this.#uploads = null;
      throw error;
    }
  }

  async #send(mailbox: Mailbox, words: string, to: To): Promise<Mailbox> {
    this.#uploads ??= (await this.#list.toSend()).map((file) => new Upload(file, mailbox.dialogue.recipient));
    const all = this.#uploads.length;
    await sendUploads(this.#uploads, mailbox.keys.node, {
      onProgress: ({ file }) => to.tell(file === null ? text("sealing") : text("sending-file", { n: file + 1, all })),
    });
    return sendMessage(mailbox, words, { ...to, uploads: this.#uploads });
  }

  forget(): void {
    this.#uploads = null;
    this.#list.forget();
  }
}
