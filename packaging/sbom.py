"""Prints the SBOM of the program: CycloneDX 1.6, checked by the strict validator of cyclonedx-python-lib.

The crates are those that `cargo auditable` wrote into the program. `cargo metadata` (stdin) adds licenses, and Cargo.lock hashes.
"""

import datetime
import hashlib
import json
import os
import subprocess
import sys
import tomllib
import uuid
import zlib
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL


def version_of(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]


def main() -> None:
    crates_file, program = map(Path, sys.argv[1:])
    crates = json.loads(zlib.decompress(crates_file.read_bytes()))["packages"]
    licenses = {(it["name"], it["version"]): it["license"] for it in json.load(sys.stdin)["packages"]}
    lock = tomllib.loads(Path("Cargo.lock").read_text())["package"]
    sums = {(it["name"], it["version"]): it.get("checksum") for it in lock}

    def component(crate: dict) -> Component:
        key = crate["name"], crate["version"]
        # The workspace's own crates are part of this release, and have no sum of a registry.
        hashes = [HashType(alg=HashAlgorithm.SHA_256, content=sums[key])] if sums[key] else []
        purl = PackageURL("cargo", name=key[0], version=key[1])
        kind = ComponentType.APPLICATION if crate.get("root") else ComponentType.LIBRARY
        license = [LicenseFactory().make_from_string(licenses[key])] if licenses[key] else []
        made = Component(name=key[0], version=key[1], type=kind, purl=purl, bom_ref=str(purl), licenses=license, hashes=hashes)
        # What ran only in the build: macros and build scripts.
        made.scope = ComponentScope.EXCLUDED if crate.get("kind") == "build" else ComponentScope.REQUIRED
        return made

    components = [component(crate) for crate in crates]
    root = next(it for it in components if it.type is ComponentType.APPLICATION)
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    root.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=digest))
    root.properties.add(Property(name="sumgate:target", value=os.environ["TARGET"]))

    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_OID, digest))
    bom.metadata.timestamp = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    bom.metadata.component = root
    # What no crate brings, and is linked too.
    linked = [
        ("glibc", version_of("getconf", "GNU_LIBC_VERSION"), "LGPL-2.1-or-later"),
        ("rust-std", version_of("rustc", "--version"), "MIT OR Apache-2.0"),
    ]
    for name, version, terms in linked:
        purl = PackageURL("generic", name=name, version=version)
        license = [LicenseFactory().make_from_string(terms)]
        other = Component(name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl), licenses=license)
        bom.components.add(other)
        bom.register_dependency(root, [other])
    for crate, made in zip(crates, components):
        if made is not root:
            bom.components.add(made)
        bom.register_dependency(made, [components[at] for at in crate.get("dependencies", [])])

    text = JsonV1Dot6(bom).output_as_string(indent=1)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"the SBOM is not valid: {error}")
    print(text)


main()
