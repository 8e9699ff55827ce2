#!/bin/sh
# cross.sh OUTPUT compiles and links the program without its window for Apple Silicon Macs, on any
# machine, with clang as PyPI's ziglang brings it (as $ZIG, such as "python3 -m ziglang"). The
# declarations and the lists of symbols beside this file stand for Apple's SDK: what the program uses,
# written after Apple's documentation. It checks cgo's names of C, the Objective-C, duplicate symbols
# and missing libraries. The result is not to be given away, and shows nothing of how it behaves.
set -eu
cd "$(dirname "$0")/../../.."
here=$PWD/assets/mac/cross
flags="-target aarch64-macos.14.0 -isystem $here/include -isystem $PWD/metalkit/internal/static/testdata/apple -F$here/frameworks -L$here/lib"
export CC="$ZIG cc $flags" CXX="$ZIG c++ $flags" CGO_ENABLED=1 GOOS=darwin GOARCH=arm64
# Without -s -w Go calls this machine's strip.
exec go build -ldflags '-s -w' -tags headless -o "$1" ./app
