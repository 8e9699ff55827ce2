package mapped

import "runtime/debug"

// forget makes the handler forget m, as if somebody else had mapped it.
func forget(m *File) {
	files.Lock()
	defer files.Unlock()
	delete(files.open, m.slot)
	remove(m.slot)
	m.slot = -1
}

func panicOnFault() { debug.SetPanicOnFault(true) }
