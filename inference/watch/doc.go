// Package watch tells when files and folders change that a window shows: chosen
// pictures, action folders, model folders.
//
// It looks at what is there, not at what the system says happened. fsnotify's events
// make it look at once; a look every half second finds what events miss: paths that
// do not exist yet or come back, and network volumes, which send none.
package watch
