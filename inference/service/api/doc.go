// Package api is the service's HTTP: jobs of a jobs.Store as videos under /v1/videos, the
// models that workers have, plans, events, metrics, an OpenAPI document and a page for
// browsers. Settings have the names of the command line's flags (inference.Settings), so
// that a new one is here once it is there.
//
// Requests are not trusted: what they send is limited in size, number and time, pictures and
// camera paths are looked at before a job is queued, no name of a file on the server is
// taken or given, and who has a key sees the videos of that key's user only.
package api
