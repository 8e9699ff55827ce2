package tokenizer

import (
	"strings"
	"testing"
)

// Outputs are those of the reference's cleaning with ftfy 6.3.1 on Python 3.11.
var cleanTable = []struct{ in, want string }{
	{"", ""},
	{"  two  words\t\r\n three ", "two words three"},
	{"plain English, unchanged: 3 < 4 & 5 > 2", "plain English, unchanged: 3 < 4 & 5 > 2"},
	{"画面突变，色调艳丽，过曝，静态", "画面突变,色调艳丽,过曝,静态"},
	{"камера движется вперёд — «золотой час»", "камера движется вперёд — «золотой час»"},
	{"“quotes” and ‘these’ „low‟ ʼ", "\"quotes\" and 'these' \"low\" '"},
	{"ﬁne ﬂow oﬃce ﬆop Ĳssel ŉ Ǆep ſ", "fine flow office stop IJssel 'n DŽep ſ"},
	{"ＦＵＬＬ\u3000ｗｉｄｔｈ！ ﾊﾛｰ ｶﾞ \uffe6", "FULL width! ハロー ガ ₩"},
	{"cafe\u0301 A\u030a", "café Å"},
	{"bell\x07 nul\x00 del\x7f bom\ufeff note\ufff9\u206a keep\u200d\u200b", "bell nul del bom note keep\u200d\u200b"},
	{"a\x0bb\x0cc\x1cd\u0085e\u2028f\u2029g\u00a0h\u3000i\u1680j", "ab cd…e f g h i j"},
	{"\x1b[31mred\x1b[0m \x1b[1;2H. \x1b]0 \x1b[3", "red . ]0 [3"},
	{"âœ” all clear", "✔ all clear"},
	{"The tower doesnâ€™t move.", "The tower doesn't move."},
	{"l’Ã©tÃ©", "l'été"},
	{"Ã\u00a0 droite, voilÃ la mer, Ã la mode", "à droite, voilà la mer, à la mode"},
	{"schÃ¶n &amp; grÃ¼n", "schön & grün"},
	{"РџСЂРёРІРµС‚ РјРёСЂ", "Привет мир"},
	{"ΠΏΞΏΞ»Ξ· Ξ· Ξ±Ξ³Ξ¬Ο€Ξ·", "пολη η αγάπη"},
	{"Å¾luÅ¥ouÄkÃ½ kÅ¯Å\u0088", "žluÅ¥ouÄký kůň"},
	{"â€œ like this â€\ufffd", "\" like this \ufffd"},
	{"ä½ å¥½ä¸–ç•Œ", "ä½ å¥½ä¸–ç•Œ"},
	{"ðŸ˜€ and ðŸ¦„", "😀 and 🦄"},
	{"a mix: déjà vu cafÃ© 中文", "a mix: déjà vu café 中文"},
	{"c1 \u0093quoted\u0094 and \u0085", "c1 \"quoted\" and …"},
	{"it costs \u0080 5 \u0096 6", "it costs € 5 – 6"},
	{"Ã\u0083Â© twice", "é twice"},
	{"CAF&EACUTE; HAUPTSTRA&SZLIG;E &nTILDE; &NTILDE;", "CAFÉ HAUPTSTRASSE &nTILDE; Ñ"},
	{"the end&hellip; that&#x2019;s a ﬁne ﬂight!", "the end… that's a fine flight!"},
	{"&amp;amp;amp; &amp;lt;b&amp;gt;", "& <b>"},
	{"<i>&amp;eacute;</i> &eacute;", "<i>é</i> é"},
	{"first &Eacute;\n<b> &EACUTE;\n&EACUTE;", "first É <b> &EACUTE; &EACUTE;"},
	{"&notit; &not it &ampx &amp;copy &copy2024 &nLt; &fjlig;", "¬it; ¬ it &x © ©2024 ≪\u20d2 fj"},
	{"&#0; &#x80; &#150; &#xd800; &#x110000; &#1; &#xfffe; &#12ab; &#59; &#; &#x; &#xg &#65 &#x41", "\ufffd € – \ufffd \ufffd ab; ; &#; &#x; &#xg A A"},
	{"&CounterClockwiseContourIntegral; &acE;", "∳ ∾\u0333"},
	{"`â€™` Ò_Ó ¯\\_(ã\u0083\u0084)_/¯", "`'` Ò_Ó ¯\\_(ツ)_/¯"},
	{"( \u0361° \u035cʖ \u0361°) ಠ_ಠ", "( \u0361° \u035cʖ \u0361°) ಠ_ಠ"},
	{"Âµ is fine, Â© 2020, 3Â½", "µ is fine, © 2020, 3½"},
	{"CafÃ© ×² à² ", "Café ײ ಠ"},
	{"í\u00a0½", "í ½"},
	{"the sign says â€žzumÂ´ Hafenâ€œ", "the sign says \"zum´ Hafen\""},
	{"BRÅ™, by the sea®", "BRÅ™, by the sea®"},
	{"├┤a┼┐", "├┤a┼┐"},
	{"FÃ cil", "FÃ cil"},
	{"Èç ÃÈ", "Èç ÃÈ"},
	{"Ãºnico and ÃšNICO", "único and ÚNICO"},
	{"10µm 5° Ñ° Œ. œu", "10µm 5° Ѱ Œ. œu"},
	{"ГўВЂВњ x", "\" x"},
	{"Ø§Ù„ÙƒØ§Ù…ÙŠØ±Ø§", "الكاميرا"},
	{"ÖÉÂÇÑ", "ÖÉÂÇÑ"},
	{"áƒ›áƒ”", "მე"},
	{"İ &#304; &idot; &IMATH;", "İ İ &idot; I"},
	{"a\u0301\u0327 ḋ\u0323", "á\u0327 ḍ\u0307"},

	// Go's invalid UTF-8 stands for Python's surrogates.
	{"\xed\xa0\xbd\xed\xb8\x80 pair", "😀 pair"},
	{"\xed\xa0\xbd lone \xed\xb8\x80", "\ufffd lone \ufffd"},
	{"byte \xff end", "byte \ufffd end"},
}

func TestClean(t *testing.T) {
	for _, c := range cleanTable {
		if got := Clean(c.in); got != c.want {
			t.Errorf("Clean(%+q)\n got %+q\nwant %+q", c.in, got, c.want)
		}
	}
}

func TestCleanLongText(t *testing.T) {
	in := strings.Repeat("naÃ¯ve “quotes”  ", 2000)
	want := strings.TrimSpace(strings.Repeat(`naïve "quotes" `, 2000))
	if got := Clean(in); got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}
