// How a script in this folder talks to `run_node` (harness/node_client.py): one JSON value in, one out.

import { text } from "node:stream/consumers";

/** Calls `work` with the parameters that the test handed in and reports what it returns. */
export async function report(work) {
  const parameters = JSON.parse(await text(process.stdin));
  process.stdout.write(`${JSON.stringify(await work(parameters))}\n`);
}
