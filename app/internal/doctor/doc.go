// Package doctor examines a program part by part, each in a process of its own, so that one which
// crashes, hangs or takes the machine with it costs no other: what was found so far is kept in a
// folder, and a new examination there goes on after the part that stopped it.
//
// An examination ends with a verdict for each part and a zip file of the folder to attach to a
// report. What the parts print comes into it without the names of the user, the machine and the
// folders of both (Scrubber).
package doctor
