package bench_test

import (
	"os"
	"syscall"
)

// peakMB returns the most memory that an ended process had at a time, in units of 1,000,000 bytes.
func peakMB(p *os.ProcessState) float64 {
	used, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return float64(used.Maxrss) * 1024 / 1e6
}
