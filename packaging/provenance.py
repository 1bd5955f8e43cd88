"""Prints what the packages in a folder were made from: an in-toto statement with SLSA provenance, checked by in-toto-attestation.

It is not signed; who publishes a release signs it, or has the platform attest it.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import STATEMENT_TYPE_URI, Statement


def printed(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def file(path: Path, name: str) -> dict:
    return {"name": name, "digest": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}}


def main() -> None:
    folder = Path(sys.argv[1])
    home = Path("packaging/home").read_text().strip()
    commit = printed("git", "rev-parse", "HEAD")
    sources = [{"uri": f"git+{home}@{commit}", "digest": {"gitCommit": commit}}]
    sources += [file(Path(name), name) for name in ["Cargo.lock", "packaging/requirements.txt"]]
    predicate = {
        "buildDefinition": {
            "buildType": f"{home}/packaging/build",
            "externalParameters": {"commit": commit, "target": os.environ["TARGET"], "version": os.environ["VERSION"]},
            "internalParameters": {
                "changed": printed("git", "status", "--porcelain", "--untracked-files=no") != "",
                "epoch": os.environ["SOURCE_DATE_EPOCH"],
                "rustc": printed("rustc", "--version"),
            },
            "resolvedDependencies": sources,
        },
        # A workflow says here who it is. No time: the same commit gives the same statement.
        "runDetails": {"builder": {"id": os.environ.get("SUMGATE_BUILDER", f"{home}/packaging/build")}},
    }
    statement = {
        "_type": STATEMENT_TYPE_URI,
        "subject": [file(path, path.name) for path in sorted(folder.iterdir())],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": predicate,
    }
    # Both refuse a field that they do not know.
    json_format.ParseDict(predicate, provenance_pb2.Provenance())
    Statement.copy_from_pb(json_format.ParseDict(statement, statement_pb2.Statement())).validate()
    print(json.dumps(statement, indent=1))


main()
