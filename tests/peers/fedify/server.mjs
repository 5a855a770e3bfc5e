// Node's http server in front of a function from web Request to web Response.
import { createServer } from "node:http";

/** Listens on a loopback port (0: any free one) and returns the origin. */
export async function listen(port, handle) {
  const server = createServer(async (incoming, outgoing) => {
    let response;
    try {
      response = await handle(await toRequest(incoming));
    } catch (error) {
      console.error(error);
      response = new Response(`${error}`, { status: 500 });
    }
    const body = Buffer.from(await response.arrayBuffer());
    outgoing.writeHead(response.status, { ...Object.fromEntries(response.headers), "content-length": body.length });
    outgoing.end(body);
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return `http://127.0.0.1:${server.address().port}`;
}

async function toRequest(incoming) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const headers = new Headers();
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
    headers.append(incoming.rawHeaders[i], incoming.rawHeaders[i + 1]);
  }
  const hasBody = !["GET", "HEAD"].includes(incoming.method);
  return new Request(`http://${incoming.headers.host}${incoming.url}`, {
    method: incoming.method,
    headers,
    body: hasBody ? Buffer.concat(chunks) : undefined,
  });
}
