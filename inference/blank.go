package inference

import "unicode"

// Blank reports whether text shows nothing: it is empty, or has only spaces, marks on
// nothing and characters of no width.
func Blank(text string) bool {
	for _, r := range text {
		if unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.IsMark(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && r != brailleBlank {
			return false
		}
	}
	return true
}

// brailleBlank is the braille pattern without a dot.
const brailleBlank = '\u2800'
