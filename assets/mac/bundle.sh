#!/bin/sh
# Makes Gimbal.app of an executable and an icon.
#
#   assets/mac/bundle.sh EXECUTABLE ICON.icns FOLDER
#
# On a Mac it is signed: by GIMBAL_SIGN_IDENTITY ("Developer ID Application: …") with
# the hardened runtime, or else for this machine alone. With GIMBAL_NOTARY_PROFILE, the
# name of a profile kept by `xcrun notarytool store-credentials`, Apple then notarises it.
set -eu
[ $# = 3 ] || { sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2; }
executable=$1 icon=$2 app=$3/Gimbal.app
here=$(cd "$(dirname "$0")" && pwd)
# value KEY prints a value of FyneApp.toml, the one place for name and version.
value() { sed -n "s/^$1 = \"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$here/../../FyneApp.toml"; }

rm -rf "$app"
mkdir -p "$app/Contents/MacOS" "$app/Contents/Resources"
cp "$executable" "$app/Contents/MacOS/gimbal"
chmod 755 "$app/Contents/MacOS/gimbal"
cp "$icon" "$app/Contents/Resources/icon.icns"
cp "$here/../../LICENSE" "$app/Contents/Resources/LICENSE"
mkdir "$app/Contents/Resources/en.lproj" # its words are those of Info.plist
cp -R "$here/zh-Hans.lproj" "$app/Contents/Resources/"
sed "s/@NAME@/$(value Name)/; s/@ID@/$(value ID)/; s/@VERSION@/$(value Version)/; s/@BUILD@/$(value Build)/" \
  "$here/Info.plist" > "$app/Contents/Info.plist"
printf 'APPL????' > "$app/Contents/PkgInfo"

if [ "$(uname)" = Darwin ]; then
  plutil -lint -s "$app/Contents/Info.plist" "$here/entitlements.plist"
  if [ -n "${GIMBAL_SIGN_IDENTITY:-}" ]; then
    codesign --force --timestamp --options runtime --entitlements "$here/entitlements.plist" \
      --sign "$GIMBAL_SIGN_IDENTITY" "$app"
  else
    codesign --force --sign - "$app"
  fi
  codesign --verify --strict "$app"
  if [ -n "${GIMBAL_NOTARY_PROFILE:-}" ]; then
    [ -n "${GIMBAL_SIGN_IDENTITY:-}" ] || { echo "GIMBAL_NOTARY_PROFILE needs GIMBAL_SIGN_IDENTITY" >&2; exit 1; }
    archive=$3/Gimbal.zip
    ditto -c -k --keepParent "$app" "$archive"
    xcrun notarytool submit "$archive" --keychain-profile "$GIMBAL_NOTARY_PROFILE" --wait
    xcrun stapler staple "$app"
    rm "$archive"
  fi
fi
echo "$app"
