#!/bin/sh
# Installs a release of sumgate for a CI job: downloads its archive, compares the SHA-256, and only then unpacks it.
# It is sh, because the image of a job may have no bash. templates/sumgate.yml contains this text; a trial compares them.
#
#   SUMGATE_CI_INTO       folder to install into, outside the checkout
#   SUMGATE_CI_VERSION    version, and
#   SUMGATE_CI_SHA256     SHA-256 of its archive; without them, the newest in SUMGATE_CI_RELEASED
#   SUMGATE_CI_FROM       folder or address with the files of the release; without it,
#   SUMGATE_CI_SERVER     address of a server like GitHub, and
#   SUMGATE_CI_REPOSITORY its repository that has the release
#   SUMGATE_CI_RELEASED   file of "SHA-256  NAME" lines, such as packaging/released
set -eu

stop() {
    echo "sumgate: $*" >&2
    exit 2
}

case "$(uname -s) $(uname -m)" in
'Linux x86_64') target=x86_64-unknown-linux-gnu ;;
'Linux aarch64') target=aarch64-unknown-linux-gnu ;;
'Darwin arm64') target=aarch64-apple-darwin ;;
*) stop "there is no package for $(uname -s) $(uname -m): build the program on this machine, and put it on the PATH" ;;
esac

version=${SUMGATE_CI_VERSION:-}
sha256=${SUMGATE_CI_SHA256:-}
if [ -z "$version$sha256" ] && [ -n "${SUMGATE_CI_RELEASED:-}" ]; then
    newest=$(sed -n "s/^\([0-9a-f]*  sumgate-.*\)-$target\.tar\.gz\$/\1/p" "$SUMGATE_CI_RELEASED" | tail -n 1)
    sha256=${newest%%  *}
    version=${newest#*  sumgate-}
fi
if [ -z "$version" ] || [ -z "$sha256" ]; then
    stop "no release for $target is known here: set both 'version' and 'sha256' (the SHA-256 of" \
        "sumgate-VERSION-$target.tar.gz), and 'from', the folder or address where it is"
fi
# Both become parts of a path or an address.
case $version in
*[!0-9A-Za-z.+-]*) stop "expected a version such as 1.2.3, found '$version'" ;;
esac
name=sumgate-$version-$target
from=${SUMGATE_CI_FROM:-}
if [ -z "$from" ] && [ -n "${SUMGATE_CI_REPOSITORY:-}" ]; then
    from=$SUMGATE_CI_SERVER/$SUMGATE_CI_REPOSITORY/releases/download/v$version
fi

mkdir -p "$SUMGATE_CI_INTO"
cd "$SUMGATE_CI_INTO"
# The old program must not be used if this fails.
rm -rf sumgate "$name" "$name.tar.gz"
case $from in
'') stop "set 'from' to the folder or address that has $name.tar.gz" ;;
# The SHA-256 decides, so a plain http address will do. 100 MB is 30 times the size of an archive.
http://* | https://*)
    if command -v curl >/dev/null; then
        curl --fail --silent --show-error --location --proto '=https,http' --connect-timeout 20 --max-time 300 \
            --max-filesize 100000000 --retry 3 --output "$name.tar.gz" -- "$from/$name.tar.gz" ||
            stop "cannot download $from/$name.tar.gz"
    else
        # A pipe has no exit code of wget. What it left incomplete has another SHA-256.
        timeout 300 wget -q -T 20 -O - "$from/$name.tar.gz" | head -c 100000000 >"$name.tar.gz"
        [ -s "$name.tar.gz" ] || stop "cannot download $from/$name.tar.gz"
    fi
    ;;
/*) cp -- "$from/$name.tar.gz" . || stop "cannot copy $from/$name.tar.gz" ;;
*) stop "expected 'from' to be an address or an absolute path, found '$from'" ;;
esac

if command -v sha256sum >/dev/null; then
    found=$(sha256sum "$name.tar.gz")
else
    found=$(shasum -a 256 "$name.tar.gz")
fi
found=${found%% *}
if [ "$found" != "$sha256" ]; then
    rm "$name.tar.gz"
    stop "$from/$name.tar.gz was not installed: expected SHA-256 $sha256, found $found"
fi
tar -xzf "$name.tar.gz" "$name/sumgate"
mv "$name/sumgate" sumgate
rm -r "$name" "$name.tar.gz"
./sumgate --version
