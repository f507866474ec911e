package cluster

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// freed is what a guard reads when it has nothing to do any more.
const freed = "freed"

// Guard is what the guard process does. It waits for the end of its input, which comes when the bench that has started
// it ends, for whatever reason. Then it kills every process whose log is in the folder, unless it was freed. The
// kernel's way (prctl(2), PR_SET_PDEATHSIG) would not do: it goes by the thread that has started a child, and is lost
// when a child starts itself anew in another thread than its first, as nodes may.
func Guard(dir string) {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM) // its input tells when to end
	if word, err := io.ReadAll(os.Stdin); err == nil && string(word) == freed {
		return
	}
	for quiet := 0; quiet < 3; quiet++ { // one that was just being started shows a little later
		for _, pid := range LoggingInto(dir) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone already
			quiet = 0
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// LoggingInto returns the processes whose output goes to a log in a folder. Unlike pid files that finds those, too,
// whose starter was killed before it could write one.
func LoggingInto(dir string) []int {
	outputs, _ := filepath.Glob("/proc/[0-9]*/fd/1") // the pattern is well-formed
	found := []int{}
	for _, output := range outputs {
		file, err := os.Readlink(output)
		file = strings.TrimSuffix(file, " (deleted)")
		if err != nil || filepath.Dir(file) != dir || filepath.Ext(file) != ".log" {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(output, "/")[2]); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

// StartGuard starts a guard for the cluster in a folder, given as its processes' logs show it: absolute and without
// symbolic links. What it returns frees the guard.
func StartGuard(dir string) (free func(), err error) {
	// so is its name in lists of processes, too: who kills all that is called bench spares it
	guard := exec.Command("/proc/self/exe", "guard", dir)
	guard.Args[0], guard.SysProcAttr = "tandem-guard", &syscall.SysProcAttr{Setsid: true}
	in, err := guard.StdinPipe()
	if err == nil {
		err = guard.Start()
	}
	if err != nil {
		return func() {}, fmt.Errorf("%w: its guard: %w", ErrProcess, err)
	}
	return func() {
		_, _ = io.WriteString(in, freed) // it may have been killed
		_ = in.Close()
		_ = guard.Wait()
	}, nil
}
