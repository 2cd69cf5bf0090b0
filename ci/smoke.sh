#!/bin/sh
# A smoke job for a classifier: explain a few pictures and fail where something is wrong with them.
#
#   ci/smoke.sh PHOTOS [OPTION OF 'camcli batch' ...]
#
#   CAMCLI        the program (camcli)
#   OUT           the run's folder, which may be an earlier one (camcli-smoke)
#   FAIL_ON       which unreadable pictures fail the job: any, none or a share such as 1% (any)
#   MIN_ACCURACY  of the labelled pictures, in [0, 1]; empty asks for none
#
# It needs a POSIX shell and nothing else. Exit codes: those of 'camcli batch', and 1 for an accuracy
# that is too low or cannot be told. The pictures are in $OUT/overlays, a page of them in
# $OUT/report/index.html: keep the folder as an artifact of the job.
set -eu

if [ $# -eq 0 ]; then
    echo "usage: smoke.sh PHOTOS [OPTION OF 'camcli batch' ...]" >&2
    exit 2
fi
out=${OUT:-camcli-smoke}
fail_on=${FAIL_ON:-any}
least=${MIN_ACCURACY:-}

code=0
# Not quoted, so that it can be "python -m camcli".
# shellcheck disable=SC2086
${CAMCLI:-camcli} batch "$@" --out "$out" --overwrite --report --quiet --fail-on "$fail_on" >&2 || code=$?

# run.json is written with one value a line.
count() {
    sed -n '/"counts": {/,/}/s/^ *"'"$1"'": \([0-9][0-9]*\),*$/\1/p' "$out/run.json"
}

case $code in
0 | 3) ;;
*) # The message is above; an earlier run that lies in the folder says nothing about this one.
    echo "error: camcli ended with exit code $code" >&2
    exit "$code"
    ;;
esac
images=$(count "done")
failed=$(count failed)
labelled=$(count labelled)
correct=$(count correct)

if [ "$labelled" -gt 0 ]; then
    accuracy=$(awk "BEGIN { printf \"%.4f\", $correct / $labelled }")
else
    accuracy=""
fi
verdict="$images images, $failed failed"
[ -z "$accuracy" ] || verdict="$verdict, accuracy $accuracy of $labelled labelled"
echo "camcli: $verdict"
[ -z "${GITHUB_STEP_SUMMARY:-}" ] || echo "**camcli**: $verdict" >>"$GITHUB_STEP_SUMMARY"

if [ -n "$least" ] && [ "$code" -eq 0 ]; then
    if [ -z "$accuracy" ]; then
        echo "error: an accuracy of $least was asked for, and no picture has a label (--labels)" >&2
        exit 1
    fi
    if ! awk "BEGIN { exit !($accuracy >= $least) }"; then
        echo "error: the accuracy is $accuracy, below $least" >&2
        exit 1
    fi
fi
exit "$code"
