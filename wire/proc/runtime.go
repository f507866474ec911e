package proc

import (
	"os"
	"runtime/debug"
)

// garbagePercent is how much garbage may gather, in percent of the live heap, which is small: collecting less often
// costs a few MiB. GOGC in the environment overrides it.
const garbagePercent = 400

// TuneRuntime makes the runtime's timers coarse, and sets when garbage is collected: with a heap of more than heapMost
// bytes as it comes. GOGC and GOMEMLIMIT in the environment override that.
func TuneRuntime(heapMost int64) {
	CoarseTimers()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" { // with much that is unread the heap is not small any more, nor the garbage
		debug.SetMemoryLimit(heapMost)
	}
}
