#!/usr/bin/env python3
"""Plants a breach of every rule of tools/lint, and checks that it is seen and that the same without it is not."""
import importlib.machinery
import importlib.util
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def load():
    loader = importlib.machinery.SourceFileLoader("lint", str(ROOT / "tools/lint"))
    sys.dont_write_bytecode = True
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("lint", loader))
    loader.exec_module(module)
    return module


lint = load()
HEADER = "// What it is.\n#pragma once\n"

# name, a tree with a breach, what must be said about it, the same tree without
PLANTED = [
    ("arrow", {"base/x.cc": '#include "storage/log.h"\n'}, "base/ may not include storage/", {"base/x.cc": '#include "base/log.h"\n'}),
    ("arrow of the network", {"broker/net/x.cc": '#include "broker/node.h"\n'}, "broker/net/ may not include broker/",
     {"broker/x.cc": '#include "broker/net/server.h"\n'}),
    ("quarantine", {"broker/x.cc": "#include <boost/asio/ip/tcp.hpp>\n"}, "may only be included in broker/net/",
     {"broker/net/x.cc": "#include <boost/asio/ip/tcp.hpp>\n"}),
    ("clock", {"storage/x.cc": "auto t = std::chrono::steady_clock::now();\n"}, "reaches the machine directly",
     {"storage/x.cc": "// std::chrono::steady_clock::now() may not be called\n"}),
    ("thread", {"broker/x.cc": "std::thread t;\n"}, "reaches the machine directly", {"broker/net/x.cc": "std::thread t;\n"}),
    ("pragma", {"base/x.h": "// What it is.\n"}, "without #pragma once", {"base/x.h": HEADER}),
    ("comment", {"base/x.h": "#pragma once\n// Too late.\n"}, "begins with a comment", {"base/x.h": HEADER}),
    ("length", {"base/x.cc": "\n" * 601}, "601 lines", {"base/x.cc": "\n" * 600}),
    ("length of a script", {"tools/x": "\n" * 601}, "601 lines", {"tools/x": "\n" * 600}),
    ("long README", {"base/README.md": "line\n" * 16}, "16 lines", {"base/README.md": "line\n\n" * 15}),
    ("missing README", {"storage/x.cc": "", "base/README.md": ""}, "storage/README.md: is missing", {"storage/README.md": ""}),
]


def breaches(files):
    """Without what the tree lacks elsewhere: each planted tree is about one rule."""
    wanted = {f"{folder}/README.md": "" for folder in lint.README_WANTED}
    return list(lint.lint_tree({**wanted, **files}))


def planted(name, bad, said, good):
    found = list(lint.lint_tree(bad)) if name == "missing README" else breaches(bad)
    assert len(found) == 1 and said in found[0], f"{name}: {found}"
    assert not breaches(good), f"{name}: {breaches(good)}"


def formatting():
    """In a repository of its own: only changed lines are looked at, and --fix changes no others."""
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        lint.ROOT = root

        def git(*arguments):
            subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments], cwd=root, check=True,
                           stdout=subprocess.DEVNULL)

        git("init", "-q")
        (root / ".clang-format").write_text((ROOT / ".clang-format").read_text())
        (root / "x.cc").write_text("int   old;\nint b;\n")
        git("add", "-A")
        git("commit", "-qm", "as it was")
        (root / "x.cc").write_text("int   old;\nint b;\nint c;\n")
        assert not list(lint.lint_format())
        (root / "x.cc").write_text("int   old;\nint b;\nint   c;\n")
        git("add", "-A")
        git("commit", "-qm", "a breach")
        assert len(list(lint.lint_format())) == 1, list(lint.lint_format())
        lint.clang_format("--force")
        assert (root / "x.cc").read_text() == "int   old;\nint b;\nint c;\n", (root / "x.cc").read_text()
        assert not list(lint.lint_format())


def main():
    failed = 0
    checks = [(name, planted, (name, *rest)) for name, *rest in PLANTED] + [("formatting", formatting, ())]
    for name, check, arguments in checks:
        try:
            check(*arguments)
        except Exception as error:  # a failed check must not keep the others from running
            failed += 1
            print(f"FAILED: lint sees {name}: {error!r}")
    print(f"{len(checks) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
