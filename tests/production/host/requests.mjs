// What workerd does with a request whose client goes away: nothing of it runs any more. Its timers are
// cleared here and its body is read no further; that what it waits for never comes is up to the test.

import { AsyncLocalStorage } from "node:async_hooks";

const requests = new AsyncLocalStorage();
const clear = { setTimeout: clearTimeout, setInterval: clearInterval };

/** Notes whose timers are whose. */
export function followTimers() {
  for (const name of Object.keys(clear)) {
    const set = globalThis[name];
    globalThis[name] = (...given) => {
      const timer = set(...given);
      requests.getStore()?.timers.push(() => clear[name](timer));
      if (requests.getStore()?.hasEnded) clear[name](timer);
      return timer;
    };
  }
}

/** Calls `serve` as a request of its own; it is given a function that ends the request. */
export function asRequest(serve) {
  const request = { timers: [], hasEnded: false };
  const end = () => {
    request.hasEnded = true;
    for (const stop of request.timers.splice(0)) stop();
  };
  return requests.run(request, () => serve(end));
}
