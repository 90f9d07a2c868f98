// Runs Workers on one workerd process through miniflare, without wrangler's front proxy.
//
// The first line of its input is JSON that says what to run (see `DirectWorker` in direct_worker.py). Its output is
// lines of JSON: `{ready: {url, controlUrl, pid}}` once, and `{log}` for each line that workerd prints. It ends when
// its input ends.

import childProcess from "node:child_process";
import { once } from "node:events";
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
  const { kvBinding } = setup;
  const socket = (port) => ({ unsafeDirectSockets: [{ host: "127.0.0.1", port }] });
  // A service binding would be enough for a JavaScript Worker, but Pyodide calls methods through `apply`, which a
  // remote object takes for a remote method. A wrapped binding is a plain object.
  const kv = setup.faultyKv
    ? { wrappedBindings: { [kvBinding]: { scriptName: "binding" } } }
    : { kvNamespaces: { [kvBinding]: "namespace" } };
  const database = {
    real: { d1Databases: { [setup.databaseBinding]: "usage" } },
    faulty: { wrappedBindings: { [setup.databaseBinding]: { scriptName: "database-binding" } } },
    missing: {},
  }[setup.database];
  const wrapped = {
    ...kv.wrappedBindings,
    ...database.wrappedBindings,
  };
  const main = {
    name: "main",
    compatibilityDate: setup.compatibilityDate,
    compatibilityFlags: setup.compatibilityFlags,
    modules: setup.modules,
    modulesRoot: "/",
    bindings: setup.variables,
    ...kv,
    ...database,
    wrappedBindings: wrapped,
    ratelimits: Object.fromEntries(
      Object.entries(setup.rateLimits).map(([name, limit]) => [name, { simple: { limit, period: 60 } }]),
    ),
    ...socket(setup.port),
  };
  const binding = {
    name: "binding",
    ...scriptModule("kv_binding.mjs"),
    serviceBindings: { NAMESPACE: { name: "control", entrypoint: "FaultyNamespace" } },
  };
  const control = {
    name: "control",
    compatibilityDate: setup.compatibilityDate,
    ...scriptModule("faulty_kv.mjs"),
    kvNamespaces: { STORE: "namespace" },
    ...socket(0),
  };
  const databaseBinding = {
    name: "database-binding",
    ...scriptModule("database_binding.mjs"),
    serviceBindings: { DATABASE: { name: "database", entrypoint: "FaultyDatabase" } },
  };
  const databaseControl = {
    name: "database",
    compatibilityDate: setup.compatibilityDate,
    ...scriptModule("faulty_database.mjs"),
    d1Databases: { STORE: "usage" },
    ...socket(0),
  };
  return {
    host: "127.0.0.1",
    port: 0,
    cf: false,
    log,
    handleRuntimeStdio: relayLines,
    ...(setup.state === null ? {} : { kvPersist: setup.state, d1Persist: setup.state }),
    workers: [
      main,
      control,
      databaseControl,
      ...(setup.faultyKv ? [binding] : []),
      ...(setup.database === "faulty" ? [databaseBinding] : []),
    ],
  };
}

const input = createInterface({ input: process.stdin });
const [line] = await once(input, "line");
const setup = JSON.parse(line);
const { Miniflare, Log, LogLevel } = createRequire(setup.runtime)("miniflare");
const miniflare = new Miniflare(miniflareOptions(setup, new Log(LogLevel.NONE)));
await miniflare.ready;
const url = await miniflare.unsafeGetDirectURL("main");
const control = await miniflare.unsafeGetDirectURL("control");
const database = await miniflare.unsafeGetDirectURL("database");
say({ ready: { url: url.origin, controlUrl: control.origin, databaseUrl: database.origin, pid: workerdPid } });
await once(input, "close");
await miniflare.dispose();
