#!/bin/sh
# The hook of pre-commit: audits what the commit adds to go.sum and go.mod.
#
# The program is the newest release in packaging/released, installed once by its SHA-256 into ~/.cache/sumgate, from
# SUMGATE_CI_FROM or the releases of the repository that this hook comes from. If none is listed, it is `sumgate` on the PATH.
set -eu
hook=$(cd "$(dirname "$0")/../.." && pwd)
released=$hook/packaging/released
if grep -q '^[0-9a-f]' "$released"; then
    # The list decides what is in the folder.
    into=${XDG_CACHE_HOME:-$HOME/.cache}/sumgate/$(git hash-object --no-filters "$released")
    if [ ! -x "$into/sumgate" ]; then
        # git tells its hooks which repository they are for; this one is another.
        home=$(env -u GIT_DIR -u GIT_WORK_TREE -u GIT_INDEX_FILE git -C "$hook" remote get-url origin)
        home=${home%.git}
        # Of https://SERVER/OWNER/NAME.
        SUMGATE_CI_REPOSITORY=${home#*://*/} SUMGATE_CI_SERVER=${home%"/${home#*://*/}"} \
            SUMGATE_CI_RELEASED=$released SUMGATE_CI_INTO=$into "$hook/packaging/ci/install.sh" >&2
    fi
    program=$into/sumgate
else
    program=$(command -v sumgate) || {
        echo "sumgate: packaging/released lists no release, and the PATH has no sumgate: install it, see docs/install.md" >&2
        exit 2
    }
fi

base=${PRE_COMMIT_FROM_REF:-HEAD}
if [ -z "${PRE_COMMIT_FROM_REF:-}" ] && git diff --cached --quiet; then
    # Nothing is being committed (`pre-commit run --all-files`): all lines count.
    exec "$program" audit
elif git rev-parse --quiet --verify "$base^{commit}" >/dev/null; then
    exec "$program" audit --base="$base"
fi
# The first commit.
exec "$program" audit
