// Package library keeps what was made: every run with its settings, its state, a
// thumbnail and its frames, in a bbolt database that survives restarts.
//
//   - Open takes the library's folder, for one program at a time, marks runs that
//     a killed program left behind as interrupted, and rebuilds a damaged database.
//   - Put, Get, Search and Delete are the entries.
//   - Video gives a finished run's frames one at a time; Export writes them as
//     .mp4, .gif, PNG files or a contact sheet.
//
// The folder holds library.db and runs/ID/ for each run: run.json, the copy of its
// entry from which the database is rebuilt, its inputs and its frames. Videos lie in
// the user's own folder; the library names them and never writes over them.
package library
