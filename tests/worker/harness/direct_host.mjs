// Runs Workers on one workerd process through miniflare, without wrangler's front proxy.
//
// Spoken to in lines of JSON. The first line in says what to run (see `DirectWorker` in direct_worker.py); the lines
// after it are commands `{id, command, parameters}`. Lines out: `{ready: {url, pid}}`, `{id, result}` or
// `{id, error}`, and `{log}` for each line that workerd prints. Ends when its input ends.

import childProcess from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

function say(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

let workerdPid;
const spawn = childProcess.spawn;
childProcess.spawn = (...parameters) => {
  const child = spawn(...parameters);
  workerdPid = child.pid;
  return child;
};

function relayLines(...streams) {
  for (const stream of streams) {
    createInterface({ input: stream }).on("line", (line) => say({ log: line }));
  }
}

function scriptModule(name) {
  const contents = readFileSync(new URL(name, import.meta.url), "utf8");
  return { modules: [{ type: "ESModule", path: `/${name}`, contents }], modulesRoot: "/" };
}

function miniflareOptions(setup, log) {
  const kv = Object.fromEntries(setup.kvNamespaces.map((binding) => [binding, binding]));
  // A service binding would be enough for a JavaScript Worker, but Pyodide calls methods through `apply`, which a
  // remote object takes for a remote method. A wrapped binding is a plain object.
  const faulty = Object.fromEntries(
    setup.kvNamespaces.map((binding) => [binding, { scriptName: `binding-${binding}` }]),
  );
  const main = {
    name: "main",
    compatibilityDate: setup.compatibilityDate,
    compatibilityFlags: setup.compatibilityFlags,
    modules: setup.modules,
    modulesRoot: "/",
    bindings: setup.variables,
    ...(setup.faultyKv ? { wrappedBindings: faulty } : { kvNamespaces: kv }),
    unsafeDirectSockets: [{ host: "127.0.0.1", port: setup.port }],
  };
  const faultyWorkers = (binding) => [
    {
      name: `binding-${binding}`,
      ...scriptModule("kv_binding.mjs"),
      serviceBindings: { NAMESPACE: { name: `faulty-${binding}`, entrypoint: "FaultyNamespace" } },
    },
    {
      name: `faulty-${binding}`,
      compatibilityDate: setup.compatibilityDate,
      ...scriptModule("faulty_kv.mjs"),
      kvNamespaces: { STORE: binding },
    },
  ];
  return {
    host: "127.0.0.1",
    port: 0,
    cf: false,
    log,
    handleRuntimeStdio: relayLines,
    ...(setup.state === null ? {} : { kvPersist: setup.state }),
    workers: [main, ...(setup.faultyKv ? setup.kvNamespaces.flatMap(faultyWorkers) : [])],
  };
}

function commands(miniflare, setup) {
  const namespace = (binding) =>
    setup.faultyKv
      ? miniflare.getKVNamespace("STORE", `faulty-${binding}`)
      : miniflare.getKVNamespace(binding, "main");
  const control = async (binding, path, body) => {
    const worker = await miniflare.getWorker(`faulty-${binding}`);
    const response = await worker.fetch(`http://control/${path}`, { method: "POST", body: JSON.stringify(body) });
    return response.json();
  };
  return {
    kvGet: async ({ binding, key }) => (await namespace(binding)).get(key),
    kvPut: async ({ binding, key, value }) => (await namespace(binding)).put(key, value),
    kvDelete: async ({ binding, key }) => (await namespace(binding)).delete(key),
    kvKeys: async ({ binding }) => (await (await namespace(binding)).list()).keys.map(({ name }) => name),
    kvFaults: async ({ binding, faults }) => control(binding, "faults", faults),
    kvOperations: async ({ binding }) => control(binding, "operations", null),
  };
}

async function answer(handlers, { id, command, parameters }) {
  try {
    say({ id, result: (await handlers[command](parameters)) ?? null });
  } catch (error) {
    say({ id, error: String(error?.stack ?? error) });
  }
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const setup = JSON.parse((await lines.next()).value);
const { Miniflare, Log, LogLevel } = createRequire(setup.runtime)("miniflare");
const miniflare = new Miniflare(miniflareOptions(setup, new Log(LogLevel.NONE)));
await miniflare.ready;
const url = await miniflare.unsafeGetDirectURL("main");
say({ ready: { url: url.origin, pid: workerdPid } });

const handlers = commands(miniflare, setup);
for await (const line of lines) {
  answer(handlers, JSON.parse(line));
}
await miniflare.dispose();
