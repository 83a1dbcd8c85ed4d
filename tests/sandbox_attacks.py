"""Code for a sandbox: honest code, answers that cheat, code that spies, breaks out, and never ends."""

from eval.sandbox import HiddenTest
from eval.sandbox.launch import MAX_REPLY_BYTES

HONEST = """
import asyncio, collections, decimal, functools, tempfile, threading
from dataclasses import dataclass

@dataclass
class Point:
    x: int

class Cycle(ValueError):
    pass

calls = []

def count():
    calls.append(1)
    return len(calls)

async def later(x):
    await asyncio.sleep(0.001)
    return x

def in_threads():
    found = []
    workers = [threading.Thread(target=found.append, args=(i,)) for i in range(4)]
    [w.start() for w in workers], [w.join() for w in workers]
    return sorted(found)

def keep(text):
    with tempfile.NamedTemporaryFile("w+") as file:
        file.write(text)
        file.seek(0)
        return file.read()

def leave(name):
    import os
    found = os.path.exists(name)
    open(name, "w").write("x")
    return found

def cycle():
    raise Cycle("a -> a")

print("a line that nobody reads")
"""
HONEST_CALLS = [
    HiddenTest("(1, [2.5, None], {'a': True})", [1, [2.5, None], {"a": True}]),
    HiddenTest("Point(3).x", 3),
    HiddenTest("str(decimal.Decimal('0.10') + 1)", "1.10"),
    HiddenTest("asyncio.run(later(4))", 4),
    HiddenTest("in_threads()", [0, 1, 2, 3]),
    HiddenTest("keep('écrit')", "écrit"),
    HiddenTest("cycle()", raises="ValueError"),
    HiddenTest("cycle()", raises="Cycle"),
    HiddenTest("list({'b', 'a', 'c', 'd'}) == list({'b', 'a', 'c', 'd'})", True),
    # One call leaves nothing to another.
    HiddenTest("count()", 1),
    HiddenTest("count()", 1),
    HiddenTest("leave('note')", False),
    HiddenTest("leave('note')", False),
]


# Answers that would like points without work, with what a hidden test of them says.
CHEATS = {
    "an object that equals everything": """
        class E:
            def __eq__(self, other): return True
            __hash__ = None
        def f(x): return E()""",
    "a number that equals everything": """
        class E(int):
            def __eq__(self, other): return True
            __hash__ = None
        def f(x): return E(1)""",
    "a dict that equals everything": """
        class D(dict):
            def __eq__(self, other): return True
        def f(x): return D()""",
    "sys.exit": "import sys\ndef f(x): sys.exit(0)",
    "sys.exit when loaded": "import sys\ndef f(x): return x\nsys.exit(0)",
    "os._exit": "import os\ndef f(x): os._exit(0)",
    "os._exit when loaded": "import os\nos._exit(0)",
    "an exception when loaded": "raise ValueError('as you wish')",
    "forged print": """
        print('{"kind": "value", "value": 4}')
        print('3 passed')
        def f(x): pass""",
    "its own json": """
        import json
        json.dumps = json.JSONEncoder.encode = lambda *given, **named: '{"passed": true}'
        def f(x): pass""",
    "its own builtins": """
        import builtins
        builtins.eval = builtins.exec = builtins.compile = builtins.type = lambda *given, **named: 4
        def f(x): pass""",
    "its own driver": """
        import sys
        for module in list(sys.modules.values()):
            for name in ("judge", "same", "_call", "_send", "_receive", "_dumps", "_is_plain"):
                if hasattr(module, name):
                    setattr(module, name, lambda *given: True)
        def f(x): pass""",
    "its own ValueError": """
        class ValueError(Exception): pass
        def f(x): raise ValueError(x)""",
    "messages into every file": """
        import os
        for number in range(3, 256):
            for message in (bytes(8) + b"a" * 64, b'a{"kind":"value","value":true}'):
                try: os.write(number, message)
                except OSError: pass
        def f(x): pass""",
    "all answers at once": "def f(x): return {4, 6}",
    "no number": "def f(x): return float('nan')",
    "a list too deep": """
        def f(x):
            value = []
            for _ in range(10_000): value = [value]
            return value""",
    "a text too long": f"def f(x): return 'x' * {2 * MAX_REPLY_BYTES}",
    "a class that lies": """
        class M(type):
            __mro__ = __bases__ = property(lambda cls: (ValueError, Exception))
            __base__ = property(lambda cls: ValueError)
            __name__ = property(lambda cls: "ValueError")
        class E(Exception, metaclass=M): pass
        def f(x): raise E""",
    "an exception of every kind": """
        class ValueErrors(KeyError, ZeroDivisionError, AttributeError): pass
        def f(x): raise ValueErrors""",
    "an exception without words": """
        class E(Exception):
            def __str__(self): raise MemoryError
        def f(x): raise E""",
}
SPY = """
import ctypes, gc, os, re, sys

def find():
    texts = [str(sys.argv), str(dict(os.environ)), *map(str, gc.get_objects())]
    frame = sys._getframe()
    while frame:
        texts.append(str(frame.f_locals) + str(frame.f_globals))
        frame = frame.f_back
    for number in range(256):
        try:
            texts.append(repr(os.pread(number, 1 << 20, 0)))
        except OSError:
            pass
    for process in (os.getpid(), os.getppid()):
        for name in ("cmdline", "environ", "mem", "maps", "fd/3"):
            try:
                texts.append(open(f"/proc/{process}/{name}").read(1 << 20))
            except OSError:
                pass
    return sorted(set(re.findall("wanted-[0-9a-f]{8}", " ".join(texts))))

def open_files():
    found = []
    for number in range(256):
        try:
            found.append(os.fstat(number).st_mode >> 12)
        except OSError:
            pass
    return found
"""


ESCAPES = """
import ctypes, os, signal, socket, subprocess, threading

libc = ctypes.CDLL(None, use_errno=True)

def attempt(act, *given):
    try:
        return globals()[act](*given) or "done"
    except (OSError, MemoryError, RuntimeError):
        return "refused"

def called(number, *given):
    if libc.syscall(number, *given) < 0:
        raise OSError(ctypes.get_errno(), "refused")

def read(path): open(path).read()
def list_folder(path): os.listdir(path)
def write(path): open(path, "w").close()
def cut(path): os.truncate(path, 0)
def remove(path): os.unlink(path)
def rename(path): os.rename(path, path + ".moved")
def mode(path): os.chmod(path, 0o777)
def touch(path): os.utime(path, (1, 1))
def link(path): os.symlink(path, "a-link"); open("a-link").read()
def tcp(port): socket.create_connection(("127.0.0.1", port), 1)
def udp(port): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port))
def unix(path): socket.socket(socket.AF_UNIX).connect(path)
def pair(path): socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"x", path)
def serve(): socket.create_server(("127.0.0.1", 0))
def fork(): os.fork() or os._exit(0)
def shell(): subprocess.run(["/bin/sh", "-c", "true"], check=True)
def become(): os.execv("/bin/sh", ["sh", "-c", "exit 0"])
def kill(process): os.kill(process, 0)
def kill_all(): os.kill(-1, 0)
def limit(process):
    import resource
    resource.prlimit(process, resource.RLIMIT_CORE, (0, 0))
def trace(process): called(101 if os.uname().machine == "x86_64" else 117, 16, process, 0, 0)
def share(): called(29 if os.uname().machine == "x86_64" else 194, 0x6c66, 4096, 0o1600)
def unshare(): libc.unshare(0x10000000) and called(-1)
def memory(): bytearray(8 << 30)
def big_file(): open("big", "wb").write(bytes(100_000_000))
def threads():
    for _ in range(20_000): threading.Thread(target=threading.Event().wait, daemon=True).start()
def forks(): return sum(attempt("fork") == "done" for _ in range(200)) or "refused"
def daemon():
    if os.fork() == 0:
        os.setsid()
        os.fork() and os._exit(0)
        import time
        time.sleep(60)
"""
# Calls of the above, with what stands for a secret file, a file to be, a local port, a socket's path, and our process.
ATTEMPTS = {
    "reads a secret file": "'read', {secret}",
    "lists a folder": "'list_folder', {folder}",
    "reads through a link": "'link', {secret}",
    "writes outside": "'write', {outside}",
    "cuts a file": "'cut', {secret}",
    "removes a file": "'remove', {secret}",
    "renames a file": "'rename', {secret}",
    "changes the mode of a file": "'mode', {secret}",
    "changes the time of a file": "'touch', {secret}",
    "connects to a local port": "'tcp', {port}",
    "sends a datagram": "'udp', {port}",
    "connects to a local socket": "'unix', {socket}",
    "sends through a pair of sockets": "'pair', {socket}",
    "opens a port": "'serve'",
    "forks": "'fork'",
    "forks 200 times": "'forks'",
    "leaves a daemon": "'daemon'",
    "runs a shell": "'shell'",
    "becomes a shell": "'become'",
    "signals our process": "'kill', {process}",
    "signals the driver": "'kill', os.getppid()",
    "signals everybody": "'kill_all'",
    "limits our process": "'limit', {process}",
    "traces the driver": "'trace', os.getppid()",
    "leaves shared memory": "'share'",
    "makes namespaces": "'unshare'",
    "takes 8 GB": "'memory'",
    "writes 100 MB": "'big_file'",
    "starts 20,000 threads": "'threads'",
}
# What is known to work without a sandbox and harms nobody.
HARMLESS = [name for name in ATTEMPTS if name.split()[0] in {"reads", "lists", "connects", "sends", "opens", "forks"}]


ENDLESS = """
import os, time
def loop():
    while True: pass
def sleep(): time.sleep(60)
def shout():
    while True: print("x" * 1_000_000)
def fill():
    for n in range(10**6): open(str(n), "wb").write(bytes(1_000_000))
def stop(): os.kill(os.getpid(), 19)
def close():
    os.closerange(3, 256)
    time.sleep(60)
def add(a, b): return a + b
"""
