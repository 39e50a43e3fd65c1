#!/bin/sh
# The tests, in two lines side by side: most wait for services, so what is mostly computed (the native crates' tests, the pure ones,
# both planes compared, the SFU, the recordings) runs beside them.
# With tests named as arguments, those alone. What ran beside is shown at the end; either's failure is ours.
if [ $# -gt 0 ]; then
    exec "$BIN/pytest" "$@"
fi
mkdir -p .run
beside=.run/beside.log
computed="tests/pure tests/differential tests/sfu tests/recordings"
(nice -n 5 "$PYTHON3" scripts/native.py test && nice -n 5 "$BIN/pytest" $computed) >"$beside" 2>&1 &
trap 'kill $! 2>/dev/null' INT TERM
"$BIN/pytest" $(printf -- '--deselect=%s ' $computed)
waits=$?
wait $!
computes=$?
grep -E "^test result|passed|failed|FAILED|panicked|^error" "$beside" || true
[ $computes -eq 0 ] || cat "$beside"
[ $waits -eq 0 ] && [ $computes -eq 0 ]
