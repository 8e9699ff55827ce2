package roofline

import (
	"strings"

	"gimbal/metalkit/internal/driver"
)

// Chip is what is public of an Apple GPU.
type Chip struct {
	Name  string // as the system gives it, such as "Apple M3 Ultra"
	Cores int    // of the largest GPU with this name
	MHz   int
	// Bandwidth of the memory in bytes per second.
	Bandwidth float64
	// Cache is the size of the system-level cache in bytes.
	Cache int64
	// Accelerator is how many additions and multiplications the Neural Accelerator of a core does
	// in a cycle, in products of 16-bit types by matmul2d; 0 where there is none.
	Accelerator int
}

// lanes is what a core does in a cycle without a Neural Accelerator: 128 lanes, each of which adds
// and multiplies at once; 16-bit types are not faster (github.com/philipturner/metal-benchmarks).
const lanes = 128 * 2

// FLOPS returns the additions and multiplications in F32 per second at the most, but for those of
// kernels that use matmul2d: they may be Speedup times as many.
func (c Chip) FLOPS() float64 { return float64(c.Cores) * lanes * float64(c.MHz) * 1e6 }

// Speedup is how many times as fast as others kernels of matmul2d may be.
func (c Chip) Speedup() float64 { return max(1, float64(c.Accelerator)/lanes) }

// Chips returns the chips that are known here, with their largest GPU.
//
// Cores and bandwidth are of Apple's announcements (apple.com/newsroom: M1 2020-11, M1 Pro
// and Max 2021-10, M1 Ultra 2022-03, M2 2022-06, M2 Pro and Max 2023-01, M2 Ultra 2023-06,
// M3, Pro and Max 2023-10, M3 Ultra 2025-03, M4 2024-05, M4 Pro and Max 2024-10, M5 2025-10,
// M5 Pro and Max 2026-03). Clocks are not published by Apple; these are measured ones
// as hmc-tech.com/gpu lists them. It has 1578 to 1678 MHz for M4 Max, of which the least
// is taken, and none for M5 Pro and Max, which are given that of M5. Caches are those of
// en.wikipedia.org/wiki/Apple_M1, M2 and M3; those of M4 and M5 are not public and taken
// to be as M3's, M4 Pro's and M5 Pro's as M2 Pro's. What a Neural Accelerator does was measured
// (tzakharko.github.io/apple-neural-accelerators-benchmark).
func Chips() []Chip {
	const gb, mb = 1e9, 1 << 20
	const none, neural = 0, 1024
	return []Chip{
		{"Apple M1", 8, 1278, 68.25 * gb, 8 * mb, none},
		{"Apple M1 Pro", 16, 1296, 204.8 * gb, 24 * mb, none},
		{"Apple M1 Max", 32, 1296, 409.6 * gb, 48 * mb, none},
		{"Apple M1 Ultra", 64, 1296, 819.2 * gb, 96 * mb, none},
		{"Apple M2", 10, 1398, 102.4 * gb, 8 * mb, none},
		{"Apple M2 Pro", 19, 1398, 204.8 * gb, 24 * mb, none},
		{"Apple M2 Max", 38, 1398, 409.6 * gb, 48 * mb, none},
		{"Apple M2 Ultra", 76, 1398, 819.2 * gb, 96 * mb, none},
		{"Apple M3", 10, 1398, 102.4 * gb, 8 * mb, none},
		{"Apple M3 Pro", 18, 1398, 153.6 * gb, 12 * mb, none},
		{"Apple M3 Max", 40, 1398, 409.6 * gb, 48 * mb, none},
		{"Apple M3 Ultra", 80, 1398, 819.2 * gb, 96 * mb, none},
		{"Apple M4", 10, 1470, 120 * gb, 8 * mb, none},
		{"Apple M4 Pro", 20, 1578, 273 * gb, 24 * mb, none},
		{"Apple M4 Max", 40, 1578, 546 * gb, 48 * mb, none},
		{"Apple M5", 10, 1740, 153.6 * gb, 8 * mb, neural},
		{"Apple M5 Pro", 20, 1740, 307 * gb, 24 * mb, neural},
		{"Apple M5 Max", 40, 1740, 614 * gb, 48 * mb, neural},
	}
}

// Find returns the chip called name, with or without "Apple" before it.
func Find(name string) (chip Chip, ok bool) {
	short := func(s string) string { return strings.TrimPrefix(strings.ToLower(strings.TrimSpace(s)), "apple ") }
	for _, c := range Chips() {
		if short(c.Name) == short(name) {
			return c, true
		}
	}
	return Chip{}, false
}

// unknown stands for the GPUs that are not in the list.
var unknown = Chip{Cores: 10, Cache: 8 << 20}

// FindOrGuess returns the chip called name, or one to plan for.
func FindOrGuess(name string) Chip {
	if c, ok := Find(name); ok {
		return c
	}
	return unknown
}

// CommandBufferSeconds is how long a command buffer should take at the most. macOS 26 stops
// those that keep the screen waiting for longer than some seconds (github.com/ml-explore/mlx/issues/3267),
// and starting one costs 0.1 to 0.3 ms.
const CommandBufferSeconds = 0.1

// CommandBuffer returns the work of one command buffer at the most, at the chip's peak: for a GPU that is not
// limited, as limits has it, or not known, that is limits' alone.
func (c Chip) CommandBuffer(limits driver.Limits) (flops, bytes float64) {
	if limits.CommandBufferFLOPs == 0 || c.MHz == 0 {
		return limits.CommandBufferFLOPs, 0
	}
	return CommandBufferSeconds * c.FLOPS(), CommandBufferSeconds * c.Bandwidth
}

// CacheBudget is how many bytes of what one operation reads the cache is taken to keep;
// the rest is for what passes through.
func (c Chip) CacheBudget() int64 { return c.Cache / 4 * 3 }

// Resident is how many threadgroups of so many threads are taken to run at once: a
// core's registers hold 384 threads or more of kernels that use as many as these
// (github.com/philipturner/metal-benchmarks).
func (c Chip) Resident(threads int) int { return c.Cores * max(1, 384/threads) }
