package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// What a run may open beside its connections.
const (
	ownFiles   = 16 // outputs, reports, look-ups, the runtime's own
	laneFiles  = 13 // for each ordered pair of processes of an own cluster: a proxy's listener and connections
	childFiles = 4  // for each process of an own cluster: logs and lines of text
)

// usualConnections is how many requests may be under way at once where nothing else is said and open files allow for
// it.
const usualConnections = 4096

// leastConnections is how many must be possible at least: with fewer a run without a given number has no sense.
const leastConnections = 8

// filesOf returns how many files a run opens beside its connections; nodes is that of its own cluster, 0 for none.
func filesOf(nodes int) int {
	if nodes == 0 {
		return ownFiles
	}
	return ownFiles + laneFiles*nodes*nodes + childFiles*(nodes+1)
}

// connectionsFor returns how many connections a run may have at once when so many are wanted (0: not said), so many
// other files are open and limit files are allowed; fewer tells why they are fewer than usual.
func connectionsFor(wanted, others int, limit uint64) (n int, fewer string, err error) {
	room := int(min(limit, 1<<30)) - others
	switch {
	case wanted < 0:
		return 0, "", fmt.Errorf("%w: --connections %d: expected a number of at least 1", errSettings, wanted)
	case wanted > room || room < leastConnections:
		return 0, "", fmt.Errorf("%w: --connections %d needs %d open files and this process may have %d (ulimit -n): "+
			"expected at most %d connections, or a higher limit",
			errSettings, max(wanted, leastConnections), max(wanted, leastConnections)+others, limit, max(0, room))
	case wanted > 0:
		return wanted, "", nil
	case room < usualConnections:
		fewer = fmt.Sprintf("at most %d connections, since this process may have %d open files (ulimit -n)", room, limit)
		return room, fewer, nil
	}
	return usualConnections, "", nil
}

// openFiles returns how many files this process may have open. Go has raised the soft limit to the hard one at the
// start.
func openFiles() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("the limit of open files: %w", err)
	}
	return limit.Cur, nil
}

// What a run keeps in memory, in bytes: measured, and rather too little, so that nothing is refused that would be
// possible.
const (
	keptOperation = 1200 // for each operation whose history is kept, and its check
	keptUser      = 250  // for each user
)

// memoryOf returns how much memory a run of so many operations with so many users needs, in bytes.
func memoryOf(operations float64, users uint64, check bool) float64 {
	need := float64(users) * keptUser
	if check {
		need += (operations + 2*float64(users)) * keptOperation // each user is created and read back
	}
	return need
}

// checkMemory refuses a run that would need more memory than there is, in bytes; the machine would end it without a
// report.
func checkMemory(need, there float64) error {
	if need <= there {
		return nil
	}
	return fmt.Errorf("%w: the histories of --rate times --duration operations and --records users "+
		"need about %.1f GiB of memory and %.1f GiB are free: expected less of them, or --no-check",
		errSettings, need/(1<<30), there/(1<<30))
}

// freeMemory returns how many bytes this process may take, from /proc/meminfo and the files of its control group
// (version 2), as their texts are; what is absent limits nothing.
func freeMemory(meminfo, most, used string) float64 {
	there := map[string]float64{}
	for line := range strings.Lines(meminfo) {
		if words := strings.Fields(line); len(words) >= 2 {
			if kib, err := strconv.ParseFloat(words[1], 64); err == nil {
				there[words[0]] = kib * 1024
			}
		}
	}
	free, known := there["MemAvailable:"]
	if free += there["SwapFree:"]; !known {
		free = 1 << 60
	}
	limit, err := strconv.ParseFloat(strings.TrimSpace(most), 64) // "max" is no limit
	taken, bad := strconv.ParseFloat(strings.TrimSpace(used), 64)
	if err == nil && bad == nil {
		free = min(free, limit-taken)
	}
	return free
}

// memoryHere returns how many bytes this process may take.
func memoryHere() float64 {
	texts := [3]string{}
	for i, path := range []string{"/proc/meminfo", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"} {
		text, _ := os.ReadFile(path) // what cannot be read limits nothing
		texts[i] = string(text)
	}
	return freeMemory(texts[0], texts[1], texts[2])
}

// trialSize is how many bytes are written to see whether a folder takes anything: more than most reports have.
const trialSize = 1 << 20

// tryFolder makes a folder if it is not there, and writes a file into it and removes it again, so that a run does not
// end without its results.
func tryFolder(flag, dir string) error {
	err := os.MkdirAll(dir, 0o755)
	var file *os.File
	if err == nil {
		file, err = os.CreateTemp(dir, ".trial-")
	}
	if err == nil {
		if _, err = file.Write(make([]byte, trialSize)); err == nil {
			err = file.Sync() // some file systems find out only then that they are full
		}
		_ = file.Close()
		_ = os.Remove(file.Name())
	}
	if err != nil {
		return fmt.Errorf("%w: %s %s: expected a folder that can be written to: %w",
			errSettings, flag, filepath.Clean(dir), err)
	}
	return nil
}

// sleptFor returns for how many nanoseconds this machine has been suspended since its start: the clock of what is
// measured stands still meanwhile (clock_gettime(2), CLOCK_BOOTTIME and CLOCK_MONOTONIC). What is not known counts as
// never.
func sleptFor() int64 {
	var boot, running unix.Timespec
	err := firstOf(unix.ClockGettime(unix.CLOCK_MONOTONIC, &running), unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot))
	if err != nil {
		return 0
	}
	return boot.Nano() - running.Nano()
}
