// A Python Worker on a Pyodide from npm, started as production starts it: import everything, take a memory
// snapshot at once, and serve from the restored snapshot.

const SOURCE = "/session/metadata";
const MODULES = "/session/python_modules";
const HOST = "/session/host";

// What the compatibility flag disable_python_no_global_handlers makes workerd call.
const HANDLERS = { fetch: "on_fetch", scheduled: "on_scheduled" };

// Production has them as compatibility flags; a compatibility date of today switches both on.
const COMPATIBILITY_FLAGS = {
  python_workflows_implicit_dependencies: true,
  python_request_headers_preserve_commas: true,
};

const ENTRYPOINT_HELPER = {
  cloudflareWorkersModule: {},
  cloudflareSocketsModule: {},
  async doAnImport(name) {
    throw new Error(`no JavaScript module ${name} here`);
  },
};

/** Imports the Worker and returns its memory. Rejects with workerd's complaint for a live JavaScript object. */
export async function takeSnapshot(options) {
  const pyodide = await load(options, { _makeSnapshot: true });
  importWorker(pyodide);
  return pyodide.makeMemorySnapshot({ serializer: serialize });
}

/** The Worker, ready to be sent events. */
export async function start(options, snapshot) {
  const pyodide = await load(
    options,
    snapshot ? { _loadSnapshot: snapshot, _snapshotDeserializer: deserialize } : {},
  );
  const entry = importWorker(pyodide);
  return {
    python: pyodide.runPython("import sys; sys.version.split()[0]"),
    pyodide: pyodide.version,
    async send(event, ...given) {
      return await entry[HANDLERS[event]].callRelaxed(...given);
    },
    run: (code) => pyodide.runPython(code),
  };
}

async function load({ pyodide: name, source, modules }, settings) {
  const { loadPyodide } = await import(`${name}/pyodide.mjs`);
  const pyodide = await loadPyodide({ env: { PYTHONDONTWRITEBYTECODE: "1" }, ...settings });
  pyodide.registerJsModule("_pyodide_entrypoint_helper", ENTRYPOINT_HELPER);
  pyodide.registerJsModule("_cloudflare_compat_flags", COMPATIBILITY_FLAGS);
  for (const [path, folder] of [
    [SOURCE, source],
    [MODULES, modules],
    [HOST, import.meta.dirname],
  ]) {
    pyodide.FS.mkdirTree(path);
    pyodide.mountNodeFS(path, folder);
  }
  return pyodide;
}

function importWorker(pyodide) {
  return pyodide.runPython(`
import importlib, pkgutil, site, sys
sys.path[:0] = [path for path in ("${SOURCE}", "${HOST}") if path not in sys.path]
site.addsitedir("${MODULES}")
from startup import import_rules
import workers # workerd's own glue does, whatever the Worker needs
with import_rules():
    import entry
    for module in pkgutil.walk_packages(["${SOURCE}"]):
        importlib.import_module(module.name)
entry
`);
}

// The rule of workerd: besides what can be found again from the global object, which Pyodide sees to by
// itself, these two objects may be in a snapshot, and nothing else.
function serialize(object) {
  if (object === ENTRYPOINT_HELPER) return "entrypoint helper";
  if (object === COMPATIBILITY_FLAGS) return "compatibility flags";
  throw new Error(`Can't serialize top-level variable: ${object?.constructor?.name ?? typeof object}: ${object}`);
}

function deserialize(name) {
  return name === "entrypoint helper" ? ENTRYPOINT_HELPER : COMPATIBILITY_FLAGS;
}
