#!/bin/sh
# Runs stages on a machine with an NVIDIA GPU, Python and PyTorch, without Go:
#
#     .gpu/proof.sh STAGE...          from the repository's root, after `make gpu-proof`
#
# A stage may carry flags of command proof: .gpu/proof.sh "expert -frames 41 -forms bf16:bf16".
# Results go to $OUT (proof.tgz: rows.jsonl, logs, what the tuner chose); weights, inputs
# and outputs to $WORK. LIMIT is the most seconds of one program. The folder tuning of an
# earlier proof.tgz, put into .gpu, saves choosing kernels again; the flag -fixed leaves it
# out at some cost in speed.
set -u
here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-out/proof}
work=${WORK:-/tmp/gimbal-proof}
limit=${LIMIT:-540}
python=${PYTHON:-python3}
mkdir -p "$out" "$work/logs"
tar -C "$work" -xJf "$here/proof.tar.xz"
[ -d "$work/tuning" ] || cp -r "$here/tuning" "$work/" 2>/dev/null
export CUDA_CACHE_PATH="$work/cuda" CUDA_CACHE_MAXSIZE=2147483648
cases=$PWD/inference/testdata
export GIMBAL_PTX="$work/ptx" GIMBAL_GOLDEN_DIR="$cases/golden" GIMBAL_FORMATS_DIR="$cases/golden-formats" GIMBAL_CAUSAL_DIR="$cases/golden-causal"

# run NAME COMMAND... runs a program and keeps what it prints.
run() {
  name=$1
  shift
  began=$(date +%s)
  timeout -k 5 "$limit" "$@" >"$work/logs/$name.log" 2>&1
  code=$?
  echo "$name: exit $code, $(($(date +%s) - began)) s"
  [ $code = 0 ] || { tail -n 25 "$work/logs/$name.log"; failed=1; }
}

# tests NAME BINARY PATTERN runs tests, in the folder of package metalkit, and adds a row of how
# many passed.
tests() {
  log=$work/logs/$stage-$1.log
  run "$stage-$1" env -C metalkit "$work/$2" -test.v -test.timeout 0 -test.run "^($3)\$"
  printf '{"stage":"%s","who":"gimbal","case":"%s","seconds":%d,"values":{"exit":%d,"passed":%d,"failed":%d,"skipped":%d},"finished":"%s"}\n' \
    "$stage" "$1" "$(($(date +%s) - began))" "$code" "$(grep -c -- '--- PASS' "$log")" "$(grep -c -- '--- FAIL' "$log")" \
    "$(grep -c -- '--- SKIP' "$log")" "$(date -u +%FT%TZ)" >>"$work/rows.jsonl"
}

go() { run "$stage" "$work/proof" -work "$work" "$@" "$stage"; }
torch() { run "$stage-torch${1:-}" "$python" metalkit/proof/torch/proof.py --work "$work" --device "${DEVICE:-cuda}" "$stage"; }
failed=0
for words in "$@"; do
  set -- $words
  stage=$1
  shift
  case $stage in
  conformance) # in processes of their own, for each waits for the GPU most of the time
    tests driver cuda.test 'Test.*' # alone, for it looks at how much memory is free
    tests narrow metalkit.test TestNarrow &
    tests device metalkit.test 'TestDevice|TestLost|TestOpenCUDA|TestSplit.*'
    wait
    ;;
  every-variant) # of the conformance suite, which takes longer than all of its other tests
    stage=conformance
    tests variants metalkit.test TestVariants
    ;;
  references) tests cases metalkit.test 'Test.*Reference' ;;
  variants) go -forms f32:f32,bf16:bf16 "$@" ;;
  block) go -frames 5,41,81 "$@"; torch ;;
  chunk) go -forms bf16:bf16 "$@"; torch ;;
  vae) # every size of a chunk would have to choose its kernels, which takes ten times as long as decoding
    go -fixed -frames 41,81 -forms f32:f32 -runs 1 "$@"
    torch
    ;;
  attention) go -forms f32:f32,bf16:bf16 "$@"; torch ;;
  speed) go -heads 40 "$@"; torch 1; torch 2; go -heads 40 "$@" ;;
  formats) # the products of stage speed, beside whose rows theirs are shown
    stage=speed
    go -forms fp8:bf16,q8_0:bf16,q4_0:bf16,q4_1:bf16,q5_0:bf16,q5_1:bf16,q2_k:bf16,q3_k:bf16,q4_k:bf16,q5_k:bf16,q6_k:bf16,iq4_nl:bf16,iq4_xs:bf16 "$@"
    ;;
  expert) go -frames 5,41 "$@" ;;
  reuse) go -frames 5 -forms bf16:bf16 "$@" ;;
  pipeline) go -frames 5 -forms bf16:bf16 "$@" ;;
  leak) go -frames 5 -forms bf16:bf16 "$@" ;;
  *) echo "no stage $stage"; failed=1 ;;
  esac
  (cd "$work" && tar czf - rows.jsonl logs $(ls -d tuning 2>/dev/null)) >"$out/proof.tgz"
done
exit $failed
