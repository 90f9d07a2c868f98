// The objects that workerd hands to a Worker: a KV namespace and an execution context.

/** A KV namespace in memory. */
export class KvNamespace {
  #values = new Map();
  #failure = null;
  #writes = [];

  async get(key) {
    this.#check();
    return this.#values.get(String(key)) ?? null;
  }

  async put(key, value, options) {
    this.#check();
    if (typeof value !== "string") throw new TypeError(`put() was given ${describe(value)} for a string`);
    if (describe(options) !== "Object" && options !== undefined) {
      throw new TypeError(`put() was given ${describe(options)} for its options`);
    }
    this.#values.set(key, value);
    this.#writes.push({ key, options: { ...options } });
  }

  /** For the test: what is stored, what was written how, and a way to make every operation fail. */
  get contents() {
    return { values: Object.fromEntries(this.#values), writes: this.#writes };
  }

  failWith(message) {
    this.#failure = message;
  }

  #check() {
    if (this.#failure) throw new Error(this.#failure);
  }
}

/** What an event's handler may leave running. */
export class ExecutionContext {
  constructor(pending) {
    this.pending = pending;
  }

  get [Symbol.toStringTag]() {
    return "ExecutionContext";
  }

  waitUntil(promise) {
    this.pending.push(
      Promise.resolve(promise).then(
        () => "done",
        (error) => `failed: ${error}`,
      ),
    );
  }
}

/** The cron event's object. */
export class ScheduledController {
  cron = "*/15 * * * *";
  scheduledTime = Date.now();
  noRetry() {}
}

function describe(value) {
  return value?.constructor?.name ?? String(value);
}
