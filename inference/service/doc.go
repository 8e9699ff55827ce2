// Package service is the map of what makes Gimbal a service for several machines; it holds
// no code. NATS JetStream carries the work, in this process or elsewhere:
//
//	broker  a NATS server inside the program
//	jobs    jobs, their files and what becomes of them, in JetStream
//	worker  takes jobs and has an engine make them
//	api     HTTP over jobs
//
// A job is a message in a work queue and a record in a key-value bucket. The message decides
// who works on it: it comes back when a worker is lost. The record says what became of it:
// every change is made on the revision that was read, and a worker changes it only while the
// job is its own. Pictures, camera paths, the states of runs and videos are objects named by
// their SHA-256; what no record names is swept away.
package service
