// Plays a KV namespace that fails, is slow or is stale on command, in front of a real one (the binding STORE), and
// takes the commands of a test over HTTP: `{command, parameters}` as JSON.

import { WorkerEntrypoint } from "cloudflare:workers";

// Module state, because each call gets an entrypoint object of its own. Each field is described in `KvFaults`
// (direct_worker.py).
let faults = {};
let operations = [];
// What reads of a key still see although it has been written since staleness was switched on.
let stale = new Map();

async function suffer(operation) {
  const { errors = {}, delaysMs = {} } = faults;
  if (delaysMs[operation]) {
    await new Promise((resolve) => setTimeout(resolve, delaysMs[operation]));
  }
  const error = errors[operation];
  if (error && error.times !== 0) {
    error.times -= 1;
    throw new Error(error.message);
  }
}

export class FaultyNamespace extends WorkerEntrypoint {
  async get(key, options) {
    operations.push({ operation: "get", key });
    await suffer("get");
    return stale.has(key) ? stale.get(key) : this.env.STORE.get(key, options);
  }

  async put(key, value, options) {
    operations.push({ operation: "put", key });
    await suffer("put");
    if (faults.stale && !stale.has(key)) {
      stale.set(key, await this.env.STORE.get(key));
    }
    return this.env.STORE.put(key, value, options);
  }

  async delete(key) {
    operations.push({ operation: "delete", key });
    await suffer("delete");
    return this.env.STORE.delete(key);
  }
}

// What a test may do to the namespace itself, faults aside, and how it sets the faults.
const commands = {
  get: ({ key }, store) => store.get(key),
  put: ({ key, value }, store) => store.put(key, value),
  delete: ({ key }, store) => store.delete(key),
  keys: async (_, store) => (await store.list()).keys.map(({ name }) => name),
  operations: () => operations,
  faults: (parameters) => {
    faults = parameters;
    operations = [];
    stale = new Map();
  },
};

export default {
  async fetch(request, env) {
    const { command, parameters } = await request.json();
    const result = await commands[command](parameters, env.STORE);
    return Response.json(result ?? null);
  },
};
