// Runs the Worker on a Pyodide from npm, for tests/production.
//
//   node main.mjs '{"pyodide": "pyodide-314", "source": DIR, "modules": DIR, "variables": {...}}'
//
// Prints one line of JSON: {"error": ...} if the Worker cannot be started as production starts it, otherwise the
// versions and two ports of loopback: of the Worker, and of the test's control over it. Ends with its standard
// input.

import { ExecutionContext, KvNamespace, ScheduledController } from "./bindings.mjs";
import { listen } from "./http_server.mjs";
import { start, takeSnapshot } from "./python_worker.mjs";
import { followTimers } from "./requests.mjs";
import { install } from "./workerd_globals.mjs";

const options = JSON.parse(process.argv[2]);
const kv = new KvNamespace();
let env = { ...options.variables, ...(options.kv ? { QWEN_KV: kv } : {}) };
const background = [];
const unhandled = [];

process.stdin.resume().on("end", () => process.exit(0));
process.on("unhandledRejection", (error) => unhandled.push(String(error?.stack ?? error)));
install();
followTimers();

let worker;
try {
  worker = await start(options, await takeSnapshot(options));
} catch (error) {
  console.log(JSON.stringify({ error: String(error?.message ?? error) }));
  process.exit(1);
}

const port = await listen((request) => worker.send("fetch", request, env, new ExecutionContext(background)));
const control = await listen(async (request) => Response.json(await command(await request.json())));
console.log(JSON.stringify({ port, control, python: worker.python, pyodide: worker.pyodide }));

async function command({ name, ...given }) {
  switch (name) {
    case "scheduled":
      await worker.send("scheduled", new ScheduledController(), env, new ExecutionContext(background));
      return null;
    case "kv":
      return kv.contents;
    case "kv fail":
      return kv.failWith(given.message) ?? null;
    case "deploy":
      env = { ...env, ...given.variables };
      return null;
    case "background":
      return await Promise.all(background);
    case "unhandled":
      return unhandled;
    case "run":
      return worker.run(given.code) ?? null;
    default:
      throw new Error(`unknown command ${name}`);
  }
}
