// A peer for the tests: `node main.mjs [--port N] [--knock rfc9421|cavage]`. Prints {"origin","actor"} when it listens.
//
//   GET  /control/received   what came to its inboxes, in order, with what Fedify's verification says of each
//   GET  /control/state      followers, who accepted or rejected its follows, likes it got
//   POST /control/do         {"deed": "follow"|"unfollow"|"note"|"like"|"announce", …} → what was sent
//   POST /control/check      {"url"} → fetches a document and verifies its proof
import { parseArgs } from "node:util";
import { deeds, makeActor, NAME } from "./actor.mjs";
import { listen } from "./server.mjs";
import { proofOf, witness } from "./witness.mjs";

const { values } = parseArgs({
  options: { port: { type: "string", default: "0" }, knock: { type: "string", default: "rfc9421" } },
});
const { federation, state } = await makeActor({
  firstKnock: values.knock === "cavage" ? "draft-cavage-http-signatures-12" : "rfc9421",
});
const received = [];

const origin = await listen(Number(values.port), async (request) => {
  const { pathname } = new URL(request.url);
  const context = federation.createContext(new URL(request.url), undefined);
  if (pathname.startsWith("/control/")) return control(pathname.slice("/control/".length), request, context);
  if (request.method !== "POST") return federation.fetch(request, { contextData: undefined });
  const seen = await witness(request, context);
  const response = await federation.fetch(request, { contextData: undefined });
  received.push({ path: pathname, status: response.status, ...seen });
  return response;
});

async function control(verb, request, context) {
  switch (verb) {
    case "received":
      return Response.json(received);
    case "state":
      return Response.json({
        followers: [...state.followers.keys()],
        accepted: state.accepted,
        rejected: state.rejected,
        liked: state.liked,
      });
    case "do": {
      const { deed, ...what } = await request.json();
      try {
        const sent = await deeds[deed](context, state, what);
        return Response.json({ ok: true, sent: await sent.toJsonLd(context) });
      } catch (error) {
        return Response.json({ ok: false, error: `${error}` });
      }
    }
    case "check": {
      const { url } = await request.json();
      const { document } = await context.documentLoader(url);
      return Response.json({ document, proof: await proofOf(document, context) });
    }
    default:
      return new Response("no such verb", { status: 404 });
  }
}

console.log(JSON.stringify({ origin, actor: `${origin}/users/${NAME}` }));
// Whoever started it holds its standard input: when that closes, the test is over.
process.stdin.resume().on("end", () => process.exit(0));
