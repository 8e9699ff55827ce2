package assets

import _ "embed"

// Icon is the program's icon, a PNG of 512 pixels; mac/icon draws it.
//
//go:generate go run ./mac/icon icon.png
//go:embed icon.png
var Icon []byte
