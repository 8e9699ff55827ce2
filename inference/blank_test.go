package inference_test

import (
	"testing"

	"gimbal/inference"
)

func TestBlank(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, " \t\n": true, "\u200b": true, "\ufeff\u200d\u2060": true, "\u00ad": true, "\u3000\u00a0": true, "\u2800": true,
		"\u115f\u3164\uffa0": true, "\ufe0f\U000e0100": true, "\u0301": true, "\u202e\u2066": true, "\x00\x1b": true, "\U000e0041": true,
		"a": false, "\u200ba": false, ".": false, "山": false, "🌄": false, "❤\ufe0f": false, "e\u0301": false,
	} {
		if got := inference.Blank(text); got != want {
			t.Errorf("%q is blank: %v, want %v", text, got, want)
		}
	}
}
