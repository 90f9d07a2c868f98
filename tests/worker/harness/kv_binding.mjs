// Looks like a KV namespace to the Worker and hands each call to faulty_kv.mjs.

export default function (env) {
  return {
    get: (key, options) => env.NAMESPACE.get(key, options),
    put: (key, value, options) => env.NAMESPACE.put(key, value, options),
    delete: (key) => env.NAMESPACE.delete(key),
  };
}
