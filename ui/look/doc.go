// Package look is how Gimbal's window looks: colours for light and dark, sizes, the
// font and the icons that Fyne lacks. The colours and sizes beside Fyne's own have
// names here; widgets ask for them as for Fyne's.
//
// The font is a part of Inter (font/, SIL Open Font License). What it lacks, such as
// Chinese, Fyne takes from the fonts of the system: on a Mac there always are some,
// on Linux a package like fonts-noto-cjk or fonts-wqy-microhei has to be there.
package look
