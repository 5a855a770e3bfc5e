// One actor on Fedify, with followers, an outbox in memory and an inbox that verifies with Fedify's own code.
import {
  createFederation,
  generateCryptoKeyPair,
  MemoryKvStore,
} from "@fedify/fedify";
import {
  Accept,
  Announce,
  Create,
  Delete,
  Endpoints,
  Follow,
  Like,
  Note,
  Person,
  PUBLIC_COLLECTION,
  Reject,
  Undo,
  Update,
} from "@fedify/vocab";
import { Temporal } from "@js-temporal/polyfill";

export const NAME = "peer";

/** The federation, and what its actor knows: followers by id, answers to its follows, its own notes. */
export async function makeActor({ firstKnock }) {
  const state = { followers: new Map(), accepted: [], rejected: [], notes: new Map(), liked: [] };
  const pairs = [
    await generateCryptoKeyPair("RSASSA-PKCS1-v1_5"),
    await generateCryptoKeyPair("Ed25519"),
  ];
  const federation = createFederation({
    kv: new MemoryKvStore(), // and no queue: what is sent has been sent when the call returns
    allowPrivateAddress: true, // the servers it meets are on loopback
    firstKnock,
  });

  federation
    .setActorDispatcher("/users/{identifier}", async (context, identifier) => {
      if (identifier !== NAME) return null;
      const keys = await context.getActorKeyPairs(identifier);
      return new Person({
        id: context.getActorUri(identifier),
        preferredUsername: identifier,
        name: "A peer on Fedify (fictional)",
        inbox: context.getInboxUri(identifier),
        outbox: context.getOutboxUri(identifier),
        followers: context.getFollowersUri(identifier),
        endpoints: new Endpoints({ sharedInbox: context.getInboxUri() }),
        url: context.getActorUri(identifier),
        publicKey: keys[0].cryptographicKey,
        assertionMethods: keys.map((pair) => pair.multikey),
      });
    })
    .setKeyPairsDispatcher((_, identifier) => (identifier === NAME ? pairs : []));

  federation.setFollowersDispatcher("/users/{identifier}/followers", () => ({
    items: [...state.followers.values()],
  }));
  federation.setOutboxDispatcher("/users/{identifier}/outbox", () => ({ items: [] }));
  federation.setObjectDispatcher(Note, "/notes/{id}", (_, { id }) => state.notes.get(id) ?? null);

  federation
    .setInboxListeners("/users/{identifier}/inbox", "/inbox")
    .setSharedKeyDispatcher(() => ({ identifier: NAME }))
    .on(Follow, async (context, follow) => {
      const follower = await follow.getActor(context);
      state.followers.set(follower.id.href, {
        id: follower.id,
        inboxId: follower.inboxId,
        endpoints: { sharedInbox: follower.endpoints?.sharedInbox ?? null },
      });
      await context.sendActivity(
        { identifier: NAME },
        follower,
        new Accept({
          id: new URL(`#accept/${crypto.randomUUID()}`, context.getActorUri(NAME)),
          actor: context.getActorUri(NAME),
          object: follow,
        }),
      );
    })
    .on(Accept, (_, accept) => void state.accepted.push(accept.actorId.href))
    .on(Reject, (_, reject) => void state.rejected.push(reject.actorId.href))
    .on(Undo, (_, undo) => void state.followers.delete(undo.actorId.href))
    .on(Create, () => {})
    .on(Update, () => {})
    .on(Delete, () => {})
    .on(Announce, () => {})
    .on(Like, (_, like) => void state.liked.push(like.objectId.href))
    .onError((_, error) => console.error("inbox:", error));

  return { federation, state };
}

/** What the actor can be told to do: each takes the context, its state and what was asked; all return what was sent. */
export const deeds = {
  async follow(context, _, { actor }) {
    const them = await context.lookupObject(actor);
    const me = context.getActorUri(NAME);
    const follow = new Follow({ id: new URL(`#follow/${crypto.randomUUID()}`, me), actor: me, object: them.id });
    await context.sendActivity({ identifier: NAME }, them, follow);
    return follow;
  },

  async unfollow(context, _, { actor, follow }) {
    const them = await context.lookupObject(actor);
    const me = context.getActorUri(NAME);
    const undo = new Undo({
      id: new URL(`#undo/${crypto.randomUUID()}`, me),
      actor: me,
      object: new Follow({ id: new URL(follow), actor: me, object: them.id }),
    });
    await context.sendActivity({ identifier: NAME }, them, undo);
    return undo;
  },

  /** Publishes a note, to `actor` and the public, or to `followers: true`; `inReplyTo` makes it a reply. */
  async note(context, state, { actor, followers, content = "Hello (fictional).", inReplyTo }) {
    const id = crypto.randomUUID();
    const me = context.getActorUri(NAME);
    const published = Temporal.Now.instant();
    const note = new Note({
      id: context.getObjectUri(Note, { id }),
      attribution: me,
      to: PUBLIC_COLLECTION,
      cc: context.getFollowersUri(NAME),
      content,
      mediaType: "text/html",
      published,
      replyTarget: inReplyTo ? new URL(inReplyTo) : null,
    });
    state.notes.set(id, note);
    const create = new Create({
      id: new URL("#create", note.id),
      actor: me,
      to: PUBLIC_COLLECTION,
      cc: context.getFollowersUri(NAME),
      object: note,
      published,
    });
    const recipients = followers ? [...state.followers.values()] : await context.lookupObject(actor);
    await context.sendActivity({ identifier: NAME }, recipients, create, { preferSharedInbox: true });
    return create;
  },

  async like(context, _, { actor, object }) {
    return reaction(context, Like, "like", actor, object);
  },

  async announce(context, _, { actor, object }) {
    return reaction(context, Announce, "announce", actor, object);
  },
};

async function reaction(context, Kind, name, actor, object) {
  const me = context.getActorUri(NAME);
  const sent = new Kind({
    id: new URL(`#${name}/${crypto.randomUUID()}`, me),
    actor: me,
    object: new URL(object),
    to: PUBLIC_COLLECTION,
    cc: context.getFollowersUri(NAME),
    published: Temporal.Now.instant(),
  });
  await context.sendActivity({ identifier: NAME }, await context.lookupObject(actor), sent);
  return sent;
}
