package metalkit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gimbal/inference/device"
	"gimbal/metalkit/kernels"
)

// doesNotCompile begins why a kernel is switched off that the system's compiler refuses.
const doesNotCompile = "does not compile: "

// refuse notes that a kernel of the second source, which the tuner wanted to time, does not compile:
// it is not asked for again, and all else stays as it is. The log has it once, however many there are.
func (d *gpu) refuse(kernel string, err error) {
	if kernels.LanguageOf(kernel) != kernels.Metal4 {
		return
	}
	d.choices.SetWrong(kernel, doesNotCompile+err.Error())
	if !d.refused {
		d.refused = true
		d.log.Warn("the system does not compile kernels for the GPU's Neural Accelerators; the others do their work", "kernel", kernel, "error", err)
	}
}

// switchedOff lists the kernels that are, for people. Those of the second source that do not compile
// are one entry.
func (d *gpu) switchedOff() (list []device.Property) {
	if d.choices == nil {
		return nil
	}
	all := d.choices.AllWrong()
	var refused []string
	for _, kernel := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(all[kernel], doesNotCompile) && kernels.LanguageOf(kernel) == kernels.Metal4 {
			refused = append(refused, kernel)
			continue
		}
		list = append(list, device.Property{Name: device.SwitchedOff, Value: kernel + ": " + all[kernel]})
	}
	if len(refused) > 0 {
		value := fmt.Sprintf("%s, and %d more for Neural Accelerators: %s", refused[0], len(refused)-1, all[refused[0]])
		list = append(list, device.Property{Name: device.SwitchedOff, Value: value})
	}
	return list
}
