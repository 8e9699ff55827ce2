#!/usr/bin/env bash
# schemathesis.sh GIMBAL DIR [EXAMPLES]: tries the API with what schemathesis makes of its
# document, EXAMPLES requests for each operation and kind of test. It fails where the server
# does, or where an answer is not as the document says. DIR is for Python's packages.
set -euo pipefail
gimbal=$(realpath "$1") dir=$2 examples=${3:-100}
if [ ! -x "$dir/bin/schemathesis" ]; then
  python3 -m venv "$dir"
  "$dir/bin/pip" install -q schemathesis==4.32.5
fi
store=$(mktemp -d)
"$gimbal" serve --listen 127.0.0.1:0 --store "$store" >"$store/out" 2>"$store/log" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true; grep -n "request failed" "$store/log" || true; rm -rf "$store"' EXIT
until url=$(sed -n 's/^listening on //p' "$store/out") && [ -n "$url" ] && curl -fs "$url/v1/models" | grep -q '"demo"'; do
  kill -0 $server || { cat "$store/log"; exit 1; }
  sleep 0.2
done
# Streams of events do not end, which schemathesis would wait for.
"$dir/bin/schemathesis" run "$url/openapi.json" --max-examples "$examples" --exclude-path-regex '/events$' --workers 2 --no-color \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
