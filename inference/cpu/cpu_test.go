package cpu

import (
	"testing"

	"gimbal/inference/device/devicetest"
)

func TestDevice(t *testing.T) {
	for _, threads := range []int{1, 3} {
		dev, err := Open(Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		defer dev.Close()
		devicetest.Run(t, dev, devicetest.Options{})
	}
}
