// Between Node's HTTP server and the Request and Response objects of the Worker.

import { createServer } from "node:http";
import { Readable } from "node:stream";

import { asRequest } from "./requests.mjs";

const HOST = "127.0.0.1";

/** Serves `answer(request)` on a free port of loopback; resolves to the port. */
export async function listen(answer) {
  const server = createServer((incoming, outgoing) => {
    asRequest((end) => {
      outgoing.on("close", () => outgoing.writableFinished || end());
      return serve(answer, incoming, outgoing);
    }).catch((error) => {
      console.error(`host: ${error?.stack ?? error}`);
      if (outgoing.headersSent) outgoing.destroy();
      else outgoing.writeHead(500).end("the Worker raised an error\n");
    });
  });
  await new Promise((resolve) => server.listen(0, HOST, resolve));
  return server.address().port;
}

async function serve(answer, incoming, outgoing) {
  const response = await answer(toRequest(incoming));
  outgoing.writeHead(response.status, [...response.headers].flat());
  if (response.body !== null) {
    for await (const chunk of response.body) {
      if (outgoing.destroyed) await new Promise(() => {});
      outgoing.write(chunk);
    }
  }
  outgoing.end();
}

function toRequest(incoming) {
  const { headers, method, url } = incoming;
  const hasBody = "content-length" in headers || "transfer-encoding" in headers;
  return new Request(`http://${headers.host}${url}`, {
    method,
    headers,
    ...(hasBody && method !== "GET" && method !== "HEAD"
      ? { body: Readable.toWeb(incoming), duplex: "half" }
      : {}),
  });
}
