# Compiles what arrives on standard input; see bytecode.rs for the protocol.
import importlib.util, marshal, posix, struct, sys, warnings

warnings.simplefilter("ignore")
SPLIT = ("distutils", "lib2to3", "tkinter")
# Without a buffer: what comes after a batch is not for the process that compiles it.
stdin, stdout = sys.stdin.buffer.raw, sys.stdout.buffer


def imported(source):
    """Modules of SPLIT that the file imports whenever it is imported itself."""
    if not any(name.encode() in source for name in SPLIT):
        return ()
    import ast

    found = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return sorted(found.intersection(SPLIT))


def answer(name, source):
    try:
        code = compile(source, name, "exec", dont_inherit=True, optimize=-1)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        return b"E", str(error).encode("utf-8", "replace"), ()
    # PEP 552: flags 1 is hash-based and unchecked.
    head = importlib.util.MAGIC_NUMBER + struct.pack("<I", 1) + importlib.util.source_hash(source)
    return b"C", head + marshal.dumps(code), imported(source)


def read(count):
    parts = []
    while count:
        part = stdin.read(count)
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def serve():
    """Compiles the files of a batch, which ends with one that has no name."""
    while True:
        name_len, source_len = struct.unpack("<II", read(8))
        if name_len == 0:
            return
        name = read(name_len).decode()
        kind, body, modules = answer(name, read(source_len))
        modules = ",".join(modules).encode()
        stdout.write(kind + struct.pack("<II", len(body), len(modules)) + body + modules)
        stdout.flush()


# Nothing is ever compiled in this process: each batch begins in a copy of it as it is now.
while stdin.read(1):
    child = posix.fork()
    if child == 0:
        serve()
        posix._exit(0)
    if posix.waitpid(child, 0)[1] != 0:
        posix._exit(1)
