//go:build !darwin

package awake

import (
	"syscall"

	"github.com/godbus/dbus/v5"
)

// Keep asks logind not to suspend an idle machine until release is called, or the process
// ends; the screen may go dark.
func Keep(reason string) (release func(), err error) {
	bus, err := dbus.ConnectSystemBus()
	if err != nil {
		return nil, err
	}
	defer bus.Close()
	var lock dbus.UnixFD
	err = bus.Object("org.freedesktop.login1", "/org/freedesktop/login1").
		Call("org.freedesktop.login1.Manager.Inhibit", 0, "idle", "Gimbal", reason, "block").Store(&lock)
	if err != nil {
		return nil, err
	}
	return func() { syscall.Close(int(lock)) }, nil
}
