#!/bin/sh
# cross.sh TAGS OUTPUT compiles and links the program with these build tags for Apple Silicon Macs, on
# any machine, with clang as PyPI's ziglang brings it (as $ZIG, such as "python3 -m ziglang"). The
# declarations and the lists of symbols beside this file stand for Apple's SDK: what the program uses,
# written after Apple's documentation. It checks cgo's names of C, the Objective-C, duplicate symbols
# and missing libraries. The result is not to be given away, and shows nothing of how it behaves.
set -eu
cd "$(dirname "$0")/../../.."
here=$PWD/assets/mac/cross
apple=$PWD/metalkit/internal/static/testdata/apple
made=$(dirname "$2")/cross
mkdir -p "$made"

# macdriver names protocols that its generator found in Apple's headers; these are the others.
go mod download github.com/progrium/macdriver
macdriver=$(go list -m -f '{{.Dir}}' github.com/progrium/macdriver)
declared=$(grep -rhoE '^@protocol \w+( <\w+>)?$' "$here/include" "$apple" | cut -d ' ' -f 2)
cat "$macdriver"/macos/*/protocols.gen.m | sed -n 's/.*@protocol(\(.*\));/\1/p' | grep -vxF "$declared" |
  sed 's/.*/@protocol & @end/' >"$made/macdriver.h"

# The linker's list of each library.
awk -v made="$made" '
  function path(name) {
    if (name ~ /^lib/) return "/usr/lib/" name ".dylib"
    return "/System/Library/Frameworks/" name ".framework/Versions/" (name ~ /^(AppKit|Foundation)$/ ? "C/" : "A/") name
  }
  function add(list, name) { return list (list == "" ? "" : ", ") "\x27" name "\x27" }
  BEGIN { RS = "" }
  /^#/ { next }
  {
    brings = symbols = classes = ""
    for (i = 2; i <= NF; i++)
      if ($i ~ /^\+/) brings = add(brings, path(substr($i, 2)))
      else if ($i ~ /^_/) symbols = add(symbols, $i)
      else classes = add(classes, $i)
    folder = made ($1 ~ /^lib/ ? "" : "/" $1 ".framework")
    system("mkdir -p " folder)
    file = $1; sub(/\..*/, "", file); file = folder "/" file ".tbd"
    print "--- !tapi-tbd\ntbd-version: 4\ntargets: [ arm64-macos ]\ninstall-name: \x27" path($1) "\x27" >file
    if (brings) print "reexported-libraries:\n  - targets: [ arm64-macos ]\n    libraries: [ " brings " ]" >file
    print "exports:\n  - targets: [ arm64-macos ]\n    symbols: [ " symbols " ]\n    objc-classes: [ " classes " ]\n..." >file
  }' "$here/libraries"

# What nothing declares, or only for a newer system, is otherwise a warning.
errors="-Werror=objc-method-access -Werror=protocol -Werror=unguarded-availability -Werror=incompatible-pointer-types"
# Go compiles again for other flags, not for other headers, and does not link what is there for another list.
rm -f "$2"
sum=$(find "$here/include" "$apple" "$made/macdriver.h" -type f -print0 | sort -z | xargs -0 cat | cksum | cut -d ' ' -f 1)
flags="-target aarch64-macos.14.0 $errors -DSUM=$sum -isystem $here/include -isystem $apple -isystem $made -F$made -L$made"
export CC="$ZIG cc $flags" CXX="$ZIG c++ $flags" CGO_ENABLED=1 GOOS=darwin GOARCH=arm64
# The first program of C++ with these flags, which are Go's, compiles its library, with a warning a line.
echo 'int main() {}' | $CXX -O2 -Wl,-S -x c++ - -o "$made/first" 2>/dev/null || true
# Without -s -w Go calls this machine's strip.
exec go build -ldflags '-s -w' -tags "$1" -o "$2" ./app
