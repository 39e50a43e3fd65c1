#!/bin/sh
# The tests: what is only computed (the native crates' tests, both planes compared, the pure tests) runs beside the others, which
# mostly wait for services.
# With tests named as arguments, those alone. What ran beside is shown at the end; either's failure is ours.
if [ $# -gt 0 ]; then
    exec "$BIN/pytest" "$@"
fi
mkdir -p .run
beside=.run/beside.log
(nice -n 5 "$PYTHON3" scripts/native.py test && nice -n 5 "$BIN/pytest" tests/differential tests/pure) >"$beside" 2>&1 &
trap 'kill $! 2>/dev/null' INT TERM
"$BIN/pytest" --deselect=tests/differential --deselect=tests/pure
waits=$?
wait $!
computes=$?
grep -E "^test result|passed|failed|FAILED|panicked|^error" "$beside" || true
[ $computes -eq 0 ] || cat "$beside"
[ $waits -eq 0 ] && [ $computes -eq 0 ]
