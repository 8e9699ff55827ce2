package queue

import (
	"os"

	"github.com/shirou/gopsutil/v4/process"
)

// residentMemory returns the bytes of this program that are in memory, mapped weights
// included; 0 if the system does not tell.
func residentMemory() int64 {
	p, err := process.NewProcess(int32(os.Getpid()))
	if err != nil {
		return 0
	}
	info, err := p.MemoryInfo()
	if err != nil {
		return 0
	}
	return int64(info.RSS)
}
