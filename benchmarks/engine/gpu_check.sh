#!/usr/bin/env bash
# Everything there is to find out on a machine with an NVIDIA GPU, in one go: tests, goldens, benchmarks.
#   benchmarks/engine/gpu_check.sh OUT [STAGE...]     STAGE: tests goldens tiny full simulation; all unless given
# Each stage leaves its log and its results in OUT; one that fails does not keep the others from running.
# PYTHON is the interpreter (.venv/bin/python), CHECKPOINT where the full random weights are kept (11 GB),
# FULL further options of the full benchmark, such as "--compile" or "--seconds 10".
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
if [ $# -eq 0 ]; then
  sed -n '2,6s/^# \{0,1\}//p' "$0"
  exit 2
fi
python=${PYTHON:-.venv/bin/python}
checkpoint=${CHECKPOINT:-benchmarks/out/checkpoints/s2-pro-full-0}
out=$1
shift
mkdir -p "$out"
failed=0

stage() { # name, command...
  local name=$1 begun=$SECONDS
  shift
  echo "== $name: $*"
  if "$@" 2>&1 | tee "$out/$name.log"; then
    echo "$name: passed in $((SECONDS - begun)) s" >>"$out/summary.txt"
  else
    echo "$name: FAILED in $((SECONDS - begun)) s" >>"$out/summary.txt"
    failed=1
  fi
}

for name in "${@:-tests goldens tiny full simulation}"; do
  for name in $name; do
    case $name in
      tests)
        # With a GPU nothing is skipped that needs one: -rs says what is, and why.
        stage tests "$python" -m pytest -rs tests/engine/models/dual_ar tests/engine/models/codec
        ;;
      goldens) stage goldens "$python" -m tests.goldens tests/goldens/data --device cuda ;;
      tiny) stage tiny "$python" -m benchmarks.engine --scale tiny --device cuda --seconds 5 --out "$out/tiny" ;;
      full)
        # shellcheck disable=SC2086 # FULL holds several words
        stage full "$python" -m benchmarks.engine --scale full --device cuda --checkpoint "$checkpoint" \
          --out "$out/full" ${FULL:-}
        ;;
      simulation)
        stage simulation "$python" -m benchmarks.simulation --costs "$out/full/engine-costs.json" \
          --out "$out/simulation"
        ;;
      *)
        echo "$name is no stage: tests goldens tiny full simulation" >&2
        exit 2
        ;;
    esac
  done
done
echo
cat "$out/summary.txt"
exit $failed
