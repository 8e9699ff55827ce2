package wan_test

import (
	"testing"

	"gimbal/inference/wan/wantest"
)

func TestLoRAs(t *testing.T) { wantest.CheckLoRAs(t, openDevice(t), bound) }
