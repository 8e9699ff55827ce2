package tokenizer

import (
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// Classes of the characters that UTF-8 turns into when it is decoded in another
// encoding, as ftfy 6.3.1 sorts them (badness.py, chardata.py; Robyn Speer,
// Apache-2.0), in the form of ranges between square brackets.
const (
	common           = "\u00a0\u00ad´·–—―’…"
	c1               = "\u0080-\u009f"
	bad              = "¤¦¨ª¬¯¸ºƒˆˇ˘˛˜†‡‰⌐◊\ufffd"
	law              = "§¶"
	currency         = "¢£¥₧€"
	startPunctuation = "¡©«¿΄΅‘‚“„•‹\uf8ff"
	endPunctuation   = "®»˝”›™"
	numerical        = "±²³µ¹¼½¾×÷⁄№∂∆∏∑√∞∩∫≈≠≡≤≥"
	kaomoji          = "°Ò-ÖÙ-Üò-öø-üŌŐŪŲ"
	upperAccented    = "À-ÑØÜÝĀĂĄĆČĎĐĒĖĘĚĞĢĪİĶĹĻĽŁŃŅŇŒŘŚŞŠŢŤŮŰŸŹŻŽҐ"
	lowerAccented    = "ß-ñüāăąćčďđēėęěğģīįķĺļľłœŕśşšťźżžґﬁﬂ"
	upperCommon      = "ÞΆΈΉΊΌΎΏΑ-ΫЁ-Я"
	lowerCommon      = "ά-ωа-џ"
	box              = "│┌┐┘├┤┬┼═-╬▀▄█▌▐-▓"
)

// unlikely are the neighbours that hardly occur in text that is meant so; {name}
// stands for a class.
var unlikely = []string{
	`[{c1}]`,
	`[{bad}{lower}{upper}{box}{start}{end}{currency}{numerical}{law}][{bad}]`,
	`[a-zA-Z][{lowerCommon}{upperCommon}][{bad}]`,
	`[{bad}][{lower}{upper}{box}{start}{end}{currency}{numerical}{law}]`,
	`[{lower}{lowerCommon}{box}{end}{currency}{numerical}][{upper}]`,
	`[{box}{end}{currency}{numerical}][{lower}]`,
	`[{lower}{box}{end}][{currency}]`,
	`{space}[{upper}][{currency}]`,
	`[{upper}{box}][{numerical}{law}]`,
	`[{lower}{upper}{box}{currency}{end}][{start}][{numerical}]`,
	`[{lower}{upper}{currency}{numerical}{box}{law}][{end}][{start}]`,
	`[{currency}{numerical}{box}][{start}]`,
	`[a-z][{upper}][{start}{currency}]`,
	`[{box}][{kaomoji}]`,
	`[{lower}{upper}{currency}{numerical}{start}{end}{law}][{box}]`,
	`[{box}][{end}]`,
	`[{lower}{upper}][{start}{end}]{word}`,
	`[Œœ][^A-Za-z]`,
	`[{upper}]°`,

	// Windows-1252
	`[ÂÃÎÐ][€œŠš¢£Ÿž\x{a0}\x{ad}®©°·»{start}{end}–—´]`,
	`×[²³]`,
	`[ØÙ][{common}{currency}{bad}{numerical}{start}ŸŠ®°µ»][ØÙ][{common}{currency}{bad}{numerical}{start}ŸŠ®°µ»]`,
	`à[²µ¹¼½¾]`,

	// MacRoman
	`√[±∂†≠®™´≤≥¥µø]`,
	`≈[°¢]`,
	`‚Ä[ìîïòôúùû†°¢π]`,
	`‚[âó][àä°ê]`,

	// Windows-1251, the last on top of Windows-1252
	`вЂ`,
	`[ВГРС][{c1}{bad}{start}{end}{currency}°µ][ВГРС]`,
	`ГўВЂВ.[A-Za-z ]`,

	// Windows-1252 of à, á and of a no-break space
	`Ã[\x{a0}¡]`,
	`[a-z]{space}?[ÃÂ] `,
	`^[ÃÂ] `,
	`[a-z.,?!{end}]Â[ {start}{end}]`,

	// Windows-1253 and 1257
	`β€[™\x{a0}Ά\x{ad}®°]`,
	`[ΒΓΞΟ][{c1}{bad}{start}{end}{currency}°][ΒΓΞΟ]`,
	`ā€`,
}

var badness = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(strings.NewReplacer(
		"{common}", common, "{c1}", c1, "{bad}", bad, "{law}", law, "{currency}", currency,
		"{start}", startPunctuation, "{end}", endPunctuation, "{numerical}", numerical, "{kaomoji}", kaomoji,
		"{upper}", upperAccented, "{lower}", lowerAccented,
		"{upperCommon}", upperCommon, "{lowerCommon}", lowerCommon, "{box}", box,
		"{space}", `[\t-\r\x1c-\x20\x{85}\pZ]`, "{word}", `[\pL\pN_]`, // Python's \s and \w
	).Replace(strings.Join(unlikely, "|")))
})

// isBad reports whether text seems to have been decoded in a wrong encoding.
func isBad(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return badness().MatchString(text)
		}
	}
	return false
}

// Bits of what a character can be in UTF-8 that was decoded in a single-byte
// encoding. Strict continuations hardly stand for themselves beside such text.
const (
	firstOf2 = 1 << iota
	firstOf3
	firstOf4
	continuation
	strictContinuation
)

var clues = sync.OnceValue(func() map[rune]uint8 {
	const strict = "\u0080-¿ÆØæøĄąĽľŁłŒœŖŗŚśŞ-šŤťŸ-žƒˆˇ˘˛˜˝΄΅ΆΈΉΊΌΎΏЁ-ЌЎЏё-ќўџҐґ†‡‰‹›€№™"
	table := make(map[rune]uint8)
	for _, class := range []struct {
		ranges string
		bits   uint8
	}{
		{"Â-ßĀĂĆČĎĐĒĖĘĚĞĢĪİĶĹĻŁŃŅŇŌŐŘŚŞŠŢŪŮŰŲŹŻŽΒ-ΡΣ-ίВ-Я", firstOf2},
		{"à-ïāăąćčďēėęěģīįķĺļŕźΰ-οа-п", firstOf3},
		{"ðóđğšπσру", firstOf4},
		{strict, continuation | strictContinuation},
		{" –—―‘’‚“”„•…", continuation},
	} {
		runes := []rune(class.ranges)
		for i := 0; i < len(runes); i++ {
			last := runes[i]
			if i+2 < len(runes) && runes[i+1] == '-' {
				last = runes[i+2]
			}
			for r := runes[i]; r <= last; r++ {
				table[r] |= class.bits
			}
			if last != runes[i] {
				i += 2
			}
		}
	}
	return table
})
