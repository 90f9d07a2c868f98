"""What the Worker's source must not do, because a runtime or a deployment breaks on it.

Each rule is a function from a parsed module to its findings; `check` runs them all. They judge by the text of
one module: what a helper does that is called at import, only tests/production sees.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

_RUNTIME_PACKAGES = {"js", "pyodide", "pyodide_js", "workers", "_pyodide", "_pyodide_core", "_cloudflare"}
_HEAVY_ANYWHERE = {"dataclasses", "email", "uuid", "secrets", "logging"}
_HEAVY_AT_IMPORT = {"datetime", "hashlib", "http", "inspect", "decimal", "urllib.request", "concurrent"}
_CONVERTERS = {"pyodide.ffi.to_js", "pyodide.ffi.create_proxy", "pyodide.ffi.create_once_callable"}
_JS_OBJECT = "qwen_worker.platform.interop.js_object"
_UNPREDICTABLE = {"random", "secrets", "uuid", "time"}
_UNPREDICTABLE_CALLS = {
    "os.urandom",
    "os.getrandom",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
}
_SHAREABLE_AWAITABLES = {
    f"asyncio.{name}"
    for name in (
        *("Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Barrier"),
        *("Queue", "PriorityQueue", "LifoQueue"),
    )
}
_ASYNCIO_TIMERS = {"asyncio.wait_for", "asyncio.timeout", "asyncio.timeout_at"}
_LOOP_TIMERS = {"call_later", "call_at"}
_NEWER_THAN_3_11 = {
    "annotationlib",
    "asyncio.QueueShutDown",
    "asyncio.eager_task_factory",
    "collections.abc.Buffer",
    "compression",
    "copy.replace",
    "itertools.batched",
    "string.templatelib",
    "typing.NoDefault",
    "typing.ReadOnly",
    "typing.TypeAliasType",
    "typing.TypeIs",
    "typing.get_protocol_members",
    "typing.is_protocol",
    "typing.override",
    "warnings.deprecated",
}
OLDEST_PYTHON = (3, 11)


class Finding(NamedTuple):
    """A broken rule: its name, the line, and the words of the source."""

    rule: str
    line: int
    source: str


class Module(NamedTuple):
    """A parsed module. `is_platform`: it lives in the one package that may touch the runtime."""

    tree: ast.Module
    names: dict[str, str]
    is_platform: bool

    def origin(self, node: ast.expr) -> str:
        """The dotted name that an expression means, imports resolved; "" if it is no name."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            owner = self.origin(node.value)
            return f"{owner}.{node.attr}" if owner else ""
        return ""


def check(source: str, *, is_platform: bool = False) -> list[Finding]:
    """All findings in one module's source."""
    try:
        tree = ast.parse(source, feature_version=OLDEST_PYTHON)
    except SyntaxError as error:
        return [Finding("newer-python", error.lineno or 0, error.text or "")]
    module = Module(tree, dict(_imported_names(tree)), is_platform)
    return [
        Finding(rule, node.lineno, ast.unparse(node)) for rule, find in RULES.items() for node in find(module)
    ]


def check_folder(folder: Path) -> list[str]:
    """All findings in a folder of sources, as lines for a person to read."""
    return [
        f"{file.relative_to(folder)}:{finding.line}: {finding.rule}: {finding.source}"
        for file in sorted(folder.rglob("*.py"))
        for finding in check(file.read_text("utf-8"), is_platform=file.parent.name == "platform")
    ]


Located = ast.expr | ast.stmt


def runtime_imported_outside_platform(module: Module) -> Iterator[Located]:
    """The core runs on plain CPython: only platform/ may import js, pyodide or workers."""
    if not module.is_platform:
        for node, name in _imports(module.tree):
            if name.split(".")[0] in _RUNTIME_PACKAGES:
                yield node


def live_object_at_import(module: Module) -> Iterator[Located]:
    """A JavaScript object made at import cannot be in a deployment's memory snapshot."""
    for call in _calls_at_import(module.tree):
        name = module.origin(call.func)
        if (
            name.split(".")[0] == "js"
            or name in (*_CONVERTERS, _JS_OBJECT)
            or (isinstance(call.func, ast.Attribute) and call.func.attr == "new")
        ):
            yield call


def unpredictable_at_import(module: Module) -> Iterator[Located]:
    """Entropy is refused at import, and the clock stands at zero there, or at the time of the deployment."""
    for call in _calls_at_import(module.tree):
        name = module.origin(call.func)
        if name.split(".")[0] in _UNPREDICTABLE or name in _UNPREDICTABLE_CALLS:
            yield call


def dict_given_to_javascript(module: Module) -> Iterator[Located]:
    """A bare dict as an argument is ignored by one runtime and kills another: js_object converts it."""
    if not module.is_platform:
        return
    for function in (module.tree, *_functions(module.tree)):
        dicts = {
            target.id
            for node in _own_nodes(function)
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and _is_dict(node.value)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
        for node in _own_nodes(function):
            if isinstance(node, ast.Call) and not _converts_dicts(module, node):
                arguments = (*node.args, *(keyword.value for keyword in node.keywords))
                if any(_is_dict(a) or (isinstance(a, ast.Name) and a.id in dicts) for a in arguments):
                    yield node


def shareable_awaitable(module: Module) -> Iterator[Located]:
    """What one request creates and another awaits kills the second one; plain data does not.

    A future is allowed as a local variable, where no other request finds it.
    """
    for node in ast.walk(module.tree):
        if (isinstance(node, ast.Call) and module.origin(node.func) in _SHAREABLE_AWAITABLES) or (
            isinstance(node, ast.Assign)
            and _makes_future(module, node.value)
            and any(not isinstance(target, ast.Name) for target in node.targets)
        ):
            yield node
    for call in _calls_at_import(module.tree):
        name = module.origin(call.func)
        if name.startswith("asyncio.") and name not in _SHAREABLE_AWAITABLES:
            yield call


def asyncio_timer(module: Module) -> Iterator[Located]:
    """Pyodide's asyncio timers are never cleared; the platform's clock waits with the runtime's own."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        name = module.origin(node.func)
        if (
            name in _ASYNCIO_TIMERS
            or (name == "asyncio.sleep" and not _is_zero(node.args))
            or (name == "asyncio.wait" and any(keyword.arg == "timeout" for keyword in node.keywords))
            or _is_loop_timer(node.func)
        ):
            yield node


def heavy_import(module: Module) -> Iterator[Located]:
    """These modules cost many milliseconds of each start in WASM."""
    for node, name in _imports(module.tree):
        if _is_within(name, _HEAVY_ANYWHERE):
            yield node
    at_import = set(_nodes_at_import(module.tree)) - set(_fallbacks(module.tree))
    for node, name in _imports(module.tree):
        if node in at_import and _is_within(name, _HEAVY_AT_IMPORT):
            yield node


def newer_python(module: Module) -> Iterator[Located]:
    """The core runs on Python 3.11 too: nothing that a later standard library added."""
    for node, name in _imports(module.tree):
        if _is_within(name, _NEWER_THAN_3_11):
            yield node
    for expression in ast.walk(module.tree):
        if isinstance(expression, ast.Attribute) and module.origin(expression) in _NEWER_THAN_3_11:
            yield expression


RULES: dict[str, Callable[[Module], Iterator[Located]]] = {
    "runtime-outside-platform": runtime_imported_outside_platform,
    "live-object-at-import": live_object_at_import,
    "unpredictable-at-import": unpredictable_at_import,
    "dict-to-javascript": dict_given_to_javascript,
    "shareable-awaitable": shareable_awaitable,
    "asyncio-timer": asyncio_timer,
    "heavy-import": heavy_import,
    "newer-python": newer_python,
}

_FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def _imports(tree: ast.Module) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    """Every import with each full name that it imports: `from a import b` gives "a.b"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield node, f"{node.module}.{alias.name}"


def _imported_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What each name that an import binds stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _is_within(name: str, modules: set[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def _calls_at_import(tree: ast.Module) -> Iterator[ast.Call]:
    return (node for node in _nodes_at_import(tree) if isinstance(node, ast.Call))


def _nodes_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when the module is imported: everything but the bodies of functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(child, _FunctionNode):
            yield from _nodes_at_definition(child)
        else:
            yield child
            yield from _nodes_at_import(child)


def _nodes_at_definition(function: _FunctionNode) -> Iterator[ast.AST]:
    """What runs when a function is defined: its decorators and defaults."""
    decorators = [] if isinstance(function, ast.Lambda) else function.decorator_list
    defaults = [default for default in function.args.kw_defaults if default]
    for expression in (*decorators, *function.args.defaults, *defaults):
        yield expression
        yield from _nodes_at_import(expression)


def _functions(tree: ast.Module) -> Iterator[_FunctionNode]:
    return (node for node in ast.walk(tree) if isinstance(node, _FunctionNode))


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope without those of the functions in it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, _FunctionNode):
            yield child
            yield from _own_nodes(child)


def _is_dict(node: ast.expr) -> bool:
    if isinstance(node, ast.IfExp):
        return _is_dict(node.body) or _is_dict(node.orelse)
    return isinstance(node, ast.Dict | ast.DictComp) or (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict"
    )


def _converts_dicts(module: Module, call: ast.Call) -> bool:
    name = module.origin(call.func)
    if name == "pyodide.ffi.to_js":
        return any(keyword.arg == "dict_converter" for keyword in call.keywords)
    return name in (_JS_OBJECT, "dict", "len", "list", "sorted")


def _makes_future(module: Module, node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and (
        module.origin(node.func) == "asyncio.Future"
        or (isinstance(node.func, ast.Attribute) and node.func.attr == "create_future")
    )


def _is_loop_timer(function: ast.expr) -> bool:
    """Whether it is a timer of an event loop, and not of a Clock."""
    return (
        isinstance(function, ast.Attribute)
        and function.attr in _LOOP_TIMERS
        and not ast.unparse(function.value).endswith("clock")
    )


def _fallbacks(tree: ast.Module) -> Iterator[ast.AST]:
    """What runs only where an import fails."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type and ast.unparse(node.type) == "ImportError":
            yield from ast.walk(node)


def _is_zero(arguments: list[ast.expr]) -> bool:
    return bool(arguments) and isinstance(arguments[0], ast.Constant) and arguments[0].value == 0
