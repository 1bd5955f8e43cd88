#!/bin/sh
# Audits a checkout in a CI job, and runs a command behind the gate. What is new since the base decides the exit code.
# It is sh, because the image of a job may have no bash. templates/sumgate.yml contains this text; a trial compares them.
#
#   SUMGATE_CI_PROGRAM    the program
#   SUMGATE_CI_FOLDER     folder to audit; default: the working folder
#   SUMGATE_CI_BASE       commit before the change; empty: all lines are new
#   SUMGATE_CI_DENY       lowest severity that fails the job; default: warning
#   SUMGATE_CI_COMMAND    command that gets its modules through the gate; empty: none
#   SUMGATE_CI_FORMAT     format of the log: github or human
#   SUMGATE_CI_REPORTS    folder for the reports, which a pull request must not have written: sumgate.sarif (all lines, new and
#                         old); of the change: sumgate-new.sarif, sumgate.junit.xml and sumgate.md; and, of the command,
#                         run.json and modules.intoto.json
#   SUMGATE_CI_SEEN       where people see the reports; the last line of the log
set -eu

stop() {
    echo "sumgate: $*" >&2
    exit 2
}

base=${SUMGATE_CI_BASE:-}
reports=$SUMGATE_CI_REPORTS
mkdir -p "$reports"
# Those of an earlier step say nothing about this one.
for name in sumgate.md sumgate.junit.xml sumgate.sarif sumgate-new.sarif run.json modules.intoto.json; do
    rm -f "$reports/$name"
done
cd "${SUMGATE_CI_FOLDER:-.}"
case $base in
-*) stop "expected a commit as base, found '$base'" ;;
esac
# The usual clone of a job has one commit.
if [ -n "$base" ] && ! git cat-file -e "$base^{commit}" 2>/dev/null; then
    git fetch --quiet --no-tags --depth=1 origin "$base" ||
        stop "the base $base is not in this clone: check out with fetch-depth: 0 (GitLab: GIT_DEPTH: 0)"
fi
set -- --deny="${SUMGATE_CI_DENY:-warning}"

audit() {
    "$SUMGATE_CI_PROGRAM" audit "$@"
}

status=0
audit "$@" ${base:+--base="$base"} --format="${SUMGATE_CI_FORMAT:-human}" || status=$?

# A report is written whatever was found: FILE, then the arguments that make it.
report() {
    file=$reports/$1
    shift
    code=0
    audit "$@" --exit-zero >"$file" || code=$?
    # Two histories of the database matter in old lines, too.
    if [ "$code" -eq 3 ]; then
        status=3
    elif [ "$code" -ne 0 ]; then
        echo "sumgate: $file is not complete (exit code $code)" >&2
    fi
}
report sumgate.md "$@" ${base:+--base="$base"} --format=markdown
report sumgate.junit.xml "$@" ${base:+--base="$base"} --format=junit
# With the policy of the base, too: it has what the change of a policy loosened.
report sumgate-new.sarif "$@" ${base:+--base="$base"} --format=sarif
# All lines, new and old: a scanner compares the branches itself.
report sumgate.sarif "$@" --format=sarif
# A string in JSON contains no line end, so only members begin a line.
echo "sumgate: findings in all lines, new and old: $(grep -c '^ *"ruleId":' "$reports/sumgate.sarif" || true)"

if [ -n "${SUMGATE_CI_COMMAND:-}" ]; then
    if [ "$status" -eq 0 ]; then
        "$SUMGATE_CI_PROGRAM" run "$@" ${base:+--base="$base"} --report="$reports/run.json" \
            --attest="$reports/modules.intoto.json" -- sh -ec "$SUMGATE_CI_COMMAND" || status=$?
    else
        echo "sumgate: the command was not run, because of what the audit found" >&2
    fi
fi
if [ -n "${SUMGATE_CI_SEEN:-}" ]; then
    echo "sumgate: the findings are shown at $SUMGATE_CI_SEEN"
fi
exit "$status"
