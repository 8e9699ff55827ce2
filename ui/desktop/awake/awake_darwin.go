package awake

import (
	"runtime"

	"github.com/progrium/macdriver/macos/foundation"
	"github.com/progrium/macdriver/objc"
)

// Keep keeps the machine awake until release is called, or the process ends.
func Keep(reason string) (release func(), err error) {
	var activity objc.Object
	pooled(func() {
		// Includes that the idle system, but not that the idle display, stays awake.
		activity = foundation.ProcessInfo_ProcessInfo().BeginActivityWithOptionsReason(foundation.ActivityUserInitiated, reason)
		activity.Retain()
	})
	return func() {
		pooled(func() {
			foundation.ProcessInfo_ProcessInfo().EndActivity(activity)
			activity.Release()
		})
	}, nil
}

// pooled runs f with an autorelease pool, for goroutines have none.
func pooled(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	objc.WithAutoreleasePool(f)
}
