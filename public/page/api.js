// Asks the gateway, and says what went wrong as its clients would see it.

import { session } from "./session.js";

const CLASSES = {
  400: "BadRequestError",
  401: "AuthenticationError",
  403: "PermissionDeniedError",
  404: "NotFoundError",
  409: "ConflictError",
  422: "UnprocessableEntityError",
  429: "RateLimitError",
};

/** What the gateway answered in place of what was asked for. `status` 0: nothing at all. */
export class GatewayError extends Error {
  constructor(message, { status = 0, type, code, param, requestId, retryAfter } = {}) {
    super(message);
    Object.assign(this, { status, type, code, param, requestId, retryAfter });
  }

  /** The name of the exception that OpenAI's SDKs raise. */
  get sdkClass() {
    if (this.status === 0) return "APIConnectionError";
    if (this.status === 200) return "APIError";
    return CLASSES[this.status] ?? (this.status >= 500 ? "InternalServerError" : "APIStatusError");
  }
}

/** The error in an OpenAI envelope, of an answer with this status, or in the middle of a stream (200). */
export function errorOf(envelope, status, headers) {
  const told = envelope?.error ?? {};
  return new GatewayError(told.message ?? `The gateway answered with status ${status}.`, {
    status,
    type: told.type,
    code: told.code,
    param: told.param,
    requestId: headers.get("x-request-id"),
    retryAfter: headers.get("retry-after"),
  });
}

/**
 * The answer to a request with the person's key. Throws a GatewayError if it is none, or an AbortError if the
 * person has stopped it.
 */
export async function request(path, { method = "GET", body, accept = "application/json", signal } = {}) {
  const headers = { accept };
  if (session.key) headers.authorization = `Bearer ${session.key}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new GatewayError("The gateway cannot be reached.");
  }
  if (response.ok) return response;
  throw errorOf(await response.json().catch(() => undefined), response.status, response.headers);
}

/** The JSON that answers a request; nothing for an empty answer. Throws as `request` does. */
export async function json(path, options) {
  const response = await request(path, options);
  try {
    const text = await response.text();
    return text ? JSON.parse(text) : undefined;
  } catch {
    throw new GatewayError("The answer was cut off, or is no JSON.", {
      status: response.status,
      requestId: response.headers.get("x-request-id"),
    });
  }
}
