// The same actor for the benchmarks: nothing is recorded. Prints {"origin","actor"} when it listens.
//
//   POST /control/fanout   {"inboxes": [[id, inbox], …], "activities": n} → sends n Creates to all of them
import { Create, Article, PUBLIC_COLLECTION } from "@fedify/vocab";
import { Temporal } from "@js-temporal/polyfill";
import { makeActor, NAME } from "./actor.mjs";
import { listen } from "./server.mjs";

const { federation } = await makeActor({ firstKnock: "draft-cavage-http-signatures-12" });
const CONTENT = "Lorem ipsum " + "dolor sit amet ".repeat(265);

const origin = await listen(0, async (request) => {
  if (new URL(request.url).pathname !== "/control/fanout") {
    return federation.fetch(request, { contextData: undefined });
  }
  const { inboxes, activities } = await request.json();
  const recipients = inboxes.map(([id, inbox]) => ({
    id: new URL(id),
    inboxId: new URL(inbox),
    endpoints: null,
  }));
  const context = federation.createContext(new URL(request.url), undefined);
  const started = performance.now();
  for (let i = 0; i < activities; i++) {
    await context.sendActivity({ identifier: NAME }, recipients, create(context));
  }
  return Response.json({ seconds: (performance.now() - started) / 1000 });
});

function create(context) {
  const me = context.getActorUri(NAME);
  const id = new URL(`/articles/${crypto.randomUUID()}`, me);
  const addressed = {
    to: PUBLIC_COLLECTION,
    cc: context.getFollowersUri(NAME),
    published: Temporal.Now.instant(),
  };
  const object = new Article({ id, attribution: me, name: "A text to be measured (fictional)", content: CONTENT, ...addressed });
  return new Create({ id: new URL("#create", id), actor: me, object, ...addressed });
}

console.log(JSON.stringify({ origin, actor: `${origin}/users/${NAME}` }));
process.stdin.resume().on("end", () => process.exit(0));
