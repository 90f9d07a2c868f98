// Plays a KV namespace that fails, is slow or is stale on command, in front of a real one (the binding STORE).

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

export default {
  async fetch(request) {
    if (new URL(request.url).pathname === "/faults") {
      faults = await request.json();
      operations = [];
      stale = new Map();
      return Response.json(null);
    }
    return Response.json(operations);
  },
};
