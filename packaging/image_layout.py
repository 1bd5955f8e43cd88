"""Makes an OCI image layout of an image that was pushed to a folder: image_layout.py PUSHED LAYOUT VERSION.

buildah writes the health check only in Docker's format of an image, together with random names of the build. Docker's own builder
writes it in the format of OCI, too, and Docker reads it there. So this takes Docker's configuration, without what is random and
empty, into an OCI layout. Its manifest.json is for `docker load`, which up to Docker 28 does not read a layout without it.
"""

import hashlib
import json
import pathlib
import sys

OF_IMAGE = ("created", "architecture", "os", "config", "rootfs", "history")


def main(pushed, layout, version):
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(bytes, kind):
        digest = hashlib.sha256(bytes).hexdigest()
        (blobs / digest).write_bytes(bytes)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(bytes)}

    def add_json(value, kind):
        return add(json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), kind)

    def read(name):
        return json.loads((pushed / name).read_bytes())

    def hex_of(descriptor):
        return descriptor["digest"].removeprefix("sha256:")

    manifest = read("manifest.json")
    image = {key: value for key, value in read(hex_of(manifest["config"])).items() if key in OF_IMAGE}
    image["config"] = {key: value for key, value in image["config"].items() if value and key != "Hostname"}
    config = add_json(image, "config.v1+json")
    layers = [add((pushed / hex_of(layer)).read_bytes(), "layer.v1.tar+gzip") for layer in manifest["layers"]]
    one = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": layers}
    entry = add_json(one, "manifest.v1+json")
    entry["platform"] = {"architecture": image["architecture"], "os": image["os"]}
    # The first is read by `skopeo`, the second by containerd and podman; `sumgate:VERSION` in full.
    name = f"docker.io/library/sumgate:{version}"
    entry["annotations"] = {"org.opencontainers.image.ref.name": version, "io.containerd.image.name": name}

    def write(name, value):
        (layout / name).write_text(json.dumps(value, sort_keys=True))

    write("index.json", {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]})
    write("oci-layout", {"imageLayoutVersion": "1.0.0"})
    paths = [f"blobs/sha256/{hex_of(blob)}" for blob in [config, *layers]]
    write("manifest.json", [{"Config": paths[0], "RepoTags": [f"sumgate:{version}"], "Layers": paths[1:]}])


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3])
