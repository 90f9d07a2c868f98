// Plays a D1 database that fails or is slow on command, in front of a real one (the binding STORE), and takes the
// commands of a test over HTTP: `{command, parameters}` as JSON.

import { WorkerEntrypoint } from "cloudflare:workers";

// Module state, because each call gets an entrypoint object of its own.
let faults = {};
let calls = [];

async function suffer(...statements) {
  calls.push(...statements);
  const { error, delayMs } = faults;
  if (delayMs) {
    await new Promise((resolve) => setTimeout(resolve, delayMs));
  }
  if (error) {
    throw new Error(error);
  }
}

export class FaultyDatabase extends WorkerEntrypoint {
  prepared({ sql, parameters }) {
    const statement = this.env.STORE.prepare(sql);
    return parameters.length ? statement.bind(...parameters) : statement;
  }

  async all(sql, parameters) {
    await suffer(sql);
    return (await this.prepared({ sql, parameters }).all()).results;
  }

  async batch(statements) {
    await suffer(...statements.map(({ sql }) => sql));
    await this.env.STORE.batch(statements.map((statement) => this.prepared(statement)));
  }
}

const commands = {
  query: async ({ sql }, store) => (await store.prepare(sql).all()).results,
  calls: () => calls,
  faults: (parameters) => {
    faults = parameters;
    calls = [];
  },
};

export default {
  async fetch(request, env) {
    const { command, parameters } = await request.json();
    const result = await commands[command](parameters, env.STORE);
    return Response.json(result ?? null);
  },
};
