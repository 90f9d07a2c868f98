// What workerd has among its globals and Node.js has not. Only what the Worker uses, and only what the web
// standards let us say honestly: see docs/production-runtime.md for what differs from workerd's own.

import { scheduler } from "node:timers/promises";

/** Puts the missing globals in place. */
export function install() {
  globalThis.scheduler = scheduler;
  globalThis.IdentityTransformStream = IdentityTransformStream;
  Promise.withResolvers ??= function withResolvers() {
    const parts = {};
    parts.promise = new this((resolve, reject) => Object.assign(parts, { resolve, reject }));
    return parts;
  };
  ReadableStreamBYOBReader.prototype.readAtLeast = function readAtLeast(minimum, view) {
    return this.read(view, { min: minimum });
  };
}

/** Bytes in, the same bytes out, without a queue: a write is done when its bytes have been asked for. */
class IdentityTransformStream {
  constructor() {
    let output;
    let demand = nextDemand();
    let writing;
    this.readable = new ReadableStream(
      {
        type: "bytes",
        start(controller) {
          output = controller;
        },
        pull() {
          demand.resolve();
        },
        cancel(reason) {
          demand.reject(reason);
          writing.error(reason);
        },
      },
      { highWaterMark: 0 },
    );
    this.writable = new WritableStream({
      start(controller) {
        writing = controller;
      },
      async write(chunk) {
        if (!(chunk instanceof ArrayBuffer) && !ArrayBuffer.isView(chunk)) {
          throw new TypeError("an IdentityTransformStream takes bytes only");
        }
        await demand.promise;
        demand = nextDemand();
        output.enqueue(bytesOf(chunk));
      },
      close() {
        output.close();
        output.byobRequest?.respond(0);
      },
      abort(reason) {
        output.error(reason);
      },
    });
  }
}

function nextDemand() {
  const demand = Promise.withResolvers();
  demand.promise.catch(() => {}); // A reader that goes away while nobody writes is no error.
  return demand;
}

/** A copy: enqueuing detaches the buffer that it is given. */
function bytesOf(chunk) {
  const view = chunk instanceof ArrayBuffer ? new Uint8Array(chunk) : chunk;
  return new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}
