package bench

import (
	"runtime"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
)

// Machine is where a benchmark ran. What the system does not tell stays zero.
type Machine struct {
	OS     string     `json:"os"` // such as "darwin 26.1"
	Arch   string     `json:"arch"`
	CPU    string     `json:"cpu"`
	Cores  int        `json:"cores"` // that the program may use
	Memory int64      `json:"memory_bytes"`
	Load   [3]float64 `json:"load_average"` // of the last 1, 5 and 15 minutes, at the start
	Go     string     `json:"go"`
}

// ThisMachine describes the machine that the program runs on.
func ThisMachine() Machine {
	m := Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.GOMAXPROCS(0), Go: runtime.Version()}
	if _, _, version, err := host.PlatformInformation(); err == nil {
		m.OS += " " + version
	}
	if info, err := cpu.Info(); err == nil && len(info) > 0 {
		m.CPU = info[0].ModelName
	}
	if memory, err := mem.VirtualMemory(); err == nil {
		m.Memory = int64(memory.Total)
	}
	if l, err := load.Avg(); err == nil {
		m.Load = [3]float64{l.Load1, l.Load5, l.Load15}
	}
	return m
}
