"""What the Worker's source must not do, because a runtime or a deployment breaks on it.

Each rule is a function from a parsed module to the places that break it; `check` runs them all. They see the
text of one module: what a helper does that is called at import, only tests/production sees. pyproject.toml
lists the modules and names that ruff and import-linter ban everywhere.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

_CONVERTERS = {"pyodide.ffi.to_js", "pyodide.ffi.create_proxy", "pyodide.ffi.create_once_callable"}
_JS_OBJECT = "qwen_worker.platform.interop.js_object"
_OPTIONS = ("qwen_worker.platform.options.fetch_options", "qwen_worker.platform.options.response_options")
_UNPREDICTABLE = {"random", "secrets", "uuid", "time"}
_UNPREDICTABLE_CALLS = {
    "os.urandom",
    "os.getrandom",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
}
_LOOP_TIMERS = {"call_later", "call_at"}


class Violation(NamedTuple):
    """A broken rule: its name, the line, and the words of the source."""

    rule: str
    line: int
    source: str


class Module(NamedTuple):
    """A parsed module. `is_platform`: it is in the one package that may touch the runtime."""

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


def check(source: str, *, is_platform: bool = False) -> list[Violation]:
    """What in one module's source breaks a rule."""
    tree = ast.parse(source)
    module = Module(tree, dict(_imported_names(tree)), is_platform)
    return [
        Violation(rule, node.lineno, ast.unparse(node))
        for rule, violations in RULES.items()
        for node in violations(module)
    ]


def check_folder(folder: Path) -> list[str]:
    """What in a folder of sources breaks a rule, as lines for a person to read."""
    return [
        f"{file.relative_to(folder)}:{violation.line}: {violation.rule}: {violation.source}"
        for file in sorted(folder.rglob("*.py"))
        for violation in check(file.read_text("utf-8"), is_platform=file.parent.name == "platform")
    ]


Located = ast.expr | ast.stmt


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


def kept_future(module: Module) -> Iterator[Located]:
    """Workers kills a request that awaits another one's future, so a future stays in a local variable."""
    for node in ast.walk(module.tree):
        if (
            isinstance(node, ast.Assign)
            and _makes_future(module, node.value)
            and any(not isinstance(target, ast.Name) for target in node.targets)
        ):
            yield node


def event_loop_timer(module: Module) -> Iterator[Located]:
    """Pyodide never clears its event loop's timers; the platform's clock waits with the runtime's own."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        name = module.origin(node.func)
        if (
            (name == "asyncio.sleep" and not _is_zero(node.args))
            or (name == "asyncio.wait" and any(keyword.arg == "timeout" for keyword in node.keywords))
            or _is_loop_timer(node.func)
        ):
            yield node


RULES: dict[str, Callable[[Module], Iterator[Located]]] = {
    "live-object-at-import": live_object_at_import,
    "unpredictable-at-import": unpredictable_at_import,
    "dict-to-javascript": dict_given_to_javascript,
    "kept-future": kept_future,
    "event-loop-timer": event_loop_timer,
}

_FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def _imported_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What each name that an import binds stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


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
    return name in (_JS_OBJECT, *_OPTIONS, "dict", "len", "list", "sorted")


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


def _is_zero(arguments: list[ast.expr]) -> bool:
    return bool(arguments) and isinstance(arguments[0], ast.Constant) and arguments[0].value == 0
