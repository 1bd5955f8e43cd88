"""Prints the licenses and notices of what is linked into the program and was made by others: licenses.py LIST.

LIST is the list of crates in the program, `cargo metadata` (stdin) says where they are. Equal texts are printed once. Nothing printed
depends on where the files are on this machine.
"""

import html.parser
import json
import re
import subprocess
import sys
import zlib
from pathlib import Path

NAMES = re.compile(r"(licen[sc]e|copying|copyright|notice)(?!.*\.(rs|py|toml|json)$)", re.IGNORECASE)
# The program is linked with them statically; no crate brings them.
GLIBC = [Path("/usr/share/doc/libc6/copyright"), Path("/usr/share/common-licenses/LGPL-2.1")]
# Crates without a file, under "MIT OR Apache-2.0": the text of Apache-2.0 applies, which the program has itself.
APACHE = Path(__file__).resolve().parent.parent / "LICENSE-APACHE"
WITHOUT_FILE = {"maud"}
RUST_STD = "share/doc/rust/COPYRIGHT-library.html"


class Text(html.parser.HTMLParser):
    """The text of a page, without its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def read(path: Path) -> str:
    if not path.is_file():
        sys.exit(f"expected the license of a linked library in {path}, found no file: install the package that it belongs to")
    return path.read_text(encoding="utf-8", errors="replace")


def tidy(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip("\n")


def main() -> None:
    listed = json.loads(zlib.decompress(Path(sys.argv[1]).read_bytes()))["packages"]
    known = {(it["name"], it["version"]): it for it in json.load(sys.stdin)["packages"]}
    owners: dict[str, list[str]] = {}
    crates = []
    for crate in sorted(listed, key=lambda it: (it["name"], it["version"])):
        # Those of the build are not linked; our own have the license of the program.
        if crate.get("kind") == "build" or crate["source"] == "local":
            continue
        package = known[crate["name"], crate["version"]]
        name = f"{package['name']} {package['version']}"
        folder = Path(package["manifest_path"]).parent
        # At any depth: some contain code of others.
        files = sorted(path for path in folder.rglob("*") if path.is_file() and NAMES.match(path.name))
        if not files and package["name"] in WITHOUT_FILE and package["license"] == "MIT OR Apache-2.0":
            files = [APACHE]
        if not files:
            sys.exit(f"expected a license in the crate {name}, found none: say in packaging/licenses.py which text applies to it")
        crates.append(f"{name}: {package['license'] or 'see its text'}")
        for path in files:
            owners.setdefault(tidy(read(path)), []).append(f"{name}: {path.name if path == APACHE else path.relative_to(folder)}")

    sysroot = Path(subprocess.run(["rustc", "--print", "sysroot"], check=True, capture_output=True, text=True).stdout.strip())
    owners.setdefault(tidy("".join(Text(read(sysroot / RUST_STD)).parts)), []).append("the standard library of Rust")
    for path in GLIBC:
        owners.setdefault(tidy(read(path)), []).append(f"glibc: {path.name}")

    line = "=" * 100
    print("The program sumgate contains code of others. Their licenses and notices:\n")
    print("glibc: LGPL-2.1-or-later\nthe standard library of Rust: MIT OR Apache-2.0")
    print("\n".join(crates))
    for text, files in owners.items():
        print(f"\n{line}\n" + "\n".join(files) + f"\n{line}\n\n{text}")


main()
