// The person's key, and what the gateway says of itself and of the key: state that all parts share.

const NAME = "qwen-worker-key";

function stored() {
  try {
    return sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME) ?? "";
  } catch {
    return "";
  }
}

class Session extends EventTarget {
  key = stored();
  /** What /health said last; undefined before the first answer, null if there was none. */
  health = undefined;
  /** When it said so, in milliseconds since 1970. */
  checkedAt = 0;

  get isRemembered() {
    try {
      return localStorage.getItem(NAME) !== null;
    } catch {
      return false;
    }
  }

  /** Whether the gateway accepts the key, or asks for none. */
  get isAccepted() {
    return Boolean(this.health?.client);
  }

  /** Whether anyone may use the gateway. */
  get isOpen() {
    return this.health?.client === "anyone";
  }

  get isAdmin() {
    return this.isAccepted && Array.isArray(this.health.clients);
  }

  /** Whether logins can be made: not without KV, where they are kept. */
  get canLogIn() {
    return this.isAdmin && this.health.logins !== false;
  }

  /** Keeps a key, or forgets it if it is empty. In this tab only, unless it is to be remembered. */
  use(key, remember = false) {
    this.key = key;
    try {
      sessionStorage.removeItem(NAME);
      localStorage.removeItem(NAME);
      if (key) (remember ? localStorage : sessionStorage).setItem(NAME, key);
    } catch {
      // The browser keeps nothing: the key lives as long as the page.
    }
  }

  /** Notes what /health said, and tells the parts. */
  heard(health) {
    this.health = health;
    this.checkedAt = Date.now();
    this.dispatchEvent(new Event("change"));
  }
}

export const session = new Session();
