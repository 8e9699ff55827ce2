// Package rows shares the rows of a picture among processors.
package rows

import (
	"runtime"
	"sync"
)

// InParallel calls f for ranges that make up 0 to n, at the same time.
func InParallel(n int, f func(from, to int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() { f(i*n/workers, (i+1)*n/workers) })
	}
	group.Wait()
}
