// The objects that workerd hands to a Worker: a KV namespace and an execution context.

/** A KV namespace in memory. The SDK knows the binding by this class name. */
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

const patched = new WeakSet();

/** As workerd does it when the SDK asks: a Python awaitable is kept alive until it is done. */
export function patchWaitUntil(ctx) {
  if (Object.prototype.toString.call(ctx) !== "[object ExecutionContext]" || patched.has(ctx)) return;
  patched.add(ctx);
  const waitUntil = ctx.waitUntil.bind(ctx);
  ctx.waitUntil = (awaitable) => waitUntil(untilDone(awaitable));
}

async function untilDone(awaitable) {
  const own = "copy" in awaitable ? awaitable.copy() : awaitable;
  try {
    await own;
  } finally {
    if ("destroy" in own) own.destroy();
  }
}

function describe(value) {
  return value?.constructor?.name ?? String(value);
}
