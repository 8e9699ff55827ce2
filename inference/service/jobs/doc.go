// Package jobs keeps jobs in NATS JetStream: a work-queue stream with their ids, a
// key-value bucket with their records and an object store with their files. It knows
// nothing of engines and of HTTP. All of it may be used from several goroutines and from
// several processes at once.
package jobs
